package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// beside is a world in which the second step of a lane is to be taken while the
// first is in flight on a target of its own.
func beside(t *testing.T) (b *box, first *signalbox.Action) {
	t.Helper()
	b = newBox(t, laneOf(t))
	b.inc().PlanAt = noon
	first = b.acted("")
	first.Stage, first.EndedAt = signalbox.Started, time.Time{}
	first.Forecast.Targets = []signalbox.Target{"switch one"}
	delete(b.w.State.Targets, target)
	b.foresee(b.inc().Plan.Steps[1], "a")
	return b, first
}

// also adds an action of the incident that has ended, on the second step's target.
func (b *box) also(a signalbox.Action) {
	a.ID, a.Incident, a.Policy, a.EndedAt, a.Forecast.Targets = "act-x", incident, "failover", noon.Add(-time.Hour), []signalbox.Target{target}
	b.w.State.Actions[a.ID] = &a
	b.inc().Actions = append(b.inc().Actions, a.ID)
}

func TestGuardLanePasses(t *testing.T) {
	const own = "it touches targets of its own"
	for name, change := range map[string]func(b *box, first *signalbox.Action){
		"targets of its own": func(*box, *signalbox.Action) {},
		"an earlier attempt at itself": func(b *box, _ *signalbox.Action) {
			b.also(signalbox.Action{Index: 1, Step: b.inc().Plan.Steps[1], Stage: signalbox.Broken, Reason: "refused"})
		},
		"what took an action back": func(b *box, first *signalbox.Action) {
			b.also(signalbox.Action{Step: first.Step, Stage: signalbox.Done, Undoes: "act-w"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, first := beside(t)
			change(b, first)
			d := b.want(signalbox.Act, "lane")
			if r := reason(d.Because, "lane"); d.Next != 1 || !r.Passed || r.Detail != own {
				t.Errorf("step %d: got %q, want %q", d.Next, r.Detail, own)
			}
		})
	}
	b := newBox(t, runbook(named("zero", signalbox.Flow{Then: signalbox.ThenNext}), laneOf(t).Runbook[0], laneOf(t).Runbook[1]))
	b.acted("") // before the lane, on the target of its first step
	b.foresee(b.inc().Plan.Steps[1], "a")
	d := b.want(signalbox.Act, "lane")
	if r := reason(d.Because, "lane"); d.Next != 1 || r.Detail != own {
		t.Errorf("after a step of no lane: step %d, got %q", d.Next, r.Detail)
	}
	if r := reason(newBox(t).want(signalbox.Act, "lane").Because, "lane"); r.Detail != "it runs alone" {
		t.Errorf("a step of no lane: got %q", r.Detail)
	}
}

func TestGuardLaneHolds(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *box, first *signalbox.Action)
		detail string
	}{
		"the same target": {func(_ *box, first *signalbox.Action) {
			first.Forecast.Targets = []signalbox.Target{target}
		}, string(target) + " is touched by step 1 too, which runs at the same time"},
		"one of several": {func(b *box, first *signalbox.Action) {
			first.Forecast.Targets = []signalbox.Target{"switch one", "shared"}
			b.foresee(b.inc().Plan.Steps[1], "a").Targets = []signalbox.Target{target, "shared"}
		}, "shared is touched by step 1 too, which runs at the same time"},
		"though it is done": {func(b *box, first *signalbox.Action) {
			first.Forecast.Targets, first.Stage, first.EndedAt = []signalbox.Target{target}, signalbox.Done, noon.Add(-time.Minute)
		}, string(target) + " is touched by step 1 too, which runs at the same time"},
	} {
		t.Run(name, func(t *testing.T) {
			b, first := beside(t)
			c.change(b, first)
			d := b.blocked("lane", c.detail)
			if r := reason(d.Because, "lane"); d.Verdict != signalbox.Escalate || r.Detail != c.detail || r.Lifts != "a runbook whose parallel steps have targets of their own" {
				t.Errorf("got %s, %q, lifted by %q", d.Verdict, r.Detail, r.Lifts)
			}
		})
	}
}
