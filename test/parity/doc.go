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
// The run in virtual time is the proof: all rules, the whole hour, not one
// transition at another moment. It uses Prometheus' rule engine as a library.
// Beside it a Prometheus 2.42 server, which is what people run, evaluates eight
// of the files in every run of the tests, in some 80 seconds and with all times
// made shorter. Set SIGNALBOX_HOUR for all files and the whole hour of the
// script: to how long that takes ("1h" in real time, "20m" three times as fast).
//
// Prometheus 2.42 is the oldest server with keep_firing_for. It does not know
// query_offset and labels of groups, which are taken out for it.
package parity
