package app

import (
	"fmt"
	"path/filepath"

	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/runner"
)

// RunnerCommand is the hidden subcommand that runs a program apart from the daemon.
const RunnerCommand = runner.Command

// RunCommand is what the processes of the runner do; it returns the exit code.
func RunCommand(args []string) int { return runner.Main(args) }

// commands is the directory with what is on record of programs. It is absolute,
// since runners read it from another one.
func (d *daemon) commands() string {
	dir := filepath.Join(d.options.Data, "commands")
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return dir
}

// prepareCommands makes that directory. Without it no program is run, and each
// preview says so; the daemon goes on.
func (d *daemon) prepareCommands() {
	if !d.options.AllowCommands {
		return
	}
	if err := runner.Dir(d.commands()).Prepare(d.options.Now()); err != nil {
		d.log.Error("no program can be run on this host: there is no directory for what is on record of them", "error", err)
	}
}

// hostWarnings are what stands in the way of tools on this host, which need not be
// the daemon's.
func hostWarnings(cfg *config.Config) (list []string) {
	for _, t := range cfg.Tools {
		if why := t.Host(); why != "" {
			list = append(list, fmt.Sprintf("tool %q can't be run on this host: %s", t.Name, why))
		}
	}
	return list
}
