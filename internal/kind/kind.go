// Package kind holds what the tables of kinds are made of: how a kind of
// source, detector, switch or step tells the configuration which keys it
// takes, checks them, and is built. A kind's folder imports it; it knows no
// kind itself.
//
// Settings are plain structs with `yaml` and `json` tags of the same names, a
// `jsonschema` tag where a rule can be said there, and a doc comment on each
// field, which becomes the description in the JSON Schema. A key that no field
// names is refused.
package kind

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/track"
)

// Fail reports one violated rule: the path below the settings' own mapping
// ("breach.above"), the rule in plain words, and the value that was found.
type Fail func(path, rule string, value any)

// Settings is what the configuration says to one kind. Validate is called once
// all keys are decoded into it; it does no I/O and reports every violation.
type Settings interface {
	Validate(fail Fail)
}

// Env is what the daemon gives to what it builds.
type Env struct {
	Log   *slog.Logger
	Now   func() time.Time // wall time
	Agent string           // User-Agent of all requests
	// ConfigDir is where relative paths in the configuration begin.
	ConfigDir string
	// AllowCommands says that programs may be run on the daemon's own host, and
	// Commands is the directory with what is on record of them.
	AllowCommands bool
	Commands      string
}

// Source is one kind of source, as a line in the table of detectors.
type Source struct {
	Name string // "prometheus", as in `kind:`
	// Settings returns new settings of the source with their defaults.
	Settings func() Settings
	// Detector returns new settings of a detector on such a source, with
	// defaults, for the keys beyond those of Common; nil where it has none.
	Detector func() DetectorSettings
	// Look returns new settings of a look at such a source, with defaults, for
	// the keys beyond those that every entry of `evidence` has; nil where it can't
	// be looked at.
	Look func() LookSettings
	// Open connects; it does no I/O that can block. The result implements
	// signalbox.Source, signalbox.Receiver with signalbox.Completer, or, for a
	// mere connection, none of them.
	Open func(name string, s Settings, env Env) (any, error)
	// Receives returns the path at which such a source takes webhooks; nil or
	// "" where it takes none.
	Receives func(s Settings) string
	// Door returns who may post there; nil where it takes no webhooks.
	Door func(s Settings) *Door
}

// Common is what every detector has, whatever its source.
type Common struct {
	Name         string
	Source       string
	Subject      Subject
	Labels       []string // kept on its incidents; empty: all
	Owner        string
	Interval     time.Duration // between two rounds
	UnknownAfter time.Duration // Unknown for longer is itself paged
	Links        []signalbox.Link
	// Origin is who measures, where the configuration declares it: it stands
	// above what a kind knows by itself.
	Origin string
}

// DetectorSettings is what the configuration says to one detector.
type DetectorSettings interface {
	Settings
	// Build makes the detector and the timing of its edges. opened is what
	// the source's Open returned.
	Build(c Common, opened any) (signalbox.Detector, track.Timing, error)
	// Unit is the unit of its value, for the type check of conditions.
	Unit() signalbox.Unit
}

// Remediator is one kind of remediator: it throws switches, or takes steps that
// need none.
type Remediator struct {
	Name    string // "endpoint", as in Step.Kind
	Keyword string // "flip": the key of a runbook's step that asks for it; "": none does
	// Backends are the keys of a switch of which exactly one is given, each
	// with new settings; nil where the kind needs no switch.
	Backends map[string]func() Settings
	// Tools are the keys of a tool, of which exactly one is given: what steps
	// use that throw no switch. nil where the kind has none.
	Tools map[string]Tool
	// Items says that its steps may take a bounded list of ids (Step.Items).
	Items bool
	// Owner are the keys of an owner's block that say how the owner is
	// reached, each with new settings; nil where the kind reaches nobody.
	Owner map[string]func() Settings
	// Channel are the keys of an owner's second channel, of which exactly one
	// is given, each with new settings: how the owner is told when the pager
	// fails. Such a kind's remediator is a Pager. nil where it is none.
	Channel map[string]func() Settings
	// Spec resolves a switch or tool, or for a kind with Owner or Channel an
	// owner, into Step.Spec. For a rung of SpecInput that the owner's settings do
	// not have, it returns nil.
	Spec func(in SpecInput) (json.RawMessage, error)
	// Open makes the remediator. It may keep connections, and no state of
	// actions.
	Open func(env Env) (signalbox.Remediator, error)
}

// Tool is what a runbook uses that has no positions of its own: a job, a
// rollout, a channel.
type Tool struct {
	// Settings returns new settings of the tool with their defaults.
	Settings func() Settings
	// Moves are what a step may do with it as it is set, each a value of its
	// `to`; nil, or none: there is one thing to do, and its steps have no `to`.
	Moves func(s Settings) []string
	// After are the moves that a runbook must have with the same tool before one,
	// since it is refused until they are done; nil: its moves stand in any order.
	After func(s Settings, move string) []string
	// Tells says that its steps only tell people: see signalbox.Flow.Tells.
	Tells bool
	// About says that its steps are told which incident they are about:
	// signalbox.Step.About.
	About bool
	// Host says what on this host forbids such a tool, by its Step.Spec; "":
	// nothing. A kind that has it runs programs on the daemon's own host, and its
	// tools are refused unless the daemon is allowed to.
	Host func(spec json.RawMessage) string
}

// SpecInput is one switch, tool or owner, as configured.
type SpecInput struct {
	Name      string
	Backend   string                                                   // the key that was given, of Backends, Tools, Owner or Channel
	Settings  Settings                                                 // of that key
	Positions map[string]string                                        // name to value
	Source    func(name string) (kindName string, s Settings, ok bool) // a configured source, by its name
	ConfigDir string
	Rung      signalbox.Rung // of an owner: whose page step is wanted; its primary's, or its backup's
}

// Escalator is the Settings of an owner whose pager may go on to others by
// itself when nobody acknowledges.
type Escalator interface {
	// Escalates reports whether the pager does it, by a policy that the
	// settings name. The daemon does it where the settings have a backup.
	Escalates() bool
}

// Doer is an http.RoundTripper's user; *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Pager sends pages, by what an owner's Step.Spec says. The remediator that
// reaches owners implements it; its Start uses the same code.
type Pager interface {
	// Page sends one event of one page. It returns a *signalbox.RetryAfter
	// where the pager asked to wait, and a *signalbox.Failure where a retry
	// can't help.
	Page(ctx context.Context, spec json.RawMessage, key string, event signalbox.PageEvent, body signalbox.PageBody) error
}

// AckReader is a Pager that can tell what became of its pages, for where
// nothing posts it to us.
type AckReader interface {
	// Acks returns those of keys that a person acknowledged, and who. Its
	// errors are those of Pager.
	Acks(ctx context.Context, spec json.RawMessage, keys []string) (map[string]signalbox.Control, error)
}

// Noter is a Pager that can tell more on the incident of a page. A note is told
// at least once.
type Noter interface {
	// TakesNotes reports whether notes are told anywhere for a page step.
	TakesNotes(spec json.RawMessage) bool
	Note(ctx context.Context, spec json.RawMessage, key string, n signalbox.Note) error
}
