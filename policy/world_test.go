package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// noon is the moment at which the tests' worlds begin.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	incident = signalbox.IncidentID("00000000000000aa")
	target   = signalbox.Target("configmap core/core-env DB_READONLY_ENDPOINT")
)

// throwTo is a step that throws the tests' switch.
func throwTo(position string) signalbox.Step {
	return signalbox.Step{
		Kind: "endpoint", Name: "read-endpoint", To: position, Spec: json.RawMessage(`{}`), Undo: signalbox.UndoAuto,
		Health: map[string]signalbox.Witness{
			"a": {Detector: "replica-lag", Subject: "replica/a"},
			"b": {Detector: "replica-lag", Subject: "replica/b"},
			"c": {Detector: "replica-lag", Subject: "replica/c"},
		},
	}
}

func pageStep(owner string) signalbox.Step {
	return signalbox.Step{Kind: "page", Name: owner, Spec: json.RawMessage(`{}`)}
}

// failover is the tests' policy.
func failover() Policy {
	return Policy{
		Name: "failover", On: []string{"lag"}, Match: map[string]string{"env": "prod"},
		When: `value > duration("1s")`, Autonomy: Auto, Runbook: []signalbox.Step{throwTo("b")},
		VerifyWithin: 5 * time.Minute, AfterHealthy: 30 * time.Minute, Cooldown: 15 * time.Minute,
		Budget: []Rate{{N: 3, Per: 24 * time.Hour}},
	}
}

func configOf(policies ...Policy) Config {
	return Config{
		Hash: "cfg",
		Detectors: []Detector{
			{Name: "lag", Unit: signalbox.Seconds, Owner: "backend", Fresh: time.Minute},
			{Name: "replica-lag", Unit: signalbox.Seconds, Fresh: time.Minute},
			{Name: "errors", Fresh: time.Minute},
			{Name: "alerts", Fresh: 5 * time.Minute},
		},
		Policies: policies, Budget: []Rate{{N: 10, Per: time.Hour}}, DefaultOwner: "devops",
	}
}

// box is a world with one incident, in which the tests' policy would act.
type box struct {
	t testing.TB
	h *Handbook
	w *World
}

func newBox(t testing.TB, policies ...Policy) *box {
	if len(policies) == 0 {
		policies = []Policy{failover()}
	}
	return newBoxOf(t, configOf(policies...))
}

func newBoxOf(t testing.TB, c Config) *box {
	t.Helper()
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, h: h, w: &World{State: signalbox.NewState(), Facts: signalbox.NewFacts(), Now: noon}}
	for _, name := range h.Policies() {
		b.w.State.Policies[name] = &signalbox.PolicyState{Name: name, Hash: h.PolicyHash(name), ActivatedAt: noon.Add(-24 * time.Hour)}
	}
	r := b.lag(2)
	r.OnsetAt = noon.Add(-time.Minute)
	b.w.State.Incidents[incident] = &signalbox.Incident{
		ID: incident, Reading: r, Owner: "backend", OnsetAt: r.OnsetAt, OpenedAt: noon, WellAt: noon.Add(-2 * time.Minute),
	}
	b.see("replica-lag", "replica/a", signalbox.Clear, 0.01)
	b.see("replica-lag", "replica/b", signalbox.Clear, 0.01)
	b.see("replica-lag", "replica/c", signalbox.Clear, 0.01)
	b.foresee(throwTo("b"), "a")
	return b
}

func (b *box) inc() *signalbox.Incident { return b.w.State.Incidents[incident] }

// lag puts a reading of the incident's own series in: breached above 0.1 s.
func (b *box) lag(value float64) signalbox.Reading {
	condition := signalbox.Clear
	if value > 0.1 {
		condition = signalbox.Breached
	}
	return b.see("lag", "db/eu", condition, value)
}

// see puts a reading of now in. A condition that lasts keeps its beginning.
func (b *box) see(detector, subject string, condition signalbox.Condition, value float64) signalbox.Reading {
	r := signalbox.Reading{
		Detector: detector, Series: subject, Subject: subject, Condition: condition, Value: signalbox.Float(value), HasValue: true,
		Unit: signalbox.Seconds, Labels: map[string]string{"env": "prod", "cluster": "eu"}, SampleAt: b.w.Now, At: b.w.Now, Since: b.w.Now,
	}
	if detector == "errors" {
		r.Unit = signalbox.Number
	}
	if old := b.w.Facts.Reading(detector, subject, ""); old != nil && old.Condition == condition {
		r.Since = old.Since
	}
	b.w.Facts.Put(&r)
	return r
}

// foresee puts a forecast of a step in, as of now.
func (b *box) foresee(s signalbox.Step, position string) *signalbox.Forecast {
	back := throwTo(position)
	f := &signalbox.Forecast{At: b.w.Now, Class: signalbox.ClassA, Targets: []signalbox.Target{target}, Found: position, Position: position, Undo: &back, ByHand: "kubectl patch …"}
	b.w.Facts.PutForecast(s.Hash(), f)
	return f
}

// touch returns the target's state, to be changed.
func (b *box) touch() *signalbox.TargetState {
	if b.w.State.Targets[target] == nil {
		b.w.State.Targets[target] = &signalbox.TargetState{Target: target}
	}
	return b.w.State.Targets[target]
}

// acted adds an action of the incident that is done and thrown.
func (b *box) acted(outcome signalbox.Outcome) *signalbox.Action {
	plan, err := b.h.rules["failover"].plan(map[string]string{"cluster": "eu"})
	if err != nil {
		b.t.Fatal(err)
	}
	inc := b.inc()
	a := &signalbox.Action{
		ID: signalbox.ActionID(fmt.Sprintf("act-%d", len(inc.Actions))), Incident: incident, Policy: "failover", Index: inc.Next,
		Step: plan.Steps[inc.Next], Forecast: *b.foresee(plan.Steps[inc.Next], "a"), Stage: signalbox.Done, Outcome: outcome,
		ClaimedAt: b.w.Now, EndedAt: b.w.Now, VerifyBy: b.w.Now.Add(plan.VerifyWithin),
	}
	inc.Plan, inc.Next, inc.Outcome = plan, inc.Next+1, outcome
	inc.Actions = append(inc.Actions, a.ID)
	b.w.State.Actions[a.ID] = a
	s := b.touch()
	s.Last, s.Thrown, s.Acted = a.ID, a.ID, append(s.Acted, b.w.Now)
	return a
}

// healed makes the incident's edge clear as of now.
func (b *box) healed() {
	b.inc().Reading = b.lag(0.01)
	b.inc().ClearAt = b.w.Now
}

// later lets time pass; all that was read last is read again.
func (b *box) later(d time.Duration) {
	b.w.Now = b.w.Now.Add(d)
	for _, key := range [][2]string{{"lag", "db/eu"}, {"replica-lag", "replica/a"}, {"replica-lag", "replica/b"}, {"replica-lag", "replica/c"}, {"errors", "reads/eu"}} {
		if r := b.w.Facts.Reading(key[0], key[1], ""); r != nil {
			b.see(key[0], key[1], r.Condition, float64(r.Value))
		}
	}
}

func (b *box) decide() signalbox.Decision {
	b.t.Helper()
	decisions := b.h.Decide(b.w, []signalbox.IncidentID{incident})
	if len(decisions) != 1 {
		b.t.Fatalf("got %d decisions, want 1", len(decisions))
	}
	return decisions[0]
}

// want asserts the verdict, and that a reason of the code is among the causes.
func (b *box) want(verdict signalbox.Verdict, code string) signalbox.Decision {
	b.t.Helper()
	d := b.decide()
	if d.Verdict != verdict || code != "" && reason(d.Because, code) == nil {
		b.t.Fatalf("got %s, want %s because of %q:\n%s", d.Verdict, verdict, code, tell(d))
	}
	return d
}

// paged records what the engine records of an Escalate.
func (b *box) paged(d signalbox.Decision) {
	b.t.Helper()
	if d.Verdict != signalbox.Escalate || d.Page == nil {
		b.t.Fatalf("got %s, want a page:\n%s", d.Verdict, tell(d))
	}
	b.inc().Page = "page-1"
	if d.GaveUp != "" {
		b.inc().GaveUp = d.GaveUp
	}
}

func reason(because []signalbox.Reason, code string) *signalbox.Reason {
	i := slices.IndexFunc(because, func(r signalbox.Reason) bool { return r.Guard == code })
	if i < 0 {
		return nil
	}
	return &because[i]
}

func tell(d signalbox.Decision) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s until %s\n", d.Verdict, d.Outcome, d.Until)
	for _, r := range d.Because {
		fmt.Fprintf(&s, "  %-5v %s: %s\n", r.Passed, r.Guard, r.Detail)
	}
	if d.Page != nil {
		fmt.Fprintf(&s, "  page %s %q: %s\n", d.Page.Owner, d.Page.Group, d.Page.Why)
	}
	return s.String()
}

// blocked asserts that a guard alone forbids the act: it is named with its
// figures, and without it the step would be taken.
func (b *box) blocked(code, detail string) signalbox.Decision {
	b.t.Helper()
	d := b.decide()
	r := reason(d.Because, code)
	if d.Verdict == signalbox.Act || r == nil || r.Passed || !strings.Contains(r.Detail, detail) {
		b.t.Fatalf("got %s, want a block by %s with %q:\n%s", d.Verdict, code, detail, tell(d))
	}
	for i := range b.h.forward {
		if g := &b.h.forward[i]; g.name == code {
			ask := g.ask
			g.ask = func(*look, *move) answer { return answer{effect: passes, detail: "forced"} }
			defer func() { g.ask = ask }()
		}
	}
	if forced := b.decide(); forced.Verdict != signalbox.Act {
		b.t.Fatalf("with %s forced to pass: got %s, want act:\n%s", code, forced.Verdict, tell(forced))
	}
	return d
}

// readsAll asserts that a decision names all that it depends on.
func (b *box) readsAll(d signalbox.Decision, keys ...signalbox.Key) {
	b.t.Helper()
	for _, k := range keys {
		if !slices.Contains(d.Reads, k) {
			b.t.Errorf("%s is not among what was read: %v", k, d.Reads)
		}
	}
}
