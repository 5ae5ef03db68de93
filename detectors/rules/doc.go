// Package rules makes detectors of Prometheus' alerting rules, unchanged. Each
// rule is one detector, and each of its alerts one series.
//
//	Read        file.go     a rule file, as Prometheus reads it, with every error and its line
//	Settings    rules.go    one rule, and how it was included: builds a Detector
//	Detector    judge.go    answers to readings
//	ledger      ledger.go   Prometheus' own states: pending, firing, kept firing, resolved
//	template    expand.go   labels and annotations, expanded by Prometheus' template package
//	proof       proof.go    what proves that an alert that has ended is well; evidence.go reads it
//	Clock       clock.go    asks at the moments at which Prometheus evaluates
//
// A reading is Breached exactly while Prometheus would have the alert firing.
// An alert that ends is another matter: Prometheus calls it resolved as soon as
// its expression gives no sample, be it that all is well or that nothing is
// measured any more. Here it is Clear only when what the expression looks at is
// still measured, and Unknown until then. A reading's sample time is that of the
// oldest sample behind it, which is asked beside the expression as package
// freshness says.
//
// What proves health and tells ages is asked only while a rule has an alert, or
// could have one at once. So a quiet rule costs one query, as in Prometheus.
package rules
