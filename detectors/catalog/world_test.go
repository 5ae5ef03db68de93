package catalog_test

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/catalog"
	"github.com/signalbox/signalbox/detectors/kubernetes"
	"github.com/signalbox/signalbox/detectors/loki"
	"github.com/signalbox/signalbox/detectors/prometheus"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
	"github.com/signalbox/signalbox/policy"
	"github.com/signalbox/signalbox/remediators/page"
)

func names() []string { return catalog.Catalog{}.Names() }

// sourceOf is a source of each kind that the catalogue asks.
var sourceOf = map[string]string{
	"prometheus": "{kind: prometheus, url: 'http://127.0.0.1:9090'}",
	"loki":       "{kind: loki, url: 'http://127.0.0.1:3100'}",
	"kubernetes": "{kind: kubernetes, in_cluster: true}",
}

func kinds() config.Kinds {
	return config.Kinds{
		Sources:     []kind.Source{kubernetes.Kind(), loki.Kind(), prometheus.Kind()},
		Remediators: []kind.Remediator{page.Kind()},
		Catalog:     catalog.Catalog{},
	}
}

// configure loads a configuration with one detector, and a policy on it that
// acts by itself.
func configure(t *testing.T, entry *catalog.Entry, s story) *config.Config {
	t.Helper()
	detector := map[string]any{"name": "it", "catalog": entry.Name, "source": "asked", "with": s.With}
	if len(s.With) == 0 {
		delete(detector, "with")
	}
	maps.Copy(detector, s.Keys)
	block, err := yaml.Marshal(map[string]any{"detectors": []any{detector}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "handbook.yaml")
	text := string(block) + "sources:\n  asked: " + sourceOf[entry.Kind] + `
default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_env: KEY}}
policies:
  - {name: tell, on: it, autonomy: auto, runbook: [{page: devops}]}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, kinds(), config.Options{LookupEnv: func(string) (string, bool) { return "x", true }})
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return cfg
}

// world is a daemon without its store: one detector, its edges, and the policy.
type world struct {
	t        *testing.T
	source   asker
	detector signalbox.Detector
	tracker  *track.Tracker
	book     *policy.Handbook
	state    *signalbox.State
	facts    *signalbox.Facts
	look     time.Duration
	last     []signalbox.Reading
	decided  []signalbox.Decision
}

func newWorld(t *testing.T, name string, s story) *world {
	t.Helper()
	entry, err := catalog.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := configure(t, entry, s)
	d := cfg.Detectors[0]
	opened, err := d.Kind.Open("asked", cfg.Sources[0].Settings, kind.Env{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	judge, timing, err := d.Settings.Build(d.Common, opened)
	if err != nil {
		t.Fatal(err)
	}
	book, err := policy.New(cfg.Policy)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, detector: judge, book: book, state: signalbox.NewState(), facts: signalbox.NewFacts(),
		look: s.Look.Std(), tracker: track.New(timing, 2*d.Interval+time.Second), source: source(t, entry, s),
	}
	if w.look == 0 {
		w.look = d.Interval
	}
	w.state.Policies["tell"] = &signalbox.PolicyState{Name: "tell", Hash: book.PolicyHash("tell"), ActivatedAt: start.Add(-time.Hour)}
	return w
}

func source(t *testing.T, entry *catalog.Entry, s story) asker {
	t.Helper()
	switch entry.Kind {
	case "loki":
		return newShelf(s)
	case "kubernetes":
		return s.Objects
	}
	every := s.Every.Std()
	if every == 0 {
		every = 15 * time.Second
	}
	return newEngine(t, every, s.Series)
}

// step looks once, and returns what is read and decided, by subject.
func (w *world) step(at time.Time) (reads map[string]signalbox.Condition, does map[string]signalbox.Verdict) {
	w.t.Helper()
	questions := w.detector.Questions()
	if f, ok := w.detector.(signalbox.Follower); ok {
		questions = f.QuestionsSince(w.tracker.Good())
	}
	answers := w.source.Ask(w.t.Context(), questions, at)
	w.last, w.decided = w.detector.Judge(answers, w.tracker.Last(), at), nil
	out, edges := w.tracker.Step(w.last, at)
	for i := range out {
		w.facts.Put(&out[i])
	}
	for _, e := range edges {
		w.edge(e, at)
	}
	for _, r := range w.last {
		if reads == nil {
			reads = map[string]signalbox.Condition{}
		}
		if old, twice := reads[r.Subject]; twice && old != r.Condition {
			w.t.Fatalf("%s: two readings of %s: %s and %s", at.Sub(start), r.Subject, old, r.Condition)
		}
		reads[r.Subject] = r.Condition
	}
	return reads, w.decide(at)
}

// edge opens an incident, or takes a further reading of one in, as the engine
// does.
func (w *world) edge(r signalbox.Reading, at time.Time) {
	for _, inc := range w.state.Incidents {
		if inc.Reading.Series == r.Series && !inc.Closed() {
			inc.Reading, inc.ClearAt, inc.UnknownAt = r, time.Time{}, time.Time{}
			switch r.Condition {
			case signalbox.Clear:
				inc.ClearAt = r.At
			case signalbox.Unknown:
				inc.UnknownAt = r.At
			case signalbox.Breached:
			}
			return
		}
	}
	if r.Condition == signalbox.Breached {
		id := signalbox.NewIncidentID(r)
		w.state.Incidents[id] = &signalbox.Incident{ID: id, Reading: r, OnsetAt: r.OnsetAt, OpenedAt: at, WellAt: r.WellAt}
	}
}

// decide returns the first verdict on each open incident, and does what the
// engine would do of it.
func (w *world) decide(at time.Time) map[string]signalbox.Verdict {
	var does map[string]signalbox.Verdict
	for _, id := range slices.Sorted(maps.Keys(w.state.Incidents)) {
		inc := w.state.Incidents[id]
		if inc.Closed() {
			continue
		}
		if does == nil {
			does = map[string]signalbox.Verdict{}
		}
		for first := true; ; first = false {
			decisions := w.book.Decide(&policy.World{State: w.state, Facts: w.facts, Now: at}, []signalbox.IncidentID{id})
			w.decided = append(w.decided, decisions...)
			d := decisions[0]
			if first {
				does[inc.Reading.Subject] = d.Verdict
			}
			if !w.apply(inc, d, at) {
				break
			}
		}
	}
	return does
}

// apply reports whether the incident is due again at once.
func (w *world) apply(inc *signalbox.Incident, d signalbox.Decision, at time.Time) bool {
	switch d.Verdict {
	case signalbox.Act:
		id := signalbox.ActionID(fmt.Sprintf("%s-%d", inc.ID, d.Next))
		w.state.Actions[id] = &signalbox.Action{
			ID: id, Incident: inc.ID, Policy: d.Plan.Policy, Index: d.Next, Step: *d.Step,
			Stage: signalbox.Done, Outcome: signalbox.Recovered, ClaimedAt: at, EndedAt: at,
		}
		inc.Plan, inc.Next, inc.Actions = d.Plan, d.Next+1, append(inc.Actions, id)
		return true
	case signalbox.Escalate:
		inc.Page, inc.GaveUp = "page", d.GaveUp
		return true
	case signalbox.Resolve:
		inc.End, inc.ClosedAt = d.End, at
	}
	return false
}

// says tells the last look, for a test that failed.
func (w *world) says() string {
	var b strings.Builder
	for _, r := range w.last {
		fmt.Fprintf(&b, "  %s %s\n", r.Condition, r.Summary)
	}
	for _, d := range w.decided {
		fmt.Fprintf(&b, "  %s\n", d.Verdict)
		for _, why := range d.Because {
			fmt.Fprintf(&b, "    %-5v %s: %s\n", why.Passed, why.Guard, why.Detail)
		}
	}
	return b.String()
}
