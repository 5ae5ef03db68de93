package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

// history is a world that changes bit by bit, with the newest decision on each
// incident, taken only when the one before it asked to look again.
type history struct {
	h    *Handbook
	w    *World
	ids  []signalbox.IncidentID
	last map[signalbox.IncidentID]signalbox.Decision
	due  map[signalbox.IncidentID]bool
}

// crowdIDs are the incidents of a history, each on a subject of its own.
func newHistory(t testing.TB) *history { t.Helper(); return newHistoryOf(t, incrementalConfig()) }

func newHistoryOf(t testing.TB, c Config) *history {
	t.Helper()
	b := newBoxOf(t, c)
	x := &history{h: b.h, w: b.w, last: map[signalbox.IncidentID]signalbox.Decision{}, due: map[signalbox.IncidentID]bool{}}
	for i, subject := range []string{"db/eu", "db/us", "app/eu", "app/us"} {
		r := b.see("lag", subject, signalbox.Breached, 2)
		r.OnsetAt = noon.Add(-time.Minute)
		id := signalbox.IncidentID(fmt.Sprintf("%016x", 0xa0+i))
		b.w.State.PutIncident(&signalbox.Incident{ID: id, Reading: r, Owner: "backend", OnsetAt: r.OnsetAt, OpenedAt: noon, WellAt: noon.Add(-2 * time.Minute)})
		x.ids = append(x.ids, id)
	}
	b.w.State.DropIncident(incident)
	for _, id := range x.ids {
		x.due[id] = true
	}
	x.w.Now = noon.Add(time.Minute)
	return x
}

// incrementalConfig has samples and forecasts that stay young for long: what else ends by
// itself must make a decision due on its own.
func incrementalConfig() Config {
	c := configOf(failover())
	c.ForecastAge = 24 * time.Hour
	for i := range c.Detectors {
		c.Detectors[i].Fresh, c.Detectors[i].Interval = 24*time.Hour, 10*time.Second
	}
	return c
}

// touch makes due what read a key.
func (x *history) touch(keys ...signalbox.Key) {
	for id, d := range x.last {
		for _, k := range keys {
			if slices.Contains(d.Reads, k) {
				x.due[id] = true
			}
		}
	}
}

// settle takes the decisions that are due, until none is.
func (x *history) settle(t *rapid.T) {
	for rounds := 0; ; rounds++ {
		for id, d := range x.last {
			if !d.Until.IsZero() && !d.Until.After(x.w.Now) {
				x.due[id] = true
			}
		}
		if len(x.due) == 0 {
			return
		}
		if rounds > 20 {
			t.Fatal("decisions make each other due without end")
		}
		var ids []signalbox.IncidentID
		for id := range x.due {
			ids = append(ids, id)
		}
		clear(x.due)
		decisions := x.h.Decide(x.w, ids)
		for i := range decisions {
			x.last[decisions[i].Incident] = decisions[i]
		}
		for i := range decisions {
			x.touch(x.w.Facts.PutWant(decisions[i].Incident, decisions[i].Want)...)
		}
	}
}

// change is one thing that changes, and the keys that tell of it.
func (x *history) change(t *rapid.T) {
	id := rapid.SampledFrom(x.ids).Draw(t, "incident")
	old := x.w.State.Incidents[id]
	inc := *old
	put := func() {
		x.w.State.PutIncident(&inc)
		x.touch(signalbox.IncidentKey(id), signalbox.SubjectKey(inc.Reading.Subject))
	}
	switch rapid.SampledFrom([]string{"time", "reading", "edge", "page", "target", "budget", "pause", "kill", "forecast", "policy", "witness", "taken", "hand", "again"}).Draw(t, "what") {
	case "time":
		x.w.Now = x.w.Now.Add(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, time.Minute, 20 * time.Minute, time.Hour}).Draw(t, "later"))
	case "reading":
		r := inc.Reading
		r.SampleAt, r.At = x.w.Now, x.w.Now
		r.Condition = rapid.SampledFrom([]signalbox.Condition{signalbox.Breached, signalbox.Breached, signalbox.Clear, signalbox.Unknown}).Draw(t, "condition")
		r.Value = signalbox.Float(rapid.SampledFrom([]float64{0.01, 2, 3}).Draw(t, "value"))
		x.touch(x.w.Facts.Replace(&r))
	case "edge":
		inc.Reading.Condition = rapid.SampledFrom([]signalbox.Condition{signalbox.Breached, signalbox.Breached, signalbox.Clear, signalbox.Unknown}).Draw(t, "condition")
		inc.ClearAt, inc.UnknownAt = time.Time{}, time.Time{}
		switch inc.Reading.Condition {
		case signalbox.Clear:
			inc.ClearAt = x.w.Now
		case signalbox.Unknown:
			inc.UnknownAt = x.w.Now
		case signalbox.Breached:
		}
		put()
	case "page":
		inc.Page = rapid.SampledFrom([]string{"", "page-1"}).Draw(t, "page")
		put()
	case "again":
		inc.Recent = append(slices.Clone(inc.Recent), x.w.Now.Add(-time.Minute))
		put()
	case "target":
		s := &signalbox.TargetState{Target: target}
		if rapid.Bool().Draw(t, "held") {
			s.Holder = "act-x"
		}
		if rapid.Bool().Draw(t, "acted") {
			s.Acted = []time.Time{x.w.Now}
		}
		s.Ineffective = rapid.IntRange(0, 2).Draw(t, "ineffective")
		x.w.State.Targets[target] = s
		x.touch(signalbox.TargetKey(target))
	case "hand":
		s := &signalbox.TargetState{Target: target}
		if rapid.Bool().Draw(t, "there") {
			s.Hand = &signalbox.Hand{At: x.w.Now, Found: "at a, left at b"}
		}
		x.w.State.Targets[target] = s
		x.touch(signalbox.TargetKey(target))
	case "budget":
		scope := rapid.SampledFrom([]string{"all", "policy/failover", "owner/backend", "class/A", "kind/endpoint"}).Draw(t, "scope")
		n := rapid.IntRange(0, 11).Draw(t, "spent")
		s := &signalbox.Spend{Scope: scope}
		for range n {
			s.Times = append(s.Times, x.w.Now)
		}
		x.w.State.Budgets[scope] = s
		x.touch(signalbox.BudgetKey(scope))
	case "pause", "taken":
		c := x.w.State.Controls
		scope := rapid.SampledFrom([]string{"all", "policy/failover", "owner/backend", "target/" + string(target), "incident/" + string(id), "subject/db/eu"}).Draw(t, "scope")
		one := []signalbox.Control{{Kind: signalbox.Pause, Scope: scope, Who: "@sre", At: x.w.Now}}
		if rapid.Bool().Draw(t, "expires") {
			one[0].Until = x.w.Now.Add(15 * time.Minute)
		}
		switch rapid.IntRange(0, 2).Draw(t, "which") {
		case 0:
			c.Pauses, c.Taken = nil, nil
		case 1:
			c.Pauses = one
		default:
			one[0].Kind, c.Taken = signalbox.Take, one
		}
		x.w.State.Controls = c
		x.touch(signalbox.ControlsKey)
	case "kill":
		x.w.Facts.KillFile = rapid.SampledFrom([]string{"", "it is there"}).Draw(t, "file")
		x.touch(signalbox.KillFileKey)
	case "forecast":
		back := throwTo("a")
		f := &signalbox.Forecast{At: x.w.Now, Class: signalbox.ClassA, Targets: []signalbox.Target{target}, Found: "a", Position: "a", Undo: &back}
		f.Refused = rapid.SampledFrom([]string{"", "", "no permission"}).Draw(t, "refused")
		x.touch(x.w.Facts.PutForecast(throwTo("b").Hash(), f))
	case "policy":
		s := *x.w.State.Policies["failover"]
		s.Demoted = nil
		if rapid.Bool().Draw(t, "demoted") {
			s.Demoted = &signalbox.Demotion{To: Suggest, Why: "it did not help", At: x.w.Now}
		}
		x.w.State.Policies["failover"] = &s
		x.touch(signalbox.PolicyKey("failover"))
	case "witness":
		r := x.w.Facts.Reading("replica-lag", "replica/b", "")
		next := *r
		next.SampleAt, next.At = x.w.Now, x.w.Now
		next.Condition = rapid.SampledFrom([]signalbox.Condition{signalbox.Breached, signalbox.Clear, signalbox.Clear, signalbox.Unknown}).Draw(t, "condition")
		x.touch(x.w.Facts.Replace(&next))
	}
}

// full decides on all. Forecasts grow old by themselves: those that are asked
// for are given, as the engine does.
func (x *history) full(t *rapid.T) []signalbox.Decision {
	for range 20 {
		decisions := x.h.Decide(x.w, x.ids)
		asked := false
		for i := range decisions {
			if d := &decisions[i]; d.Verdict == signalbox.Preview && x.w.Facts.Forecast(d.Step.Hash()) != nil {
				f := *x.w.Facts.Forecast(d.Step.Hash())
				f.At, asked = x.w.Now, true
				x.touch(x.w.Facts.PutForecast(d.Step.Hash(), &f))
			}
		}
		if !asked {
			return decisions
		}
		x.settle(t)
	}
	t.Fatal("forecasts are asked for without end")
	return nil
}

// What a decision reads and until when it holds is complete: one that was not
// due is what would be decided now.
func TestPropertyIncrementalEqualsFull(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		x := newHistory(outer)
		x.settle(t)
		for range rapid.IntRange(1, 25).Draw(t, "changes") {
			x.change(t)
			x.settle(t)
			x.equal(t)
		}
	})
}

// equal wants each incident's newest decision to be what is decided now.
func (x *history) equal(t *rapid.T) {
	for _, d := range x.full(t) {
		if was := x.last[d.Incident]; was.Signature() != d.Signature() || another(was, d) != "" {
			t.Fatalf("%s was not due at %s, and is another by now: %s", d.Incident, x.w.Now, another(was, d))
		}
	}
}
