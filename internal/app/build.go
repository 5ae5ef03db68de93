package app

import (
	"encoding/json"
	"fmt"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors"
	"github.com/signalbox/signalbox/detectors/catalog"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/people"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/policy"
	"github.com/signalbox/signalbox/remediators"
)

// runtime is all that one configuration gives: built whole before it is
// swapped in, and read-only after.
type runtime struct {
	config    *config.Config
	set       *engine.Set
	people    *people.People // who may ask, and for what
	polled    []poll.Detector
	watched   map[string]signalbox.Watcher // sources that some detector asks, by name
	receivers map[string]*receiver         // by path
	tells     tells                        // what of it is told to others
	calendars []calendarUse
	silencer  silencer       // nil: no silences are read
	opened    map[string]any // by source
	feeds     []*ruleFeed    // of the configuration's ClusterRules, in their order
	fixed     *runtime       // this, without the detectors of clusters' rules
}

// Kinds are the tables of this version, for the configuration.
func Kinds() config.Kinds {
	return config.Kinds{Sources: detectors.Kinds(), Remediators: remediators.Kinds(), Rules: ruleFormat(), Catalog: catalog.Catalog{}}
}

// Check checks a configuration as the daemon would at its start, without
// connecting to anything. It returns what it holds, in a line.
func Check(path string, allowCommands bool) (string, error) {
	cfg, err := config.Load(path, Kinds(), config.Options{AllowCommands: allowCommands})
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("%s: %d sources, %d detectors, %d switches, %d policies, configuration %s",
		path, len(cfg.Sources), len(cfg.Detectors), len(cfg.Switches), len(cfg.Policy.Policies), cfg.Hash)
	for _, w := range append(warnings(cfg), hostWarnings(cfg)...) {
		said += "\nwarning: " + w
	}
	return said, nil
}

// warnings are what is allowed, and better known.
func warnings(cfg *config.Config) (list []string) {
	book, err := policy.New(cfg.Policy)
	if err != nil {
		return nil // it was loaded: it is well
	}
	for _, c := range book.Conflicts() {
		list = append(list, c.String())
	}
	for _, p := range cfg.Policy.Policies {
		if p.Autonomy == policy.Approve && cfg.Policy.Approvers[p.Name] == 1 {
			list = append(list, fmt.Sprintf("policy %q waits for approvals that one person alone may give", p.Name))
		}
	}
	for _, o := range cfg.Policy.Owners {
		if !o.Escalates {
			continue
		}
		if !o.Backup {
			list = append(list, fmt.Sprintf("owner %q escalates to its last resort at once: its backup has no key", o.Name))
		}
	}
	return list
}

// build does all that can fail of a new configuration.
func (d *daemon) build() (*runtime, error) {
	cfg, err := config.Load(d.options.Config, Kinds(), config.Options{AllowCommands: d.options.AllowCommands})
	if err != nil {
		return nil, err
	}
	book, err := policy.New(cfg.Policy)
	if err != nil {
		return nil, err
	}
	known, err := people.New(cfg.People, cfg.Dir)
	if err != nil {
		return nil, err
	}
	b := &builder{
		d: d, cfg: cfg, env: kind.Env{
			Log: d.log, Now: d.options.Now, Agent: "signalbox", ConfigDir: cfg.Dir,
			AllowCommands: d.options.AllowCommands, Commands: d.commands(),
		},
		opened: map[string]any{}, selectors: map[string][]alerts.Selector{}, kept: d.keptRules(),
		rt: &runtime{config: cfg, people: known, receivers: map[string]*receiver{}, watched: map[string]signalbox.Watcher{}, set: &engine.Set{
			Hash: cfg.Hash, Handbook: book, Policies: map[string]string{}, Detectors: map[string]engine.Detector{},
			Owners: map[string]signalbox.Step{}, Primary: map[string]string{}, DefaultOwner: cfg.DefaultOwner,
			Remediators: map[string]signalbox.Remediator{}, Pagers: map[string]kind.Pager{}, Ladders: map[string]engine.Ladder{}, Ask: d.askNow, Heard: d.heard,
		}},
	}
	for _, p := range cfg.Policy.Policies {
		b.rt.set.Policies[p.Name] = book.PolicyHash(p.Name)
	}
	for _, o := range cfg.Owners {
		b.rt.set.Owners[o.Name], b.rt.set.Primary[o.Name] = o.Page, o.Primary
		b.rt.set.Ladders[o.Name] = engine.Ladder{BackupName: o.Backup, Backup: o.BackupPage, Second: o.Second}
	}
	for _, step := range []func() error{b.sources, b.detectors, b.sayUnproved, b.receivers, b.remediators, b.clusterFeeds, b.tells, b.calendars, b.silences, b.evidence} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.rt.opened = b.opened
	return d.withRules(b.rt)
}

// builder builds one runtime.
type builder struct {
	d         *daemon
	cfg       *config.Config
	env       kind.Env
	opened    map[string]any               // by source
	selectors map[string][]alerts.Selector // by source
	kept      map[string]poll.Detector     // those that run now, by name
	unproved  []string                     // rules whose health nothing proves
	rt        *runtime
}

func (b *builder) sources() error {
	for _, s := range b.cfg.Sources {
		opened, err := s.Kind.Open(s.Name, s.Settings, b.env)
		if err != nil {
			return fmt.Errorf("%s: source %q: %w", s.Place, s.Name, err)
		}
		b.opened[s.Name] = opened
		// A source that is Unknown for too long is an incident of its own.
		b.rt.set.Detectors[poll.SourceDetector(s.Name)] = engine.Detector{Source: s.Name, Polled: true, Health: true}
	}
	return nil
}

func (b *builder) detectors() error {
	for _, det := range b.cfg.Detectors {
		if err := b.detector(det); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) detector(det *config.Detector) error {
	judge, timing, err := det.Settings.Build(det.Common, b.opened[det.Source])
	if err != nil {
		return fmt.Errorf("%s: %w", det.Place, err)
	}
	if sel, ok := judge.(alerts.Selector); ok {
		b.selectors[det.Source] = append(b.selectors[det.Source], sel)
		b.rt.set.Detectors[det.Name] = engine.Detector{Source: det.Source, Owner: det.Owner}
		return nil
	}
	source, ok := b.opened[det.Source].(signalbox.Source)
	if !ok {
		return fmt.Errorf("%s: detector %q: source %q can't be asked", det.Place, det.Name, det.Source)
	}
	b.rt.set.Detectors[det.Name] = engine.Detector{Source: det.Source, Owner: det.Owner, Polled: true}
	if w, ok := source.(signalbox.Watcher); ok {
		b.rt.watched[det.Source] = w
	}
	source = b.d.shared(det.Source, source)
	p := poll.Detector{
		Name: det.Name, Detector: judge, Source: det.Source, Asks: source, Interval: det.Interval, Timing: timing,
		UnknownAfter: det.UnknownAfter, Hash: definition(det),
	}
	b.asRule(&p, source)
	b.rt.polled = append(b.rt.polled, p)
	return nil
}

// definition tells one definition of a detector from another, also where its
// settings hold pointers.
func definition(det *config.Detector) string {
	b, err := json.Marshal(struct{ Common, Settings any }{det.Common, det.Settings})
	if err != nil { // of settings that JSON can't hold; then each load is another definition
		return fmt.Sprintf("%+v %+v", det.Common, det.Settings)
	}
	return string(b)
}

func (b *builder) evidence() error {
	for _, e := range b.cfg.Evidence {
		entry := e.Entry
		if e.Settings != nil {
			look, err := e.Settings.Build(e.Name, b.opened[e.Source])
			if err != nil {
				return fmt.Errorf("%s: %w", e.Place, err)
			}
			entry.Look = look
		}
		b.rt.set.Evidence = append(b.rt.set.Evidence, entry)
	}
	return nil
}

func (b *builder) remediators() error {
	for _, k := range remediators.Kinds() {
		r, err := k.Open(b.env)
		if err != nil {
			return fmt.Errorf("remediator %s: %w", k.Name, err)
		}
		b.rt.set.Remediators[k.Name] = r
		if p, ok := r.(kind.Pager); ok {
			b.rt.set.Pagers[k.Name] = p
			if k.Owner != nil {
				b.rt.set.Pager = p
			}
		}
	}
	return nil
}
