package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/people"
	"github.com/signalbox/signalbox/policy"
)

// Kinds are the tables of kinds.
type Kinds struct {
	Sources     []kind.Source
	Remediators []kind.Remediator
	Rules       *Rules       // nil: there are no rule files
	Catalog     kind.Catalog // nil: there is no catalogue
}

// Options of Load; the zero value is what the daemon uses.
type Options struct {
	// LookupEnv finds environment variables; nil: os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// SecretsElsewhere leaves out the check that the files and variables that
	// are named are there: for a check on another machine.
	SecretsElsewhere bool
	// AllowCommands lets through tools that run programs on the daemon's own host.
	AllowCommands bool
}

// Config is a valid configuration. It holds no secret, only names of files and
// variables, and is not changed once it is loaded.
type Config struct {
	// Hash identifies the content: comments, the order of keys and the split
	// into files do not count.
	Hash         string
	Path         string       // as it was given to Load
	Dir          string       // absolute: where relative paths begin
	Sources      []*Source    // by name
	Owners       []*Owner     // by name
	Detectors    []*Detector  // as written, then those of rule files
	ClusterRules []*RuleFiles // the rules that a cluster's resources hold
	Switches     []*Switch    // by name
	Tools        []*Tool      // by name
	Evidence     []*Evidence  // as written
	DefaultOwner string
	People       map[string]people.Settings
	Calendars    []*Calendar
	Silences     string // name of the source whose silences are read; empty: none
	Policy       policy.Config
	Heartbeat    *Heartbeat // nil: none
	Tracing      *Tracing   // nil: none
	Audit        *Audit     // nil: none
}

// Source is one configured source.
type Source struct {
	Name         string
	Kind         kind.Source   `json:"-"`
	Settings     kind.Settings // of the kind
	UnknownAfter time.Duration
	Place        Place
}

// Detector is one configured detector.
type Detector struct {
	kind.Common
	Kind     kind.Source `json:"-"` // of its source
	Settings kind.DetectorSettings
	Place    Place

	rule bool // of a rule file
}

// Owner is one configured owner.
type Owner struct {
	Name       string
	Primary    string
	Backup     string          // as people write it
	Page       signalbox.Step  // how it is paged
	BackupPage *signalbox.Step // how its backup is; nil: there is none that the daemon pages
	Second     *signalbox.Step // its second channel; nil: it has none
	Policy     policy.Owner    // who escalates
	Place      Place
}

// Switch is one configured switch.
type Switch struct {
	Name      string
	Kind      string // the remediator's
	Backend   string // the key that says where it is
	Settings  kind.Settings
	Undo      signalbox.UndoMode
	Positions map[string]string
	Health    map[string]signalbox.Witness // by position; nil: nothing proves any healthy
	Spec      json.RawMessage
	Place     Place

	proved bool // health was given, be it right or wrong
}

// Tool is one configured tool.
type Tool struct {
	Name     string
	Kind     string // the remediator's
	Key      string // the key that says what it is
	Settings kind.Settings
	Undo     signalbox.UndoMode
	Spec     json.RawMessage
	Place    Place

	is kind.Tool
}

// Host says what on this host forbids a tool that runs a program on the daemon's
// own; empty: nothing.
func (t *Tool) Host() string {
	if t.is.Host == nil {
		return ""
	}
	return t.is.Host(t.Spec)
}

// Calendar is where the freezes of one name are read.
type Calendar struct {
	Name    string
	File    string // absolute; or URL
	URL     string
	Refresh time.Duration
	MaxAge  time.Duration // how old what was read may be that is relied on
}

// Heartbeat is a request that leaves the daemon.
type Heartbeat struct {
	URL      string
	Interval time.Duration
}

// Tracing is where the daemon's own traces go.
type Tracing struct {
	Endpoint string
	Env      string
}

// Load reads a file, or the *.yaml and *.yml files of a directory. The error
// is Problems where the content is wrong; else what could not be read.
func Load(path string, kinds Kinds, opts Options) (*Config, error) {
	if opts.LookupEnv == nil {
		opts.LookupEnv = os.LookupEnv
	}
	r := &report{}
	root, dir, err := read(path, r)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	tables, err := newTables(kinds)
	if err != nil {
		return nil, err
	}
	// With a file that could not be read as YAML, what refers to it would only
	// mislead.
	if len(r.list) > 0 {
		return nil, r.list.sorted()
	}
	l := &loader{
		tables: tables, report: r, dir: dir, allowCommands: opts.AllowCommands,
		hygiene: hygiene{dir: dir, lookupEnv: opts.LookupEnv, elsewhere: opts.SecretsElsewhere},
		cfg:     &Config{Path: path, Dir: dir, Hash: root.digest(), People: map[string]people.Settings{}},
	}
	l.load(spot{report: r, node: root, place: root.place})
	if len(r.list) > 0 {
		return nil, r.list.sorted()
	}
	if _, err := policy.New(l.cfg.Policy); err != nil { // what it checks and we do not
		return nil, Problems{{Place: root.place, Rule: err.Error()}}
	}
	return l.cfg, nil
}

// LogValue tells which configuration it is, in few words.
func (c *Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("path", c.Path), slog.String("hash", c.Hash[:min(12, len(c.Hash))]),
		slog.Int("sources", len(c.Sources)), slog.Int("detectors", len(c.Detectors)),
		slog.Int("switches", len(c.Switches)), slog.Int("tools", len(c.Tools)), slog.Int("policies", len(c.Policy.Policies)),
	)
}
