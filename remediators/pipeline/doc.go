// Package pipeline runs, follows and cancels the workflows of GitHub Actions: the
// same deploy with the previous stable tag, smoke tests, the cancelling of a
// migration.
//
//	Settings    settings.go  the keys of a tool
//	spec        spec.go      Step.Spec: the resolved settings
//	hub         hub.go       the requests to GitHub, and what their errors mean
//	run, job    wire.go      what is taken of the answers
//	choose      choose.go    pure: which tag is the previous stable one
//	view        look.go      what is there, for one move; both Preview and Start look
//	remediator  remediator.go, probe.go  the protocol
//
// # Flow
//
// Preview looks: the workflow, its runs, for `previous` also the smoke runs, the
// deployments, the commit that the tag names and the files that differ. Start
// looks again, compares (Forecast.Version), looks whether a run of this action
// is there already, asks the last check and sends one request. Probe follows the
// run to its end.
//
// # Class C
//
// A dispatch takes no key of ours by which GitHub would know a second one, so it
// is sent once, never again. What proves it afterwards is the action's id: it
// goes along as an input, and the workflow's run-name shows it. The id of the run
// that GitHub answers with is the shorter way where the answer came.
//
// That a dispatch was not taken is concluded only after the greatest latency of
// the list of runs, and only where no other dispatch of the workflow began in
// the meantime: it could be ours without its name. To cancel is one request on
// one attempt of one run, and the run itself tells what came of it.
//
// One action is one dispatch. Smoke tests are a step of their own: their verdict
// is another one than the deploy's, and a second dispatch within an action of
// class C would double what can be in doubt.
package pipeline
