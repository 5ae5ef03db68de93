// Package page reaches an owner through PagerDuty: by its Events API v2, or by
// incidents of its REST API. It is the pager of the daemon (kind.Pager,
// AckReader and Noter) and the remediator of a runbook's step `page: OWNER`;
// both send through the same code.
//
//	owner's settings -> Spec: where the keys of one rung are, never a key itself
//	Page(spec, key, event, body) -> compose: an event within PagerDuty's limits
//	                             -> send:    one request, no retry
//	  or with a service          -> find:    the open incident of the key
//	                             -> call:    one request that opens or changes it
//	                             -> nil | *Failure | *RetryAfter | another error: try again later
//	Acks(spec, keys)             -> who acknowledged, read by key
//	Note(spec, key, note)        -> a note, a status update, a request for responders
//
// # Class B
//
// PagerDuty takes a dedup_key: an event sent twice while its alert is open is
// one alert. So an event whose answer was lost is sent again, with the same
// key. An event can't be read back, and Probe says so (InDoubt): the engine
// settles the doubt of an action of class B by starting it again. Keys are per
// routing key, and a trigger after a resolve opens a new incident.
//
// An incident's incident_key is the same key. PagerDuty refuses a second open
// incident of it on a service, so that a lost answer is settled in the same way.
//
// A 202 says that the event was accepted, not that anybody was notified.
//
// Limits are PagerDuty's: a summary of 1,024 characters, a dedup_key of 255,
// 512 KB an event, about 120 events a minute a key.
package page
