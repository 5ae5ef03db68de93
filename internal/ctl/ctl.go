// Package ctl is the operator's tool: it asks a running daemon, and sets its
// controls, over the daemon's HTTP API.
//
// Exit codes: 0 done, 1 the daemon refused, could not, or is not ready, 2 the
// command line or a configuration is wrong, 3 the daemon could not be reached.
package ctl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// Exit codes of Run.
const (
	OK          = 0
	Refused     = 1
	Usage       = 2
	Unreachable = 3
)

// Options is what a Run needs of its process.
type Options struct {
	Out, Err io.Writer
	Server   string // default server
	// Check checks a configuration; its error is printed as it is.
	Check func(path string, allowCommands bool) (string, error)
	// Restore puts a snapshot in the place of a stopped daemon's store.
	Restore func(data, file string, c Cluster, now time.Time) (store.Restored, error)
	// Copy streams a snapshot of a stopped daemon's store. It works on a copy
	// beneath the directory beside.
	Copy func(ctx context.Context, data, beside string, to io.Writer) error
}

// Cluster is of which cluster a restored store is a member, in the words of the
// daemon's flags; the zero value: it is alone.
type Cluster struct{ Name, Member, Members string }

// tool is one run of the tool.
type tool struct {
	Options
	servers servers
	client  *http.Client
	json    bool
}

// command is one of the tool's commands.
type command struct {
	name, args, about string
	run               func(t *tool, ctx context.Context, args []string) error
}

func commands() []command {
	return []command{
		{"status", "", "what is open, thrown, paused", (*tool).status},
		{"ready", "", "exit code 0 while the daemon leads or stands by, and its store answers; 1 while not", (*tool).ready},
		{"explain", "[--why-not POLICY] INCIDENT[#N]", "what was seen, considered, decided and done, and what would change it; #N: the N-th decision", (*tool).explain},
		{"policies", "[NAME]", "how far each policy may go; of one, the record that argues for or against its promotion", (*tool).policies},
		{"approvals", "", "what waits for a person's approval, and what was answered", (*tool).approvals},
		{"approve", "[--reason TEXT] ID", "approve a step, once", answerer("approve")},
		{"deny", "--reason TEXT ID", "deny a step, which demotes its policy", answerer("deny")},
		{"pause", "[--for D] --reason TEXT SCOPE", "hold actions: all, policy/NAME, owner/NAME, target/TARGET", setter(signalbox.Pause, "")},
		{"resume", "[--reason TEXT] SCOPE", "lift a pause; all lifts the kill switch too", setter(signalbox.Resume, "")},
		{"kill", "[--reason TEXT]", "stop all remediation until resume all", setter(signalbox.Kill, "all")},
		{"take", "[--for D] --reason TEXT SCOPE", "a person's until it is released: incident/ID, target/TARGET, policy/NAME, owner/NAME", setter(signalbox.Take, "")},
		{"release", "[--reason TEXT] SCOPE", "give back to automation what was taken, or a target that it stopped on", (*tool).release},
		{"restore", "[--reason TEXT] POLICY", "give a policy that was demoted its configured autonomy back", prefixed(signalbox.Restore, "policy/")},
		{"eta", "[--reason TEXT] INCIDENT D", "say how long an incident will last from now, as its owner", (*tool).eta},
		{"undo", "[--reason TEXT] INCIDENT", "take back what an incident has thrown, where it waits for a person's word", prefixed(signalbox.TakeBack, "incident/")},
		{"settle", "--reason TEXT ACTION done|not-done", "say what became of an action in doubt, once you have looked", (*tool).settle},
		{"acknowledge", "[--reason TEXT] INCIDENT", "acknowledge an incident's page in the pager", prefixed(signalbox.Acknowledge, "incident/")},
		{"store", "members [add [--reason TEXT] NAME ADDRESS | remove [--reason TEXT] NAME]", "the members of the store's cluster, and changes of them", (*tool).store},
		{"store", "status", "how the store is, and how far the marks outside of it have come", (*tool).store},
		{"store", "backup [--data DIR] FILE", "a consistent copy of the store, with its hash; of a stopped daemon's, by its data directory", (*tool).store},
		{"store", "restore --data DIR [--cluster.initial-members … --cluster.member-name NAME] FILE", "put a copy in the place of a stopped daemon's store; of a cluster, on every member", (*tool).store},
		{"store", "confirm --reason TEXT", "rely on a store that went back in time, once it was compared with the world", (*tool).store},
		{"journal", "export [--from N] [--since T] [FILE]", "entries as they are stored, one a line, hash-chained", (*tool).journal},
		{"journal", "verify [FILE or DIR]...", "check the chain of exports or archives; without any, of what the daemon has", (*tool).journal},
		{"reload", "", "read the configuration again", (*tool).reload},
		{"check", "[--allow-commands] PATH", "check a configuration without a daemon", (*tool).check},
	}
}

// Run runs the tool and returns its exit code.
func Run(ctx context.Context, args []string, o Options) int {
	t := &tool{Options: o, servers: servers{all: []string{o.Server}}}
	fs := flag.NewFlagSet("signalboxctl", flag.ContinueOnError)
	fs.SetOutput(o.Err)
	fs.Var(&t.servers, "server", "the daemon's control address, as a URL; of several replicas all, comma separated or repeated: the next is asked where one can't")
	httpConfig := fs.String("http.config.file", "", "how to authenticate (Prometheus HTTP client configuration)")
	tokenFile := fs.String("token-file", "", "file that holds your bearer token")
	output := fs.String("o", "table", "output: table or json")
	fs.Usage = func() { usage(fs, o.Err) }
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return OK
	} else if err != nil {
		return Usage // the flag set has said why
	}
	t.json = *output == "json"
	if *output != "json" && *output != "table" {
		return t.fail(&usageError{fmt.Sprintf("-o must be table or json, got %q", *output)})
	}
	client, err := newClient(*httpConfig, *tokenFile)
	if err != nil {
		return t.fail(&usageError{err.Error()})
	}
	t.client = client
	if fs.NArg() == 0 {
		usage(fs, o.Err)
		return Usage
	}
	for _, c := range commands() {
		if c.name == fs.Arg(0) {
			return t.fail(c.run(t, ctx, fs.Args()[1:]))
		}
	}
	return t.fail(&usageError{fmt.Sprintf("no command %q; run signalboxctl without arguments for the list", fs.Arg(0))})
}

func usage(fs *flag.FlagSet, w io.Writer) {
	fmt.Fprintln(w, "usage: signalboxctl [flags] COMMAND")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-12s %-34s %s\n", c.name, c.args, c.about)
	}
	fs.PrintDefaults()
}

type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }

type unreachable struct{ err error }

func (u *unreachable) Error() string { return u.err.Error() }
func (u *unreachable) Unwrap() error { return u.err }

// fail prints an error and returns its exit code.
func (t *tool) fail(err error) int {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(t.Err, "signalboxctl:", err)
	}
	return exitOf(err)
}

func exitOf(err error) int {
	var u *usageError
	var n *unreachable
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return OK
	case errors.As(err, &u):
		return Usage
	case errors.As(err, &n):
		return Unreachable
	}
	return Refused
}

func (t *tool) ready(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return &usageError{"ready takes no arguments"}
	}
	if err := t.servers.one("ready"); err != nil {
		return err
	}
	if _, err := t.send(ctx, http.MethodGet, "/-/ready", nil); err != nil {
		return err
	}
	if t.json {
		fmt.Fprintln(t.Out, `{"ready":true}`)
		return nil
	}
	fmt.Fprintln(t.Out, "ready")
	return nil
}

func (t *tool) reload(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return &usageError{"reload takes no arguments"}
	}
	if err := t.servers.one("reload"); err != nil {
		return err
	}
	var out struct{ Config string }
	if err := t.ask(ctx, http.MethodPost, "/-/reload", nil, &out); err != nil || t.json {
		return err
	}
	fmt.Fprintln(t.Out, "reloaded, configuration", plain(out.Config))
	return nil
}

func (t *tool) check(_ context.Context, args []string) error {
	fs := flag.NewFlagSet("signalboxctl check", flag.ContinueOnError)
	fs.SetOutput(t.Err)
	allow := fs.Bool("allow-commands", false, "the daemon will be started with --allow-commands")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return &usageError{err.Error()}
	}
	if fs.NArg() != 1 {
		return &usageError{"check takes one path"}
	}
	said, err := t.Check(fs.Arg(0), *allow)
	if err != nil {
		return &usageError{err.Error()}
	}
	fmt.Fprintln(t.Out, said)
	return nil
}
