// Package pagerduty is a stand-in for PagerDuty's Events API v2, for tests and
// for the sandbox. It keeps the meaning of the real one:
//
//   - events are joined by routing key and dedup_key: a trigger on an open
//     alert is merged into it, one after a resolve opens a new incident
//   - an acknowledge or resolve with no open alert is accepted and dropped
//   - what breaks a limit or a rule is answered 400, and remembered
//
// A Server is an http.Handler. With the path of PagerDuty's own OpenAPI
// description it also holds each request, and each of its own answers, to that.
// Faults are scripted: see Fail.
package pagerduty
