// Package alerts is what sources that post alerts have in common, whoever the
// sender is: Alertmanager and Grafana speak dialects of one language.
//
//	webhook -> ReadMessage -> Alert.Delivered -> Reading, one an alert, no detector yet
//	API v2  -> ReadList    -> Alert.Present   -> the same, Confirmed, with Suppressed filled in
//	Assign  -> the first Detector that selects an alert names, describes and owns it;
//	           the fallback takes the rest, so that no acknowledged alert is dropped
//	Watchdog -> takes the one alert out that must keep coming
//
// # Identity
//
// An alert is its fingerprint (a hash of its labels) and its startsAt: Series
// and Episode of the Reading. A group's message repeats alerts that still
// fire, replicas send copies, and copies come late; all of them find the same
// incident. An alert tells its own onset: OnsetAt and WellAt are both its
// startsAt.
//
// # Order
//
// An end stands: a "firing" of the same episode that comes after it is a late
// or doubled copy, until the present state of the source shows the alert.
// The engine keeps that order; here each reading only says what it is.
//
// # What is believed
//
// Whoever passes the source's door can make an alert fire or end. What was
// delivered is a claim (Confirmed is false); what API v2 says is the present
// state.
//
// Sources: Alertmanager's documentation of webhook_config and of
// notifications, its OpenAPI description of API v2, and Grafana's
// documentation of the webhook notifier.
package alerts
