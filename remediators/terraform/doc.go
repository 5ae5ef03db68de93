// Package terraform throws a switch that is a variable of a workspace of HCP
// Terraform (or Terraform Enterprise): it sets the variable, has a run planned,
// holds the plan against what it may touch, and applies it.
//
//	settings.go, spec.go  the configuration, and Step.Spec made of it
//	api.go, wire.go       the calls, and their shapes (JSON:API)
//	preview.go            Preview
//	write.go              Start and Continue: the writes
//	probe.go              Probe: from the run's state to what is known
//	plan.go               what a plan touches
//
// # The writes
//
// A throw is three writes, each behind the last check (Action.Gate):
//
//	1  PATCH the variable          is read back by its value
//	2  POST a run                  is found by its message, which ends with the action's id
//	3  POST apply, or discard      is read back by the run's state
//
// Start does the first two. What was not done when it ended, was killed or was
// held back is done by Continue, which the engine calls while Probe answers
// Running with Next: what is there says what is next, so that nothing else has to
// be remembered.
//
//	variable as found, no run of ours   nothing was done; after the latency: NotStarted
//	variable as wanted, no run of ours  Running, next: the run
//	another value, no run of ours       a person took it: Fell, after the latency
//	a run of ours                       as its state says; a state that is not known is not finished
//
// # Class C
//
// Nothing at Terraform compares and sets: no write names the version that it read,
// and no call takes a key. So each write is read back. A write that comes late, of
// a process that was stopped before it sent, does little by itself: the variable
// takes the value that its intent was recorded for, and a run applies nothing,
// since it is made with auto-apply off, whatever the workspace has. Two runs of one
// action may be made where a list is late; the first one is followed, and Terraform
// plans the second only after it, when there is nothing left to change. Between
// reading the variable and writing it a person's own change can be overwritten: the
// interval is that of one request.
//
// # What a plan may touch
//
// The plan is read before it is applied: each resource that it would change must
// match only_resources, nothing may be destroyed or replaced without
// allow_destroy, and it must invoke no actions. A plan that breaks this, or whose
// own counts say more than what was read, is discarded; one that can't be read is
// not applied. A plan does not change any more once it is made, so that nothing
// comes between the check and the apply. The redacted form of the plan is read,
// which holds no sensitive values.
//
// # Not put back
//
// A run that fails leaves the variable at the new value, without an effect until
// the next run of the workspace applies it. It is said, with where to put it back;
// there is no further write in the middle of a failure.
package terraform
