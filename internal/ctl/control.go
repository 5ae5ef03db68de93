package ctl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

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

// flags parses the flags of a command, and its arguments, of which there must
// be n. Flags may stand behind arguments.
func (t *tool) flags(fs *flag.FlagSet, args []string, n int) ([]string, error) {
	fs.SetOutput(t.Err)
	var rest []string
	for {
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, &usageError{err.Error()}
		}
		if fs.NArg() == 0 {
			break
		}
		rest, args = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
	words := []string{"no argument", "one argument", "two arguments"}
	if len(rest) != n {
		return nil, &usageError{fmt.Sprintf("%s takes %s, got %q", fs.Name(), words[n], rest)}
	}
	return rest, nil
}

func (t *tool) set(ctx context.Context, kind signalbox.ControlKind, scope, prefix string, args []string) error {
	fs := flag.NewFlagSet(string(kind), flag.ContinueOnError)
	c := control{Kind: kind, Scope: scope}
	fs.StringVar(&c.Reason, "reason", "", "why, for the journal")
	if kind == signalbox.Pause || kind == signalbox.Take {
		fs.Func("for", "how long, like 30m; without it until it is lifted", func(s string) error { return c.For.UnmarshalText([]byte(s)) })
	}
	n := 0
	if scope == "" {
		n = 1
	}
	rest, err := t.flags(fs, args, n)
	if err != nil {
		return err
	}
	if (kind == signalbox.Pause || kind == signalbox.Take) && strings.TrimSpace(c.Reason) == "" {
		return &usageError{fmt.Sprintf("%s needs --reason, for the journal and for those who find it", kind)}
	}
	if n == 1 {
		c.Scope = prefix + strings.TrimPrefix(rest[0], prefix)
	}
	return t.post(ctx, c)
}

// post sets a control and tells what was set.
func (t *tool) post(ctx context.Context, c control) error {
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

// release takes a scope, or a target as it is printed.
func (t *tool) release(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("release", flag.ContinueOnError)
	c := control{Kind: signalbox.Release}
	fs.StringVar(&c.Reason, "reason", "", "why, for the journal")
	rest, err := t.flags(fs, args, 1)
	if err != nil {
		return err
	}
	c.Scope = rest[0]
	switch kind, _, _ := strings.Cut(c.Scope, "/"); kind {
	case "all", "policy", "owner", "target", "incident", "subject":
	default:
		c.Scope = "target/" + c.Scope
	}
	return t.post(ctx, c)
}

// settle says what became of an action in doubt.
func (t *tool) settle(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("settle", flag.ContinueOnError)
	var c control
	fs.StringVar(&c.Reason, "reason", "", "what was seen at the target, for the journal")
	rest, err := t.flags(fs, args, 2)
	if err != nil {
		return err
	}
	c.Kind, c.Scope = signalbox.ControlKind(rest[1]), "action/"+strings.TrimPrefix(rest[0], "action/")
	if c.Kind != signalbox.Happened && c.Kind != signalbox.NotHappened {
		return &usageError{fmt.Sprintf("settle needs what became of the action, done or not-done, got %q", rest[1])}
	}
	if strings.TrimSpace(c.Reason) == "" {
		return &usageError{"settle needs --reason: what was seen at the target, and where"}
	}
	return t.post(ctx, c)
}

func (t *tool) eta(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("eta", flag.ContinueOnError)
	c := control{Kind: signalbox.Estimate}
	fs.StringVar(&c.Reason, "reason", "", "what it depends on")
	rest, err := t.flags(fs, args, 2)
	if err != nil {
		return err
	}
	c.Scope = "incident/" + strings.TrimPrefix(rest[0], "incident/")
	if err := c.For.UnmarshalText([]byte(rest[1])); err != nil || c.For <= 0 {
		return &usageError{fmt.Sprintf("eta needs how long it will last from now, like 45m, got %q", rest[1])}
	}
	return t.post(ctx, c)
}
