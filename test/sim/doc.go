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
//	limits.go   of these, budgets, blast radii and what is listed
//
// Judged at each request and each effect: I2 to I7, I9, I10, I12 to I14, I16 and I17, with
// the budgets of policies, targets, owners, classes and all, bursts, cooldowns, blast
// radii, freezes, controls, leases and demotions; at each commit I2, I8, I9 and that an
// incident ends in one of its end states; beside the daemon, now and then, that the
// journal verifies (I11); at the end of a story I1, I3, I8, I11 and I15. TestOracle tells
// it histories that are wrong. Not judged here:
//   - a restore of the store (I5): internal/engine's TestOlderStoreIsFrozenUntilConfirmed
//     and the row restore of test/faults
//   - that folding the journal gives the state (I11): internal/journal's TestStateIsOne
//   - the pages of a storm (I12): internal/engine's TestStormOfAlertsIsTensOfPages
//   - what labels and the values that are found may choose (I14): each kind's own
//
// What happens, and when, follows from the seed alone. Goroutines that are
// ready at the same moment of virtual time run in an order of the scheduler's,
// so that a seed repeats the story, and not each interleaving in it.
//
//	make sim                          100,000 incidents over 90 days, in two stories
//	make sim INCIDENTS=1000000 DAYS=900 SEED=7
package sim
