// Package parity holds the daemon's rules against Prometheus': the rule files
// under testdata, in the style of the usual exporters' rules, are evaluated by
// Prometheus and by the daemon over the same scripted series, and the
// transitions of their alerts must be the same.
//
//	script.go        the series: seeded, with episodes, resets, gaps, outages
//	engine.go        storage and PromQL engine of Prometheus, in process, as a Source
//	transitions.go   what is compared
//	engine_test.go   an hour in virtual time: Prometheus' own rule groups against the poller's detectors
//	server_test.go   real time: a Prometheus server against the poller and the source prometheus
//
// Set SIGNALBOX_HOUR to a length of time ("1h", "10m") for the real hour; else
// only a short run of it is made, with all times of the rules made shorter.
package parity
