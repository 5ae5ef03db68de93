package parity

import (
	"context"
	"io"
	"log/slog"
	"slices"
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
	h := newHour(t, 20260115)
	synctest.Test(t, func(t *testing.T) { h.run(t) })
	h.compare(t)
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
}

func newHour(t *testing.T, seed uint64) *hour {
	h := &hour{script: New(seed), engine: NewEngine(t), theirs: NewLog(), ours: NewLog(), told: map[Key]signalbox.Condition{}, edges: map[string]int{}}
	manager := promrules.NewManager(&promrules.ManagerOptions{
		Context: t.Context(), Appendable: h.engine.Storage, Queryable: h.engine.Storage, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		QueryFunc: promrules.EngineQueryFunc(h.engine.PromQL, h.engine.Storage), NotifyFunc: func(context.Context, string, ...*promrules.Alert) {},
	})
	var errs []error
	h.groups, errs = manager.LoadGroups(evaluation, labels.EmptyLabels(), "", nil, false, Files(t)...)
	for _, err := range errs {
		t.Fatal(err)
	}
	for _, file := range Files(t) {
		placed := Read(t, file)
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
		Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Registerer: prometheus.NewRegistry(), Emit: h.emit,
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
			now[Key{name, Labels(a.Labels.Map())}] = rules.State(a.State.String())
		}
		h.theirs.Take(name, now, at)
	}
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

func (h *hour) compare(t *testing.T) {
	for _, w := range h.wrong[:min(len(h.wrong), 20)] {
		t.Error(w)
	}
	differ := Differ(h.theirs.List, h.ours.List, func(string) time.Duration { return 0 })
	for _, d := range differ[:min(len(differ), 20)] {
		t.Error(d)
	}
	moved := map[string]bool{}
	for _, x := range h.theirs.List {
		moved[x.Rule] = true
	}
	counts := Count(h.theirs.List)
	t.Logf("%d files, %d rules, %d of which had an alert; transitions: %d by Prometheus (%d pending, %d firing, %d over), %d by the daemon, %d differ; edges told: %v",
		len(Files(t)), h.rules, len(moved), len(h.theirs.List), counts[rules.Pending], counts[rules.Firing], counts[rules.Inactive], len(h.ours.List), len(differ), h.edges)
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
