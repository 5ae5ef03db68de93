package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

// named is a step on a switch of its own.
func named(name string, flow signalbox.Flow) signalbox.Step {
	s := throwTo("b")
	s.Name, s.Flow = name, flow
	return s
}

func runbook(steps ...signalbox.Step) Policy {
	p := failover()
	p.Runbook, p.Cooldown, p.Budget = steps, 0, nil
	return p
}

// laneOf is a policy that throws two switches at once.
func laneOf(testing.TB) Policy {
	return runbook(named("one", signalbox.Flow{Lane: 1}), named("two", signalbox.Flow{Lane: 1}))
}

// ownTarget gives each switch a target of its own.
func ownTarget(s *signalbox.Step) signalbox.Target { return signalbox.Target("switch " + s.Name) }

// play takes steps as the engine does, until the runbook rests; each step's end
// is what ends says by its name ("" is done, "broken", "never": it stays in
// flight). It returns what was taken, in order.
func (b *box) play(ends map[string]string) (taken []string, last signalbox.Decision) {
	b.t.Helper()
	for range 200 {
		d := b.decide()
		switch d.Verdict {
		case signalbox.Preview:
			undo := *d.Step
			undo.To = "a"
			if d.Takes != "" {
				undo.To = "b"
			}
			f := &signalbox.Forecast{At: b.w.Now, Class: signalbox.ClassA, Targets: []signalbox.Target{ownTarget(d.Step)}, Found: undo.To, Position: undo.To, Undo: &undo}
			b.w.Facts.PutForecast(d.Step.Hash(), f)
		case signalbox.Act, signalbox.Undo:
			taken = append(taken, b.start(d, ends))
		case signalbox.Advance:
			if b.inc().Plan = d.Plan; b.inc().PlanAt.IsZero() {
				b.inc().PlanAt = b.w.Now
			}
			if d.Mark == nil {
				continue // it began
			}
			m := *d.Mark
			m.At = b.w.Now
			b.inc().Marks = append(b.inc().Marks, m)
			taken = append(taken, fmt.Sprintf("%d:%s", m.Index, m.State))
		case signalbox.Settle:
			a := b.w.State.Actions[d.Takes]
			a.Outcome, a.JudgedAt = d.Outcome, b.w.Now
			taken = append(taken, string(d.Outcome))
		case signalbox.Hold, signalbox.Verify:
			if d.Until.IsZero() || d.Until.Sub(b.w.Now) > time.Hour {
				return taken, d
			}
			b.later(max(d.Until.Sub(b.w.Now), time.Second))
			if b.w.Now.Sub(noon) > 3*time.Hour {
				return taken, d
			}
		default:
			return taken, d
		}
	}
	b.t.Fatalf("the runbook has no end: %v", taken)
	return nil, last
}

// start records what the engine records of a step that was taken.
func (b *box) start(d signalbox.Decision, ends map[string]string) string {
	inc := b.inc()
	a := &signalbox.Action{
		ID: signalbox.ActionID(fmt.Sprintf("act-%d", len(inc.Actions))), Incident: incident, Policy: "failover", Step: *d.Step, Index: d.Next,
		Stage: signalbox.Done, ClaimedAt: b.w.Now, EndedAt: b.w.Now, Undoes: d.Takes, Forecast: *b.w.Facts.Forecast(d.Step.Hash()),
	}
	if d.Verdict == signalbox.Act {
		inc.Plan, a.VerifyBy = d.Plan, b.w.Now.Add(time.Minute)
	}
	if inc.PlanAt.IsZero() {
		inc.PlanAt = b.w.Now
	}
	t := ownTarget(d.Step)
	if b.w.State.Targets[t] == nil {
		b.w.State.Targets[t] = &signalbox.TargetState{Target: t}
	}
	s := b.w.State.Targets[t]
	switch ends[d.Step.Name] {
	case "broken":
		a.Stage, a.Reason = signalbox.Broken, "refused"
	case "never":
		a.Stage, a.EndedAt, s.Holder = signalbox.Started, time.Time{}, a.ID
	default:
		if d.Step.Most == 0 { // what takes ids throws nothing that stands
			s.Thrown = a.ID
		}
	}
	s.Last = a.ID
	inc.Actions = append(inc.Actions, a.ID)
	b.w.State.Actions[a.ID] = a
	if a.Undoes == "" {
		return fmt.Sprintf("%d", d.Next)
	}
	b.w.State.Actions[a.Undoes].Undone, s.Thrown = a.ID, ""
	return "back " + d.Step.Name
}

func TestRunbooks(t *testing.T) {
	next := signalbox.Flow{Then: signalbox.ThenNext}
	with := func(edit func(f *signalbox.Flow)) signalbox.Flow { f := next; edit(&f); return f }
	waitFor := func(subject string, during, within time.Duration) signalbox.Step {
		return signalbox.Step{Kind: "wait", Name: "wait", Flow: signalbox.Flow{
			Within: within, Until: &signalbox.Wait{Witness: signalbox.Witness{Detector: "replica-lag", Subject: subject}, For: during},
		}}
	}
	skipped := named("one", with(func(f *signalbox.Flow) { f.Else = signalbox.ElseSkip }))
	skipped.If = "value > duration('1h')"
	back := "broken"
	for name, c := range map[string]struct {
		steps []signalbox.Step
		ends  map[string]string
		want  string
		last  signalbox.Verdict
		code  string
	}{
		"one after the other, where the one before did not help": {
			[]signalbox.Step{named("one", signalbox.Flow{}), named("two", signalbox.Flow{})},
			nil,
			"0 not_recovered back one 1 not_recovered back two", signalbox.Escalate, "gave_up",
		},
		"a chain is verified at its end, and taken back in reverse": {
			[]signalbox.Step{named("one", next), named("two", next), named("three", signalbox.Flow{})},
			nil,
			"0 1 2 not_recovered back three back two back one", signalbox.Escalate, "gave_up",
		},
		"a lane": {
			laneOf(t).Runbook, nil, "0 1 not_recovered back two back one", signalbox.Escalate, "gave_up",
		},
		"a lane goes on beside what is in flight": {
			laneOf(t).Runbook, map[string]string{"one": "never"}, "0 1", signalbox.Hold, "in_flight",
		},
		"steps that are not of a lane wait": {
			[]signalbox.Step{named("one", next), named("two", next)}, map[string]string{"one": "never"}, "0", signalbox.Hold, "in_flight",
		},
		"skipped": {
			[]signalbox.Step{skipped, named("two", signalbox.Flow{})}, nil, "0:skipped 1 not_recovered back two", signalbox.Escalate, "gave_up",
		},
		"failed, without a rescue": {
			[]signalbox.Step{named("one", next), named("two", next)}, map[string]string{"one": back}, "0 0 0", signalbox.Escalate, "attempts",
		},
		"failed, and rescued to the end": {
			[]signalbox.Step{named("one", next), named("help", signalbox.Flow{Rescue: 1, Then: signalbox.ThenNext}), named("two", next)},
			map[string]string{"one": back},
			"0 0 0 0:failed 1 not_recovered back help", signalbox.Escalate, "gave_up",
		},
		"failed, rescued, and resumed": {
			[]signalbox.Step{named("one", next), named("help", signalbox.Flow{Rescue: 1, Then: signalbox.ThenNext, Resume: true}), named("two", next)},
			map[string]string{"one": back},
			"0 0 0 0:failed 1 2 not_recovered back two back help", signalbox.Escalate, "gave_up",
		},
		"a rescue is passed over where nothing failed": {
			[]signalbox.Step{named("one", next), named("help", signalbox.Flow{Rescue: 1}), named("two", next)},
			nil,
			"0 2 not_recovered back two back one", signalbox.Escalate, "gave_up",
		},
		"waited for": {
			[]signalbox.Step{waitFor("replica/b", time.Minute, time.Hour), named("two", next)}, nil, "0:waited 1 not_recovered back two", signalbox.Escalate, "gave_up",
		},
		"waited for in vain": {
			[]signalbox.Step{waitFor("replica/none", 0, time.Minute), named("two", next)}, nil, "0:failed", signalbox.Escalate, "gave_up",
		},
		"a step's time runs from when the one before it was judged and taken back": {
			[]signalbox.Step{named("one", signalbox.Flow{}), named("two", signalbox.Flow{Within: 30 * time.Second})},
			nil,
			"0 not_recovered back one 1 not_recovered back two", signalbox.Escalate, "gave_up",
		},
		"late in flight": {
			[]signalbox.Step{named("one", signalbox.Flow{Within: time.Minute})}, map[string]string{"one": "never"}, "0", signalbox.Escalate, "step",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, runbook(c.steps...))
			taken, last := b.play(c.ends)
			if got := strings.Join(taken, " "); got != c.want || last.Verdict != c.last || reason(last.Because, c.code) == nil {
				t.Errorf("got %q, want %q\n%s", got, c.want, tell(last))
			}
		})
	}
}

// The time of a first step runs from when its runbook was chosen, not from when
// the incident was opened.
func TestTimeOfTheFirstStep(t *testing.T) {
	b := newBox(t, runbook(named("one", signalbox.Flow{Within: time.Minute})))
	b.inc().OpenedAt = noon.Add(-time.Hour)
	d := b.want(signalbox.Advance, "step")
	if d.Mark != nil || d.Plan == nil {
		t.Fatalf("it must only begin:\n%s", tell(d))
	}
	if taken, _ := b.play(nil); len(taken) == 0 || taken[0] != "0" {
		t.Errorf("got %v, want the step itself", taken)
	}
}

// A lane whose first step ends last is judged by what is seen after that, and
// for as long as that may take.
func TestLaneIsJudgedOnceItIsWhole(t *testing.T) {
	b := newBox(t, laneOf(t))
	b.play(map[string]string{"one": "never"})
	b.later(50 * time.Second)
	one := b.w.State.Actions[b.inc().Actions[0]]
	one.Stage, one.EndedAt, one.VerifyBy = signalbox.Done, b.w.Now, b.w.Now.Add(time.Minute)
	b.w.State.Targets[ownTarget(&one.Step)] = &signalbox.TargetState{Thrown: one.ID, Last: one.ID}
	b.later(30 * time.Second)
	b.want(signalbox.Verify, "verify")
	b.later(31 * time.Second)
	b.want(signalbox.Settle, "verify")
}

// A step that waits tells for what, and how that is.
func TestWaitTellsItsWitness(t *testing.T) {
	wait := signalbox.Step{Kind: "wait", Name: "wait", Flow: signalbox.Flow{
		Within: time.Hour, Until: &signalbox.Wait{Witness: signalbox.Witness{Detector: "replica-lag", Subject: "replica/none"}},
	}}
	b := newBox(t, runbook(wait))
	d := b.h.Decide(b.w, []signalbox.IncidentID{incident})[0]
	b.inc().Plan, b.inc().PlanAt = d.Plan, noon
	d = b.want(signalbox.Hold, "wait")
	if got := reason(d.Because, "wait").Detail; got != "step 1 waits: no reading of replica-lag on replica/none" {
		t.Errorf("got %q", got)
	}
}

// While further ids of a step wait for their pace, nobody is paged.
func TestItemsWaitForTheirPace(t *testing.T) {
	replay := named("replay", signalbox.Flow{Most: 2, Pace: signalbox.ItemPace{N: 3, Per: time.Hour}, Then: signalbox.ThenNext})
	b := newBox(t, runbook(replay))
	b.inc().Reading.Items = []string{"e1", "e2"}
	b.play(nil)
	b.inc().Reading.Items = append(b.inc().Reading.Items, "e3", "e4")
	a := b.w.State.Actions[b.inc().Actions[0]]
	a.Outcome, b.inc().GaveUp, b.inc().Page = "", "", ""
	b.w.State.Budgets["items/replay"] = &signalbox.Spend{Times: []time.Time{b.w.Now, b.w.Now}}
	d := b.want(signalbox.Hold, "items")
	if want := b.w.Now.Add(time.Hour); !d.Until.Equal(want) && d.Until.After(want) {
		t.Errorf("due at %s, want %s at the latest", d.Until, want)
	}
}

// What earlier steps returned can be asked for by their ids.
func TestStepsInConditions(t *testing.T) {
	first := named("one", signalbox.Flow{ID: "first", Then: signalbox.ThenNext})
	second := named("two", signalbox.Flow{Else: signalbox.ElseSkip})
	for expr, want := range map[string]string{
		`steps.first.state == "done" && steps.first.position == "a" && steps.first.to == "b"`: "0 1",
		`steps["first"].outcome == "recovered"`:                                               "0 1:skipped",
	} {
		second.If = expr
		taken, _ := newBox(t, runbook(first, second)).play(nil)
		if got := strings.Join(taken[:2], " "); got != want {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
	}
	second.If = `steps.first.nothing == ""`
	taken, last := newBox(t, runbook(first, second)).play(nil)
	if len(taken) != 1 || last.Verdict != signalbox.Escalate || reason(last.Because, "condition") == nil {
		t.Errorf("a field that no step has: got %v\n%s", taken, tell(last))
	}
	for expr, want := range map[string]string{
		`steps.second.state == ""`: `steps: "second" is not the id of an earlier step`, `steps[subject].state == ""`: "an id that is computed",
	} {
		second.If = expr
		refused(t, configOf(runbook(first, second)), want)
	}
}

// The ids of an incident are taken in bounded batches, each once.
func TestItems(t *testing.T) {
	replay := named("replay", signalbox.Flow{Most: 2, Pace: signalbox.ItemPace{N: 3, Per: time.Hour}, Then: signalbox.ThenNext})
	b := newBox(t, runbook(replay))
	b.inc().Reading.Items = []string{"e1", "e2", "e3", "e4", "e5"}
	b.step(b.want(signalbox.Advance, "step"))
	d := b.want(signalbox.Preview, "items")
	if !slices.Equal(d.Step.Items, []string{"e1", "e2"}) {
		t.Fatalf("got %v", d.Step.Items)
	}
	taken, _ := b.play(nil)
	var got []string
	for _, id := range b.inc().Actions {
		if a := b.w.State.Actions[id]; a.Undoes == "" {
			got = append(got, a.Step.Items...)
		}
	}
	if !slices.Equal(got, b.inc().Reading.Items) {
		t.Errorf("got %v by %v", got, taken)
	}
	b = planned(newBox(t, runbook(replay)), Auto)
	b.inc().Reading.Items = []string{"e1", "e2"}
	b.w.State.Budgets["items/replay"] = &signalbox.Spend{Times: []time.Time{noon, noon}}
	b.want(signalbox.Escalate, "items")
}

func TestFlowRefused(t *testing.T) {
	for want, steps := range map[string][]signalbox.Step{
		"id must be another":             {named("one", signalbox.Flow{ID: "x"}), named("two", signalbox.Flow{ID: "x"})},
		"on switches of their own":       {named("one", signalbox.Flow{Lane: 1}), named("one", signalbox.Flow{Lane: 1})},
		"must stand next to each other":  {named("one", signalbox.Flow{Lane: 1}), named("two", signalbox.Flow{}), named("three", signalbox.Flow{Lane: 1})},
		"must be of an earlier step":     {named("one", signalbox.Flow{Rescue: 2}), named("two", signalbox.Flow{})},
		"a step that is itself one":      {named("one", signalbox.Flow{}), named("two", signalbox.Flow{Rescue: 1}), named("three", signalbox.Flow{Rescue: 2})},
		"within is required":             {{Kind: "wait", Name: "wait", Flow: signalbox.Flow{Until: &signalbox.Wait{If: "true"}}}},
		"must have either a detector or": {{Kind: "wait", Name: "wait", Flow: signalbox.Flow{Within: 1, Until: &signalbox.Wait{}}}},
		"else must be hold or skip":      {named("one", signalbox.Flow{Else: "x"})},
		"then must be verify or next":    {named("one", signalbox.Flow{Then: "x"})},
	} {
		refused(t, configOf(runbook(steps...)), want)
	}
}

// A runbook of steps that fail, are skipped or are done, with rescues, takes
// them as this plain reading of it says.
func TestPropertyRunbookOrder(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		var steps []signalbox.Step
		ends, skips := map[string]string{}, map[int]bool{}
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			i := len(steps)
			s := named(fmt.Sprintf("s%d", i), signalbox.Flow{Then: signalbox.ThenNext})
			if rapid.IntRange(0, 3).Draw(t, "skip") == 0 {
				s.If, s.Else, skips[i] = "false", signalbox.ElseSkip, true
			} else if rapid.IntRange(0, 2).Draw(t, "fails") == 0 {
				ends[s.Name] = "broken"
			}
			steps = append(steps, s)
			for range rapid.IntRange(0, 2).Draw(t, "rescues") {
				steps = append(steps, named(fmt.Sprintf("s%d", len(steps)), signalbox.Flow{Rescue: i + 1, Then: signalbox.ThenNext, Resume: rapid.Bool().Draw(t, "resume")}))
			}
		}
		got, _ := newBox(outer, runbook(steps...)).play(ends)
		got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "back ") || s == "not_recovered" })
		if want := plainReading(steps, ends, skips); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// plainReading is what a person would do with a runbook.
func plainReading(steps []signalbox.Step, ends map[string]string, skips map[int]bool) (did []string) {
	for i, s := range steps {
		switch {
		case s.Rescue != 0:
			continue
		case skips[i]:
			did = append(did, fmt.Sprintf("%d:skipped", i))
			continue
		case ends[s.Name] != "broken":
			did = append(did, fmt.Sprint(i))
			continue
		}
		did = append(did, fmt.Sprint(i), fmt.Sprint(i), fmt.Sprint(i))
		resumes, helped := false, false
		for j, r := range steps {
			if r.Rescue == i+1 {
				if !helped {
					did = append(did, fmt.Sprintf("%d:failed", i))
				}
				did, resumes, helped = append(did, fmt.Sprint(j)), r.Resume, true
			}
		}
		if !resumes {
			return did
		}
	}
	return did
}
