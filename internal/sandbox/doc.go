// Package sandbox is a small simulated company in one process: something for
// the daemon to watch, to act on and to page, on a machine with nothing but
// this binary. `make run` and drills use it.
//
// Everything that the daemon talks to is real at its edge. Metrics lie in a
// real TSDB and are asked through a real PromQL engine behind Prometheus' HTTP
// API; switches are settings with strong ETags and If-Match; the pager takes
// PagerDuty Events v2. Only the company behind them is made up, and its metrics
// answer to the switches.
//
// # The way of the data
//
//	scenes.go    time -> faults: what breaks when, a fixed rotation
//	switches.go  PUT -> positions
//	model.go     (state, faults, positions, dt) -> state: a pure step, no chance in it
//	series.go    state -> samples
//	history.go   samples -> TSDB
//	promapi.go   TSDB -> PromQL engine -> /api/v1/query, /api/v1/query_range
//	pager.go     /v2/enqueue -> pages; heartbeat.go notices when the daemon falls silent
//	story.go     what changed -> plain lines; narrator.go prints them
//	company.go   holds them together and ticks; routes.go is its front door
//	config.go    the configuration with which the daemon watches this company
//
// # The company
//
//   - The database eu has replicas a and b; readers follow the switch
//     read-endpoint, and see the lag of the replica that it names.
//   - A payment service provider posts webhooks, which wait in a queue while
//     it is degraded; payouts go out through the same provider.
//   - A CDN has three POPs at two providers; traffic follows the switch
//     cdn-provider.
//
// A switch takes any value, as a real setting would: with one that names
// nothing, readers or visitors get errors.
package sandbox
