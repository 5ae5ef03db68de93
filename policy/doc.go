// Package policy decides what should be done about an incident. It is pure: no
// context, clock, I/O or error; equal worlds give equal decisions. The same
// function runs in production, in a policy test and over last month's history.
//
// # Types
//
// A Config is compiled once, by New, into a Handbook. Handbook.Decide looks at
// a World (State, Facts, Now) for the incidents that are due, and returns a
// signalbox.Decision for each that is open. The cost follows what is due, not
// what exists: a decision finds everything by key and notes it in Reads. When
// one of those keys changes, or Until comes, the incident is due again.
//
// # Flow of one incident
//
//	closed                                  nothing
//	an action of it is in flight            Hold: the engine follows it to its end
//	a person asked to take a switch back    Preview, Undo
//	the last effect was not judged yet      Verify until new samples tell, then Settle
//	its series is clear                     take back what is thrown (as the switch's
//	                                        undo mode says), then Resolve; but first its
//	                                        plan's next step, where ids are left to take
//	automation gave up on it                Hold: a person has it
//	its series is Unknown                   Hold: never a reason to act
//	breached, no plan yet                   the first policy that matches and may do more than
//	                                        watch; none: Escalate. A condition that fails: Hold
//	breached, a plan                        its next step; at its end: Escalate
//
// A step is previewed before it is taken: the verdict Preview asks the engine
// for a forecast, and the incident is decided again when it is there. Only then
// is it known which targets the step touches, and the guards are asked.
//
// # Guards
//
// Each guard is one file, guard_*.go, and answers with its figures, so that
// every decision tells why. A guard passes, or it
//
//	waits    holds without a page, since what it waits for comes soon (an action in flight)
//	blocks   holds and pages the owner once; it is asked again when something changes
//	stops    pages once, and automation gives up on the incident
//
// Right after a start most is not known yet. A guard that blocks for want of a
// detector's first round (World.Unseen) waits for that one.
//
// The guards of a step forward, in their order: autonomy, freshness, silence,
// needs (corroboration), onset, attempts, flapping, kill, pause, hand (a person
// has it), freeze, change (a deploy or migration under way), dependency,
// conflict, condition, items, lane, health of the destination, blast radius,
// budget, forecast, in flight, cooldown, restored (the store went back in time), ineffectiveness. A step of kind page has
// none: a page always goes out. Taking back asks fewer: what only undoes must
// not wait for a budget.
//
// # Autonomy
//
// A policy is in shadow (recorded), suggest (its plan is paged), approve (each
// step waits for a person's approval) or auto. What did not help, was taken back
// by hand or was denied demotes it by one, until a person restores it; it never
// goes further than its configuration says. A plan keeps the autonomy with which
// it began. An approval is for what was previewed: another version, position,
// target, step or policy is asked for anew.
//
// # Runbook
//
// A plan is a list of steps; where it stands follows from the incident's actions
// and marks (run.go). Then verify (the default) waits whether the step helped,
// and goes on only where it did not; then next goes on at once, and the chain is
// verified at its end and taken back newest first. A step whose `if` is false
// holds, or is skipped. A step fails when its attempts or its time run out; then
// its rescue is taken, and the main line goes on where that says so. Steps of a
// lane run at once, on targets of their own. A wait holds until a witness is
// clear or a condition is true, and Unknown never is. A step about ids takes
// them in bounded batches, each id once, also once its series is well (ids.go).
//
// What can't be read or proved blocks: a missing label, a condition that fails
// at run time, a witness without a sample, a policy that was edited meanwhile.
//
// Besides the guards' names, the codes of reasons are: match, policy, plan (the
// choice of a policy), verify, relapse, recovered_waiting (an effect), undo,
// undo_ask, after_healthy (taking back), suppressed, gave_up, page and resolve.
//
// Policies in shadow are asked the same, and only recorded in Decision.Shadow.
package policy
