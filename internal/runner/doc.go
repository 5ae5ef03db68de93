// Package runner runs a program on this host apart from the daemon: once for an
// id, with limits, and so that what became of it can be told after the daemon
// was killed.
//
//	order.go        what is to be run, and what is known of it
//	dir.go          the directory of orders: Prepare, Identity, Look
//	start_linux.go  Start: the order is put on record, and a runner is begun
//	run_linux.go    the runner, a process of its own: waits, limits the time, keeps the output's end
//	exec_linux.go   the last step before the program: user, limits, exec
//	reap_linux.go   the end of all its processes
//
// # Three processes
//
// The daemon puts the order on record and begins a runner: its own binary, in a
// session of its own, so that neither the daemon's end nor a signal to its group
// ends it. The runner begins the same binary once more, puts its process id on
// record, and only then lets it become the program. So at each moment a file says
// how far it has come, and it was durable before the next thing was done:
//
//	NAME.order  written, locked and linked to its name by the daemon, once for an id
//	NAME.begun  written by the runner before the program can do anything
//	NAME.end    renamed to its name by the runner, when all its processes are gone
//
// # The lock
//
// The lock (flock) on the order is taken by the daemon before the order has its
// name, and the runner inherits it. Nobody takes it again. So it is held exactly
// while somebody may still begin the program or follow it, and once it is free
// the files are final: no begin, and there will be none; an end, and it is the
// end; a begin without an end, and the runner died or the host did. What the
// program did then is not known, and it is never run again.
//
// A daemon that was stopped between its last check and the begin, and goes on
// after its successor looked, begins nothing: the time by which to start is set
// before the last check, on a clock that also counts while the host sleeps, and
// the runner looks at it last thing.
package runner
