// Package ctl is the operator's tool: it asks a running daemon, and sets its
// controls, over the daemon's HTTP API.
//
// Exit codes: 0 done, 1 the daemon refused, could not, or is not ready, 2 the
// command line or a configuration is wrong, 3 the daemon could not be reached.
package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
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
	Check func(path string) (string, error)
}

// tool is one run of the tool.
type tool struct {
	Options
	server string
	client *http.Client
	json   bool
}

// command is one of the tool's commands.
type command struct {
	name, args, about string
	run               func(t *tool, ctx context.Context, args []string) error
}

func commands() []command {
	return []command{
		{"status", "", "what is open, thrown, paused", (*tool).status},
		{"ready", "", "exit code 0 while the daemon leads and its store answers, 1 while not", (*tool).ready},
		{"explain", "INCIDENT", "what was seen, decided and done, and why", (*tool).explain},
		{"pause", "[--for D] [--reason TEXT] SCOPE", "hold actions: all, policy/NAME, owner/NAME, target/TARGET", setter(signalbox.Pause, "")},
		{"resume", "[--reason TEXT] SCOPE", "lift a pause; all lifts the kill switch too", setter(signalbox.Resume, "")},
		{"kill", "[--reason TEXT]", "stop all remediation until resume all", setter(signalbox.Kill, "all")},
		{"release", "[--reason TEXT] TARGET", "let automation act again on a target that it stopped on", prefixed(signalbox.Release, "target/")},
		{"undo", "[--reason TEXT] INCIDENT", "take back what an incident has thrown, where it waits for a person's word", prefixed(signalbox.TakeBack, "incident/")},
		{"acknowledge", "[--reason TEXT] INCIDENT", "acknowledge an incident's page in the pager", prefixed(signalbox.Acknowledge, "incident/")},
		{"reload", "", "read the configuration again", (*tool).reload},
		{"check", "PATH", "check a configuration without a daemon", (*tool).check},
	}
}

// Run runs the tool and returns its exit code.
func Run(ctx context.Context, args []string, o Options) int {
	t := &tool{Options: o}
	fs := flag.NewFlagSet("signalboxctl", flag.ContinueOnError)
	fs.SetOutput(o.Err)
	fs.StringVar(&t.server, "server", o.Server, "the daemon's control address, as a URL")
	httpConfig := fs.String("http.config.file", "", "how to authenticate (Prometheus HTTP client configuration)")
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
	client, err := newClient(*httpConfig)
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
		fmt.Fprintf(w, "  %-12s %-32s %s\n", c.name, c.args, c.about)
	}
	fs.PrintDefaults()
}

func newClient(file string) (*http.Client, error) {
	if file == "" {
		return &http.Client{Timeout: 30 * time.Second}, nil
	}
	cfg, _, err := promconfig.LoadHTTPConfigFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: not a usable HTTP client configuration", file)
	}
	client, err := promconfig.NewClientFromConfig(*cfg, "signalboxctl")
	if err != nil {
		return nil, err
	}
	client.Timeout = 30 * time.Second
	return client, nil
}

type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }

type unreachable struct{ err error }

func (u *unreachable) Error() string { return u.err.Error() }

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

// ask sends a request and decodes the answer into out; with -o json the answer
// is printed as it is.
func (t *tool) ask(ctx context.Context, method, path string, body, out any) error {
	b, err := t.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	if t.json {
		_, err := io.WriteString(t.Out, escaped(b))
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: the answer can't be read: %w", method, path, err)
	}
	return nil
}

// send sends a request and returns the body of a good answer.
func (t *tool) send(ctx context.Context, method, path string, body any) ([]byte, error) {
	var send io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(t.server, "/")+path, send)
	if err != nil || req.URL.Host == "" {
		return nil, &usageError{fmt.Sprintf("--server must be a URL, got %q", t.server)}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, &unreachable{err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, &unreachable{err}
	}
	if resp.StatusCode/100 == 2 {
		return b, nil
	}
	var said struct{ Error string }
	if json.Unmarshal(b, &said) == nil && said.Error != "" {
		return nil, errors.New(lines(said.Error))
	}
	return nil, fmt.Errorf("%s %s answered %s", method, path, plain(resp.Status))
}

// control is the body of a control request.
type control struct {
	Kind   signalbox.ControlKind `json:"kind"`
	Scope  string                `json:"scope"`
	For    signalbox.Duration    `json:"for,omitempty"`
	Reason string                `json:"reason"`
}

// setter returns a command that sets a control; with a fixed scope it takes
// none.
func setter(kind signalbox.ControlKind, scope string) func(*tool, context.Context, []string) error {
	return func(t *tool, ctx context.Context, args []string) error {
		return t.set(ctx, kind, scope, "", args)
	}
}

// prefixed returns a command whose argument is a name within a scope.
func prefixed(kind signalbox.ControlKind, prefix string) func(*tool, context.Context, []string) error {
	return func(t *tool, ctx context.Context, args []string) error {
		return t.set(ctx, kind, "", prefix, args)
	}
}

func (t *tool) set(ctx context.Context, kind signalbox.ControlKind, scope, prefix string, args []string) error {
	fs := flag.NewFlagSet(string(kind), flag.ContinueOnError)
	fs.SetOutput(t.Err)
	c := control{Kind: kind, Scope: scope}
	fs.StringVar(&c.Reason, "reason", "", "why, for the journal")
	if kind == signalbox.Pause {
		fs.Func("for", "how long, like 30m; without it until resume", func(s string) error { return c.For.UnmarshalText([]byte(s)) })
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return &usageError{err.Error()}
	}
	switch want := scope == ""; {
	case want && fs.NArg() != 1:
		return &usageError{fmt.Sprintf("%s takes one argument, got %d", kind, fs.NArg())}
	case !want && fs.NArg() != 0:
		return &usageError{fmt.Sprintf("%s takes no argument, got %q", kind, fs.Args())}
	case want:
		c.Scope = prefix + strings.TrimPrefix(fs.Arg(0), prefix)
	}
	var set signalbox.Control
	if err := t.ask(ctx, http.MethodPost, "/api/v1/control", c, &set); err != nil || t.json {
		return err
	}
	text := fmt.Sprintf("%s %s, by %s", plain(string(set.Kind)), plain(set.Scope), plain(set.Who))
	if !set.Until.IsZero() {
		text += " until " + set.Until.Format(time.RFC3339)
	}
	fmt.Fprintln(t.Out, text)
	return nil
}

func (t *tool) ready(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return &usageError{"ready takes no arguments"}
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
	var out struct{ Config string }
	if err := t.ask(ctx, http.MethodPost, "/-/reload", nil, &out); err != nil || t.json {
		return err
	}
	fmt.Fprintln(t.Out, "reloaded, configuration", plain(out.Config))
	return nil
}

func (t *tool) check(_ context.Context, args []string) error {
	if len(args) != 1 {
		return &usageError{"check takes one path"}
	}
	said, err := t.Check(args[0])
	if err != nil {
		return &usageError{err.Error()}
	}
	fmt.Fprintln(t.Out, said)
	return nil
}

func incidentPath(id string) string { return "/api/v1/incidents/" + url.PathEscape(id) }
