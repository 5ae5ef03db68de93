package parity

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	promrules "github.com/prometheus/prometheus/rules"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/rules"
	"github.com/signalbox/signalbox/internal/poll"
)

const evaluation = time.Minute // of groups that name no interval

// The same hour, through Prometheus' own rule groups and through the daemon's
// poller: no alert of any rule may change its state at another moment.
func TestHourInVirtualTime(t *testing.T) {
	t.Parallel()
	h := newHour(t, 20260115, Files(t), nil)
	synctest.Test(t, func(t *testing.T) { h.run(t) })
	h.compare(t)
}

// The comparison sees each way in which the daemon could evaluate a rule
// otherwise than Prometheus.
func TestDifferencesAreSeen(t *testing.T) {
	t.Parallel()
	files := slices.DeleteFunc(Files(t), func(f string) bool {
		name := strings.TrimSuffix(filepath.Base(f), ".yaml")
		return name != "redis-clients" && name != "node-up" && name != "postgres-up"
	})
	for name, mutate := range map[string]func(*rules.Rule){
		"for is longer":              func(r *rules.Rule) { r.For += 15 * time.Second },
		"for is shorter":             func(r *rules.Rule) { r.For = max(0, r.For-15*time.Second) },
		"keep_firing_for is ignored": func(r *rules.Rule) { r.KeepFiringFor = 0 },
		"keep_firing_for is longer":  func(r *rules.Rule) { r.KeepFiringFor += 30 * time.Second },
		"the comparison is another":  func(r *rules.Rule) { r.Expr = strings.ReplaceAll(r.Expr, "== 0", "== 1") },
		"a label is lost":            func(r *rules.Rule) { r.Labels = nil },
		"it looks back":              func(r *rules.Rule) { r.QueryOffset += 45 * time.Second },
		"a template is another":      func(r *rules.Rule) { r.Annotations = map[string]string{"summary": "{{ $value }} x"} },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHour(t, 20260115, files, mutate)
			synctest.Test(t, func(t *testing.T) { h.run(t) })
			if differ := h.differ(); len(differ) == 0 {
				t.Error("no difference was seen")
			} else {
				t.Logf("%d differences, as %s", len(differ), differ[0])
			}
		})
	}
}

// hour is one run over the script by both.
type hour struct {
	script *Script
	engine *Engine
	groups map[string]*promrules.Group
	polled []poll.Detector
	rules  int

	theirs *Log
	mu     sync.Mutex
	ours   *Log
	told   map[Key]signalbox.Condition // as the poller told it last
	edges  map[string]int
	wrong  []string
	texts  [2]map[said]string // of the annotations, by them and by us
}

// said is what was said of one alert at one moment.
type said struct {
	Key
	at int64
}

// newHour reads the same files for both. mutate, where it is given, changes our
// rules.
func newHour(t *testing.T, seed uint64, files []string, mutate func(*rules.Rule)) *hour {
	h := &hour{
		script: New(seed), engine: NewEngine(t), theirs: NewLog(), ours: NewLog(), told: map[Key]signalbox.Condition{}, edges: map[string]int{},
		texts: [2]map[said]string{{}, {}},
	}
	manager := promrules.NewManager(&promrules.ManagerOptions{
		Context: t.Context(), Appendable: h.engine.Storage, Queryable: h.engine.Storage, Logger: slog.New(slog.DiscardHandler),
		QueryFunc: promrules.EngineQueryFunc(h.engine.PromQL, h.engine.Storage), NotifyFunc: func(context.Context, string, ...*promrules.Alert) {},
	})
	var errs []error
	h.groups, errs = manager.LoadGroups(evaluation, labels.EmptyLabels(), "", nil, false, files...)
	for _, err := range errs {
		t.Fatal(err)
	}
	for _, file := range files {
		placed := Read(t, file)
		for i := range placed {
			if mutate != nil {
				mutate(&placed[i].Rule)
			}
		}
		h.rules += len(placed)
		h.polled = append(h.polled, Polled(t, placed, evaluation, h.engine)...)
	}
	return h
}

// run plays the hour: scrapes, Prometheus' evaluations, and the poller's own
// schedule beside them.
func (h *hour) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := poll.New(poll.Options{
		Now: time.Now, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Emit: h.emit,
	})
	began := time.Now()
	p.Set(h.polled)
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	for _, e := range h.events(began) {
		wait := time.NewTimer(time.Until(e.at))
		<-wait.C
		e.do(t, e.at)
	}
	cancel()
	running.Wait()
}

// event is one scrape or one evaluation.
type event struct {
	at time.Time
	do func(t *testing.T, at time.Time)
}

func (h *hour) events(began time.Time) []event {
	var all []event
	n := 0
	for _, job := range Jobs() {
		for i := range Targets {
			n++
			target := h.script.Target(job, i)
			scrape := func(t *testing.T, at time.Time) {
				if err := h.engine.Scrape(t.Context(), target, began, at); err != nil {
					t.Error(err)
				}
			}
			for at := began.Add(time.Duration(n) * 937 * time.Millisecond); at.Before(began.Add(Length)); at = at.Add(step) {
				all = append(all, event{at, scrape})
			}
		}
	}
	for _, g := range h.groups {
		evaluate := func(t *testing.T, at time.Time) { h.evaluate(t.Context(), g, at) }
		for at := g.EvalTimestamp(began.UnixNano()).Add(g.Interval()); at.Before(began.Add(Length)); at = at.Add(g.Interval()) {
			all = append(all, event{at, evaluate})
		}
	}
	slices.SortFunc(all, func(a, b event) int { return a.at.Compare(b.at) })
	return all
}

// evaluate is Prometheus' side.
func (h *hour) evaluate(ctx context.Context, g *promrules.Group, at time.Time) {
	g.Eval(ctx, at)
	seen := map[string]int{}
	for _, r := range g.Rules() {
		alerting := r.(*promrules.AlertingRule)
		name := Name(rules.Rule{File: g.File(), Group: g.Name(), Alert: r.Name()}, seen[r.Name()])
		seen[r.Name()]++
		now := map[Key]rules.State{}
		for _, a := range alerting.ActiveAlerts() {
			k := Key{name, Labels(a.Labels.Map())}
			now[k] = rules.State(a.State.String())
			if a.State == promrules.StateFiring {
				h.texts[0][said{k, at.UnixNano()}] = summary(a.Annotations.Map())
			}
		}
		h.theirs.Take(name, now, at)
	}
}

// summary is what of annotations is told, as the daemon puts it together.
func summary(annotations map[string]string) string {
	var parts []string
	for _, name := range []string{"summary", "description", "message"} {
		if text := strings.TrimSpace(annotations[name]); text != "" && !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ": ")
}

// emit is the daemon's side: the state of the rule's alerts, and what is told
// of them must agree.
func (h *hour) emit(r poll.Round) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.polled, func(d poll.Detector) bool { return d.Name == r.Detector })
	if i < 0 {
		return // the reading of the source itself
	}
	now := map[Key]rules.State{}
	for _, a := range h.polled[i].Detector.(*rules.Detector).Alerts() {
		now[Key{r.Detector, Labels(a.Labels)}] = a.State
	}
	h.ours.Take(r.Detector, now, r.At)
	failed := slices.ContainsFunc(r.Readings, func(x signalbox.Reading) bool { return x.Series == "" })
	for _, x := range r.Readings {
		k := Key{r.Detector, Labels(x.Labels)}
		if x.Condition == signalbox.Breached {
			text := x.Summary
			if _, after, kept := strings.Cut(text, "Z: "); kept && strings.HasPrefix(text, "kept firing, ") {
				text = after
			}
			h.texts[1][said{k, r.At.UnixNano()}] = text
		}
		if x.Series != "" && !failed && (x.Condition == signalbox.Breached) != (now[k] == rules.Firing) {
			h.wrong = append(h.wrong, k.Rule+" "+k.Labels+" is told as "+x.Condition.String()+" and is "+string(now[k]))
		}
	}
	for _, x := range r.Edges {
		if x.Series != "" {
			h.edges[x.Condition.String()]++
			h.told[Key{r.Detector, Labels(x.Labels)}] = x.Condition
		}
	}
	for k, s := range now {
		if s == rules.Firing && !failed && h.told[k] != signalbox.Breached {
			h.wrong = append(h.wrong, k.Rule+" "+k.Labels+" fires and is told as "+h.told[k].String())
		}
	}
}

// differ is all in which the two differ: the moment of a transition, or what is
// said of an alert that fires.
func (h *hour) differ() []string {
	out := Differ(h.theirs.List, h.ours.List, func(string) time.Duration { return 0 })
	for k, want := range h.texts[0] {
		if got, there := h.texts[1][k]; there && got != want {
			out = append(out, fmt.Sprintf("%s %s: it says %q, and in the second %q", k.Rule, k.Labels, want, got))
		}
	}
	return out
}

func (h *hour) compare(t *testing.T) {
	for _, w := range h.wrong[:min(len(h.wrong), 20)] {
		t.Error(w)
	}
	differ := h.differ()
	same := 0
	for k := range h.texts[0] {
		if _, there := h.texts[1][k]; there {
			same++
		}
	}
	if same < len(h.texts[0])*9/10 {
		t.Errorf("of %d texts only %d could be compared", len(h.texts[0]), same)
	}
	for _, d := range differ[:min(len(differ), 20)] {
		t.Error(d)
	}
	moved := map[string]bool{}
	for _, x := range h.theirs.List {
		moved[x.Rule] = true
	}
	counts := Count(h.theirs.List)
	t.Logf("%d files, %d rules, %d of which had an alert; transitions: %d by Prometheus (%d pending, %d firing, %d over), %d by the daemon, %d differ; texts of firing alerts compared: %d; edges told: %v",
		len(Files(t)), h.rules, len(moved), len(h.theirs.List), counts[rules.Pending], counts[rules.Firing], counts[rules.Inactive], len(h.ours.List), len(differ), same, h.edges)
	if h.rules < 200 || len(Files(t)) < 30 {
		t.Errorf("got %d rules in %d files, want at least 200 in 30", h.rules, len(Files(t)))
	}
	if len(moved) < h.rules*3/4 {
		t.Errorf("only %d of %d rules had an alert: the script shows too little", len(moved), h.rules)
	}
	for _, d := range h.polled {
		if !moved[d.Name] {
			t.Log("quiet: ", d.Name)
		}
	}
}
