// Package signalbox is the dictionary of the daemon: the words that every
// room shares, and the ports through which the rooms meet. It imports the
// standard library only, does no I/O and reads no clock.
//
// A signal box is where a railway's signals are read and its points are
// thrown, and where an interlocking makes it impossible to throw two that
// conflict. The daemon reads the signals of production, throws the switches
// that its configuration lists or pages the owner, and its guards make an
// unsafe move impossible, also after a crash.
//
// # The way of the data
//
//	Source.Ask + Detector.Judge | Receiver   what is seen, as Readings
//	  -> edges, durable in the inbox          before a webhook gets its 2xx
//	  -> Incident                             one a series, opened after `for`
//	  -> policy.Decide -> Decision            pure: what should be done, and because of what
//	  -> claim: Action with its Forecast      the intent, its undo and its locks, in one transaction
//	  -> Remediator.Start, Probe              until it is known what happened
//	  -> settle, verify on new samples        a remediator never grades itself
//	  -> hold, undo, next step, or page
//
// # Words
//
// The subject of an incident is what is ill; a target is what an action
// touches. A Reading is Breached, Clear or Unknown, and Unknown is never a
// reason to act and never proof of health. A pause, a freeze and the kill
// switch stop actions and never pages; a silence stops pages.
package signalbox
