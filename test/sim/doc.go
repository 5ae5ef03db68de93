// Package sim plays months of incidents against the whole engine, in virtual
// time: the engine's own loop, the journal and the policy over store/mem, with
// a company of services whose switches, alerts, people and pager are simulated,
// and with faults at random moments.
//
//	company.go  what is ill, why, and what cures it
//	targets.go  the switches; each one's own log is the oracle
//	people.go   who approves, takes, releases, pauses, flips by hand
//	faults.go   what breaks: the process, its store, its lease, targets, the pager, eyesight
//	process.go  the daemon's core, from start to kill -9
//	oracle.go   the invariants, looked at each request that reaches a target and at each commit
//
// What happens, and when, follows from the seed alone. Goroutines that are
// ready at the same moment of virtual time run in an order of the scheduler's,
// so that a seed repeats the story, and not each interleaving in it.
//
//	make sim                          100,000 incidents over 90 days, in two stories
//	make sim INCIDENTS=1000000 DAYS=900 SEED=7
package sim
