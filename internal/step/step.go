// Package step names the moments at which a fault is worst: before and after
// each commit, each check and each send. A test stops the daemon there.
//
// In a release build At is empty and inlined, and nothing of this package is
// in the binary. With the build tag faults the environment arms steps:
//
//	SIGNALBOX_STEPS     "check.after 2 kill; seal.before 1 stop"
//	SIGNALBOX_STEPS_LOG a file that each passing is appended to, as "NAME N"
//
// Each order names a step, which passing of it (1 is the first of this
// process), and what happens there:
//
//	kill       the process ends as by kill -9
//	stop       the process is stopped as by SIGSTOP, until somebody continues it
//	wait FILE  the goroutine waits until FILE exists
//	late TIME  the goroutine waits for so long
package step

// Name is a step by its name.
type Name string

// The steps, in the order in which an alert passes them.
const (
	InboxBefore   Name = "inbox.before"   // a webhook's readings are not durable
	InboxAfter    Name = "inbox.after"    // … are, and its sender does not know
	Answered      Name = "answered"       // its sender has the 2xx
	IntentBefore  Name = "intent.before"  // the claim is decided
	IntentAfter   Name = "intent.after"   // … and durable
	CheckBefore   Name = "check.before"   // the lease and the controls are looked at last thing
	CheckAfter    Name = "check.after"    // … and allow it: the write comes next
	SendAfter     Name = "send.after"     // the write was answered, or its answer is lost
	ReceiptBefore Name = "receipt.before" // what came of it is known to this process alone
	ReceiptAfter  Name = "receipt.after"  // … and durable
	SealBefore    Name = "seal.before"    // a successor is to shut a late write out
	SealAfter     Name = "seal.after"
	Probe         Name = "probe"         // the target is asked what came of an action
	VerifyBefore  Name = "verify.before" // new evidence says whether it helped
	VerifyAfter   Name = "verify.after"
	UndoBefore    Name = "undo.before" // the claim of the way back
	UndoAfter     Name = "undo.after"
	PageWanted    Name = "page.wanted" // a page is owed, and not sent
	PageSent      Name = "page.sent"   // … the pager has it, and that is not recorded
)

// Names returns all steps, in their order.
func Names() []Name {
	return []Name{
		InboxBefore, InboxAfter, Answered, IntentBefore, IntentAfter, CheckBefore, CheckAfter, SendAfter, ReceiptBefore, ReceiptAfter,
		SealBefore, SealAfter, Probe, VerifyBefore, VerifyAfter, UndoBefore, UndoAfter, PageWanted, PageSent,
	}
}
