// Package alertmanager receives the alerts of a Prometheus Alertmanager and
// reads its present state back.
//
//	webhook v4 -> Source.Decode   -> Batch of Readings, one an alert, no detector yet
//	API v2     -> Source.Present  -> the same, Confirmed, with Suppressed filled in
//
// What an alert is, how it finds its detector and what is believed of it is
// the same for all sources that post alerts: see package alerts.
//
// Alertmanager shows all labels of an alert, so the fingerprint is computed
// from them as Alertmanager does it, and a message that says another one is
// refused.
//
// A message has no signature, so the door needs a secret or a client
// certificate wherever others can reach the listener. A message that shows
// fewer alerts than its group has (truncatedAlerts) makes an Incomplete batch:
// complete it from Present or refuse it.
package alertmanager
