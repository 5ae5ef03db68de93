package app

import (
	"fmt"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors"
	"github.com/signalbox/signalbox/detectors/alertmanager"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/policy"
	"github.com/signalbox/signalbox/remediators"
)

// runtime is all that one configuration gives: built whole before it is
// swapped in, and read-only after.
type runtime struct {
	config    *config.Config
	set       *engine.Set
	polled    []poll.Detector
	receivers map[string]*receiver // by path
}

// Kinds are the tables of this version, for the configuration.
func Kinds() config.Kinds {
	return config.Kinds{Sources: append(detectors.Kinds(), remediators.Connections()...), Remediators: remediators.Kinds()}
}

// Check checks a configuration as the daemon would at its start, without
// connecting to anything. It returns what it holds, in a line.
func Check(path string) (string, error) {
	cfg, err := config.Load(path, Kinds(), config.Options{})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %d sources, %d detectors, %d switches, %d policies, configuration %s",
		path, len(cfg.Sources), len(cfg.Detectors), len(cfg.Switches), len(cfg.Policy.Policies), cfg.Hash), nil
}

// build does all that can fail of a new configuration.
func (d *daemon) build() (*runtime, error) {
	cfg, err := config.Load(d.options.Config, Kinds(), config.Options{})
	if err != nil {
		return nil, err
	}
	book, err := policy.New(cfg.Policy)
	if err != nil {
		return nil, err
	}
	b := &builder{
		d: d, cfg: cfg, env: kind.Env{Log: d.log, Now: d.options.Now, Agent: "signalbox", ConfigDir: cfg.Dir},
		opened: map[string]any{}, selectors: map[string][]alertmanager.Selector{},
		rt: &runtime{config: cfg, receivers: map[string]*receiver{}, set: &engine.Set{
			Hash: cfg.Hash, Handbook: book, Policies: map[string]string{}, Detectors: map[string]engine.Detector{},
			Owners: map[string]signalbox.Step{}, Primary: map[string]string{}, DefaultOwner: cfg.DefaultOwner,
			Remediators: map[string]signalbox.Remediator{}, Ask: d.askNow,
		}},
	}
	for _, p := range cfg.Policy.Policies {
		b.rt.set.Policies[p.Name] = book.PolicyHash(p.Name)
	}
	for _, o := range cfg.Owners {
		b.rt.set.Owners[o.Name], b.rt.set.Primary[o.Name] = o.Page, o.Primary
	}
	for _, step := range []func() error{b.sources, b.detectors, b.receivers, b.remediators} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b.rt, nil
}

// builder builds one runtime.
type builder struct {
	d         *daemon
	cfg       *config.Config
	env       kind.Env
	opened    map[string]any                     // by source
	selectors map[string][]alertmanager.Selector // by source
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
		b.rt.set.Detectors[poll.SourceDetector(s.Name)] = engine.Detector{Source: s.Name, Owner: b.cfg.DefaultOwner, Polled: true, Health: true}
	}
	return nil
}

func (b *builder) detectors() error {
	for _, det := range b.cfg.Detectors {
		judge, timing, err := det.Settings.Build(det.Common, b.opened[det.Source])
		if err != nil {
			return fmt.Errorf("%s: %w", det.Place, err)
		}
		if sel, ok := judge.(alertmanager.Selector); ok {
			b.selectors[det.Source] = append(b.selectors[det.Source], sel)
			b.rt.set.Detectors[det.Name] = engine.Detector{Source: det.Source, Owner: det.Owner}
			continue
		}
		source, ok := b.opened[det.Source].(signalbox.Source)
		if !ok {
			return fmt.Errorf("%s: detector %q: source %q can't be asked", det.Place, det.Name, det.Source)
		}
		b.rt.set.Detectors[det.Name] = engine.Detector{Source: det.Source, Owner: det.Owner, Polled: true}
		b.rt.polled = append(b.rt.polled, poll.Detector{
			Name: det.Name, Detector: judge, Source: det.Source, Asks: source, Interval: det.Interval, Timing: timing,
			UnknownAfter: det.UnknownAfter, Hash: definition(det),
		})
	}
	return nil
}

// definition tells one definition of a detector from another.
func definition(det *config.Detector) string {
	return fmt.Sprintf("%+v %+v", det.Common, det.Settings)
}

// receivers opens a path for each source that takes webhooks.
func (b *builder) receivers() error {
	for _, s := range b.cfg.Sources {
		am, ok := b.opened[s.Name].(*alertmanager.Source)
		if !ok {
			continue
		}
		path := s.Kind.Receives(s.Settings)
		selectors, fallback := b.selectors[s.Name], am.Fallback(b.cfg.DefaultOwner)
		b.rt.set.Detectors[s.Name] = engine.Detector{Source: s.Name, Owner: b.cfg.DefaultOwner}
		rec := &receiver{
			source: s.Name, path: path, door: am.Door(), take: am, every: am.Reconcile(), maxBody: am.MaxBody(), unknownAfter: s.UnknownAfter,
			assign: func(batch signalbox.Batch) signalbox.Batch { return alertmanager.Assign(batch, selectors, fallback) },
		}
		if am.Asks() {
			rec.complete = am
		}
		if other := b.rt.receivers[path]; other != nil {
			return fmt.Errorf("%s: source %q: receive: %s is taken by source %q", s.Place, s.Name, path, other.source)
		}
		b.rt.receivers[path] = rec
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
			b.rt.set.Pager = p
		}
	}
	return nil
}
