// Package pagerduty is a stand-in for PagerDuty: its Events API v2, the part of
// its REST API that deals with incidents, and its webhooks (V3). It keeps the
// meaning of the real one:
//
//   - events are joined by routing key and dedup_key: a trigger on an open
//     alert is merged into it, one after a resolve opens a new incident
//   - an acknowledge or resolve with no open alert is accepted and dropped
//   - an alert's incident has its dedup_key as incident_key; a second open
//     incident of a key on a service is refused
//   - what a person does (AcknowledgeAs, ResolveAs) is told by signed webhooks,
//     again and again until they are answered; three answers of 4xx in a row
//     disable a subscription
//   - what breaks a limit or a rule is answered 400, and remembered
//
// A Server is an http.Handler for the hosts of both APIs. With the paths of
// PagerDuty's own OpenAPI descriptions it also holds each request, and each of
// its own answers, to them. Faults are scripted: see Fail, Pass and Outage.
// Counts tells which keys were paged more than once.
package pagerduty
