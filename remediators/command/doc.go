// Package command runs a program on the daemon's own host: the scripts of the
// handbook, where there is no cluster to run them in.
//
//	Settings    settings.go   the keys of a tool; argv.go what may stand in argv
//	spec        spec.go       Step.Spec: the resolved settings
//	place       place.go      what is found on this host: the program, its user, its directory
//	remediator  remediator.go Preview, Start, Probe; tell.go what is said of a run
//
// internal/runner runs it; its doc says how, and what is known after a crash.
//
// # Off by default
//
// Whoever may write the configuration may with this kind run programs on the host
// of the daemon. So a configuration with such a tool is refused unless the daemon
// was started with --allow-commands, which stands elsewhere: in the unit file.
//
// # What can be run
//
// A program of the configuration, by its absolute path, with arguments of the
// configuration. No shell reads them. The one thing that comes from outside is an
// id, and only where the whole of it matches a pattern that can't begin with a
// dash, so that it is never an option. Who else could change the program, a script
// that is its first argument, or a directory on the way to them, could run anything: then
// nothing is run. It runs as a user of its own, never as root, without groups,
// privileges or the daemon's environment, under limits of its own.
//
// # Class C, by a record on this host
//
// The effect of a program can't be read back. But whether it began can: the order
// is on record before anything is begun, once for an action's id, and the runner
// writes down the begin before the program can do anything. So it is begun at most
// once, after any crash; no record in the directory where it would be says that it
// was not; a begin without an end is a doubt that only a person can settle.
//
// The record is on one host. The forecast of an action names the host and the
// directory, and what is asked about an action of another one is in doubt: look
// there. A replica that takes over on another host settles nothing by itself.
//
// There is no undo. A run that went wrong is failed, with what it said.
package command
