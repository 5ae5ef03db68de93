// Package faults is the fault campaign: the real daemon, built with the steps
// of internal/step, is killed, stopped and starved while alerts come in, and
// what its targets saw is held against what it says.
//
// # Rows
//
//	rows.go    the table: each kind of fault, its variants, how many a full run has
//	play.go    how each row strikes; disk.go those of the disk, replicas.go those of several, restore.go those of a
//	           store that goes back in time, partition.go those of members that are cut off from each other in the
//	           namespaces of network.go, elsewhere.go tests that stand elsewhere
//	cell.go    one daemon, or three replicas, with a store, a pager, targets and a sender of their own, from start to judgement
//	daemon.go  one process of a cell
//	sender.go  Alertmanager's part: each alert is posted, to one replica after the other, until it is answered 2xx, and then never again
//	target.go  targets of the classes A (compares and sets), B (knows a key), C (can be read back) and D (blind)
//	judge.go   the oracle; books.go what it reads of the journal
//	results.go what adds up, and the table in docs/faults.md; mutants.go daemons that are wrong, and which of them were caught
//
// A row that can't be run yet says so in the table, and is not left out of it.
//
// # Oracle
//
// A target writes down each request that reached it, when, and what came of it.
// A request lives on when its sender is gone, and takes 0, 1.5 or 5 times as
// long as the daemon takes to be ready again after a kill, as measured in the
// same cell: a target that is faster than a recovery hides bugs. Once a cell is
// drained the daemon is stopped, and its journal is verified and read:
//
//   - each alert is answered 2xx once all faults are over
//   - each alert that was answered 2xx has an incident, with one end, or one whose action is left in doubt,
//     or whose throw stays, with its owner paged, since each attempt to take it back failed
//   - what is left in flight is at a target of class D, or, in a store that went back in time, of class A or C and claimed before that
//   - each effect has one action, whose intent is older than the request; an action has one effect, and so has an incident's throw
//   - an action that is on record as without effect had none, and one on record as done had one
//   - what is claimed at a target waits for the end of all before it there, and no older action's effect comes after a newer one's
//   - what is in doubt is settled, or its incident paged, within two minutes, and one more for the times when nobody leads
//   - the token at a target of class A never goes back, no two effects at one target overlap, and a cooldown is kept
//
// A store that was restored has forgotten a part: the journal as it was before
// stands beside the one that is read at the end, and no action of either has a
// second effect.
//
// # How results add up
//
// A part is one cell: its row and variant, seed, commit, date, counts, gaps and
// findings. results.json holds all parts, and only ever gets more. Two files of
// results are merged by putting their parts together, each once. Sums are over
// all parts of a row, of whatever commits; the table says of which. The seed
// decides when faults strike; what the machine does between them it does not.
//
//	make faults                 continues with the rows of which most is left to do, and rewrites docs/faults.md
//	make faults-mutants         daemons that are wrong in one way each, which the rows must catch
//	go test ./test/faults       a few of each row
package faults
