// Package alertmanager receives the alerts of a Prometheus Alertmanager and
// reads its present state back.
//
//	webhook v4 -> Source.Decode   -> Batch of Readings, one an alert, no detector yet
//	API v2     -> Source.Present  -> the same, Confirmed, with Suppressed filled in
//	Assign     -> the first Detector that selects an alert names, describes and owns it;
//	              the fallback takes the rest, so that no acknowledged alert is dropped
//
// # Identity
//
// An alert is its fingerprint (a hash of its labels) and its startsAt: Series
// and Episode of the Reading. A group's message repeats alerts that still
// fire, replicas of Alertmanager send copies, and copies come late; all of
// them find the same incident. The fingerprint is computed from the labels as
// Alertmanager does it, and a message that says another one is refused.
//
// An alert tells its own onset: OnsetAt and WellAt are both its startsAt.
//
// # Order
//
// Messages are ordered by what they say, not by their arrival: see Supersedes.
//
// # What is believed
//
// A message has no signature. Whoever passes the source's door can make an
// alert fire or end, so the door needs a secret or a client certificate
// wherever others can reach the listener. What was delivered is a claim
// (Confirmed is false); what API v2 says is the present state.
//
// A message that shows fewer alerts than its group has (truncatedAlerts)
// makes an Incomplete batch: complete it from Present or refuse it.
//
// Sources: Alertmanager's documentation of webhook_config and of
// notifications, and its OpenAPI description of API v2.
package alertmanager
