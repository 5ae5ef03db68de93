// Package day plays a day of trouble against what the daemon sees with: its
// poller, its tracker and the detectors of the kind prometheus, over
// Prometheus' own storage and PromQL engine, in virtual time.
//
//	world_test.go    what is true: series that flap, counters that reset; and what hides it: gaps, late samples, skewed clocks, failing answers
//	oracle_test.go   what must and what must not have been told, by what is true, never by what was seen
//	day_test.go      the day
//
// The day is made from a seed, which is printed when it fails; SIGNALBOX_SEED
// plays another one.
package day
