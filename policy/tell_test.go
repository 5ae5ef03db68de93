package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// telling is a step that tells a channel.
func telling(name string, flow signalbox.Flow) signalbox.Step {
	flow.Tells = true
	return signalbox.Step{Kind: "announce", Name: name, Spec: json.RawMessage(`{}`), Undo: signalbox.UndoAuto, Tool: true, Flow: flow, About: &signalbox.About{}}
}

// tool is a step that uses a tool.
func tool(name, to string) signalbox.Step {
	return signalbox.Step{Kind: "rollout", Name: name, To: to, Spec: json.RawMessage(`{}`), Undo: signalbox.UndoAuto, Tool: true}
}

// What tells stands beside the switches: it is told in its order, awaits
// nothing, and is brought to its end once all is well again.
func TestTellingStandsBesideTheRunbook(t *testing.T) {
	b := newBox(t, runbook(telling("first", signalbox.Flow{}), named("one", signalbox.Flow{}), telling("then", signalbox.Flow{}), named("two", signalbox.Flow{})))
	taken, _ := b.play(nil)
	want := []string{"0", "1", "2", "not_recovered", "back one", "3", "not_recovered", "back two"}
	if !slices.Equal(taken, want) {
		t.Fatalf("got %q, want %q", taken, want)
	}
	b.healed()
	taken, d := b.play(nil)
	if got := taken; !slices.Equal(got, []string{"back then", "back first"}) || d.Verdict != signalbox.Resolve {
		t.Fatalf("got %q and then\n%s", got, tell(d))
	}
}

// A step that tells knows its incident, and nothing that changes at each look.
func TestTellingKnowsItsIncident(t *testing.T) {
	b := newBox(t, runbook(telling("ops", signalbox.Flow{})))
	first := b.want(signalbox.Preview, "")
	about := first.Step.About
	if about == nil || about.Incident != incident || about.Subject != "db/eu" || about.Owner != "backend" || about.Labels["cluster"] != "eu" || about.Policy != "failover" {
		t.Fatalf("got %+v", about)
	}
	b.later(5 * time.Second)
	b.lag(7)
	if second := b.want(signalbox.Preview, ""); second.Step.Hash() != first.Step.Hash() {
		t.Error("another value is another step")
	}
}

// What holds switches back does not hold what tells: freeze, budget, cooldown.
func TestTellingIsNotHeldByWhatHoldsSwitches(t *testing.T) {
	c := configOf(runbook(telling("ops", signalbox.Flow{}), named("one", signalbox.Flow{})))
	c.Freeze = []Freeze{{Name: "x", From: noon, To: noon.Add(4 * time.Hour)}}
	c.Budget = []Rate{{N: 1, Per: 24 * time.Hour}}
	b := newBoxOf(t, c)
	b.w.State.Budgets[BudgetAll] = &signalbox.Spend{Scope: BudgetAll, Times: []time.Time{noon}}
	taken, d := b.play(nil)
	if got := taken; !slices.Equal(got, []string{"0"}) {
		t.Fatalf("got %q and then\n%s", got, tell(d))
	}
	if r := reason(d.Because, "freeze"); r == nil || r.Passed {
		t.Errorf("the switch is not held:\n%s", tell(d))
	}
}

// The kill switch and a pause hold it, and it waits without stopping the rest.
func TestTellingIsHeldByControls(t *testing.T) {
	b := newBox(t, runbook(telling("ops", signalbox.Flow{})))
	b.w.State.Controls.Pauses = []signalbox.Control{{Kind: signalbox.Pause, Scope: "all", Who: "@sre"}}
	if taken, d := b.play(nil); len(taken) > 0 || reason(d.Because, tellsGuard) == nil {
		t.Fatalf("got %q:\n%s", taken, tell(d))
	}
	b.w.State.Controls = signalbox.Controls{}
	b.w.Facts.KillFile = "it is there"
	if taken, d := b.play(nil); len(taken) > 0 {
		t.Fatalf("got %q:\n%s", taken, tell(d))
	}
}

// Who took an incident is not spoken over: nothing is told, and nothing brought to
// its end, before it is released; attempts that the gate would refuse are not made.
// Who only acknowledged, where that takes, is not asked to release what is over.
func TestTellingYieldsToWhoTookIt(t *testing.T) {
	c := configOf(runbook(telling("ops", signalbox.Flow{})))
	c.AcknowledgeTakes = true
	b := newBoxOf(t, c)
	take := []signalbox.Control{{Kind: signalbox.Take, Scope: "incident/" + string(incident), Who: "@be-lead", At: noon, Reason: "mine"}}
	b.w.State.Controls.Taken = take
	if taken, d := b.play(nil); len(taken) > 0 || !strings.Contains(tell(d), "taken by @be-lead") {
		t.Fatalf("taken: got %q:\n%s", taken, tell(d))
	}
	b.w.State.Controls.Taken = nil
	if taken, d := b.play(nil); !slices.Equal(taken, []string{"0"}) {
		t.Fatalf("released: got %q:\n%s", taken, tell(d))
	}
	b.w.State.Controls.Taken = take
	b.healed()
	if taken, d := b.play(nil); len(taken) > 0 || d.Verdict == signalbox.Resolve || !strings.Contains(tell(d), "taken by @be-lead") {
		t.Fatalf("taken, and well: got %q:\n%s", taken, tell(d))
	}
	b.w.State.Controls.Taken = nil
	b.inc().Page = "page-1"
	b.w.State.Pages["page-1"] = &signalbox.Page{Key: "page-1", AckedAt: b.w.Now, AckedBy: "@be-oncall", Incidents: []signalbox.IncidentID{incident}}
	if taken, d := b.play(nil); !slices.Equal(taken, []string{"back ops"}) || d.Verdict != signalbox.Resolve {
		t.Fatalf("acknowledged, and well: got %q:\n%s", taken, tell(d))
	}
}

// What can't be told, or too often, is passed over with its reason, and the
// runbook goes on.
func TestWhatCanNotBeToldIsPassedOver(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(b *box)
		why     string
	}{
		"refused": {func(b *box) {
			d := b.want(signalbox.Preview, "")
			b.w.Facts.PutForecast(d.Step.Hash(), &signalbox.Forecast{At: b.w.Now, Class: signalbox.ClassC, Targets: []signalbox.Target{"slack"}, Refused: "not in the channel"})
		}, "not in the channel"},
		"too often": {func(b *box) {
			times := make([]time.Time, tellsMost)
			for i := range times {
				times[i] = noon
			}
			b.w.State.Budgets["tells/ops"] = &signalbox.Spend{Scope: "tells/ops", Times: times}
		}, "tells/ops: 20 of 20 in 1h are spent"},
		"attempts": {func(b *box) {
			for i := range maxAttempts {
				a := &signalbox.Action{ID: signalbox.ActionID(rune('a' + i)), Incident: incident, Policy: "failover", Step: telling("ops", signalbox.Flow{}), Stage: signalbox.Broken, EndedAt: noon, Reason: "refused"}
				b.w.State.Actions[a.ID] = a
				b.inc().Actions = append(b.inc().Actions, a.ID)
			}
		}, "3 attempts had no effect"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, runbook(telling("ops", signalbox.Flow{}), named("one", signalbox.Flow{})))
			c.prepare(b)
			d := b.want(signalbox.Advance, "step")
			if d.Mark == nil || d.Mark.State != signalbox.StepSkipped || !strings.Contains(d.Mark.Why, c.why) {
				t.Fatalf("got %+v, want it skipped: %s", d.Mark, c.why)
			}
			if taken, d := b.play(nil); !slices.Contains(taken, "1") {
				t.Errorf("got %q:\n%s", taken, tell(d))
			}
		})
	}
}

// A public post waits for a person, and the switches do not wait for it; denied,
// it is passed over.
func TestTellingThatNeedsApproval(t *testing.T) {
	b := newBox(t, runbook(telling("public", signalbox.Flow{}), named("one", signalbox.Flow{})))
	d := b.want(signalbox.Preview, "")
	forecast := &signalbox.Forecast{At: b.w.Now, Class: signalbox.ClassC, Targets: []signalbox.Target{"page"}, NeedsApproval: "public"}
	b.w.Facts.PutForecast(d.Step.Hash(), forecast)
	d = b.want(signalbox.Ask, "approval")
	a := *d.Approval
	b.w.State.Approvals[a.ID] = &a
	if d := b.want(signalbox.Preview, ""); d.Step.Name != "one" {
		t.Fatalf("the switch waits for the post:\n%s", tell(d))
	}
	a.State, a.Who, a.Reason = signalbox.Denied, "ann", "not yet"
	d = b.want(signalbox.Advance, "step")
	if d.Mark.State != signalbox.StepSkipped || !strings.Contains(d.Mark.Why, "ann denied it") {
		t.Fatalf("got %+v", d.Mark)
	}
}

// Autonomy approve asks for switches, not for what tells.
func TestTellingNeedsNoApprovalOfItsPolicy(t *testing.T) {
	p := runbook(telling("ops", signalbox.Flow{}), named("one", signalbox.Flow{}))
	p.Autonomy = Approve
	b := newBox(t, p)
	taken, d := b.play(nil)
	if got := taken; !slices.Equal(got, []string{"0"}) || d.Verdict != signalbox.Ask {
		t.Fatalf("got %q and then\n%s", got, tell(d))
	}
}

// A promise at risk pages once, whatever else is going on, and not where it is
// kept.
func TestPromiseAtRisk(t *testing.T) {
	b := newBox(t, runbook(named("one", signalbox.Flow{}), telling("public", signalbox.Flow{Promise: 15 * time.Minute})))
	d := b.decide()
	b.w.Facts.PutForecast(d.Step.Hash(), &signalbox.Forecast{At: b.w.Now, Class: signalbox.ClassA, Targets: []signalbox.Target{"x"}, Refused: "no"})
	b.paged(b.want(signalbox.Escalate, "forecast"))
	b.later(9 * time.Minute)
	if d := b.decide(); d.Told != "" {
		t.Fatalf("paged early:\n%s", tell(d))
	}
	b.later(time.Minute)
	d = b.want(signalbox.Escalate, "promise")
	if d.Told != "promise/1" || !strings.Contains(d.Page.Why, "public is promised within 15m, by 12:15:00Z") {
		t.Fatalf("got %q:\n%s", d.Told, tell(d))
	}
	b.inc().Told = append(b.inc().Told, d.Told)
	if d := b.decide(); d.Told != "" {
		t.Fatalf("paged twice:\n%s", tell(d))
	}
	b.inc().Told = nil
	a := &signalbox.Action{ID: "act-t", Incident: incident, Policy: "failover", Index: 1, Step: telling("public", signalbox.Flow{}), Stage: signalbox.Done, EndedAt: noon}
	b.w.State.Actions[a.ID] = a
	b.inc().Actions = append(b.inc().Actions, a.ID)
	if d := b.decide(); d.Told != "" {
		t.Fatalf("paged, though it was kept:\n%s", tell(d))
	}
}

// A tool has no positions that could be proved healthy, forward and back.
func TestToolNeedsNoHealth(t *testing.T) {
	b := newBox(t, runbook(tool("web", "paused")))
	taken, d := b.play(nil)
	if got := taken; len(got) == 0 || got[0] != "0" {
		t.Fatalf("got %q and then\n%s", got, tell(d))
	}
}

// In shadow what is recorded is what would be thrown, with its ids, and not that
// people would be told first.
func TestShadowLooksPastWhatTells(t *testing.T) {
	replay := tool("replay", "")
	replay.Flow = signalbox.Flow{Most: 2, Pace: signalbox.ItemPace{N: 4, Per: time.Hour}}
	p := runbook(telling("first", signalbox.Flow{}), replay)
	p.Autonomy = Shadow
	b := newBox(t, p)
	b.inc().Reading.Items = []string{"e1", "e2", "e3"}
	d := b.decide()
	if len(d.Shadow) != 1 || d.Shadow[0].Verdict != signalbox.Preview || d.Shadow[0].Step.Name != "replay" || !slices.Equal(d.Shadow[0].Step.Items, []string{"e1", "e2"}) {
		t.Fatalf("got %+v", d.Shadow)
	}
	b.step(signalbox.Decision{Verdict: signalbox.Preview, Step: d.Shadow[0].Step})
	if d = b.decide(); d.Shadow[0].Verdict != signalbox.Act {
		t.Errorf("got %+v", d.Shadow)
	}
}

// What is approved once the switch has helped is told then, and not only once the
// incident is over.
func TestTellingApprovedOnceItHelped(t *testing.T) {
	b := newBox(t, runbook(telling("public", signalbox.Flow{}), named("one", signalbox.Flow{})))
	d := b.want(signalbox.Preview, "")
	b.w.Facts.PutForecast(d.Step.Hash(), &signalbox.Forecast{At: b.w.Now, Class: signalbox.ClassC, Targets: []signalbox.Target{"page"}, NeedsApproval: "public"})
	d = b.want(signalbox.Ask, "approval")
	a := *d.Approval
	b.w.State.Approvals[a.ID] = &a
	public := *d.Step
	d = b.want(signalbox.Preview, "")
	undo := *d.Step
	undo.To = "a"
	b.w.Facts.PutForecast(d.Step.Hash(), &signalbox.Forecast{At: b.w.Now, Class: signalbox.ClassA, Targets: []signalbox.Target{ownTarget(d.Step)}, Found: "a", Position: "a", Undo: &undo})
	b.start(b.want(signalbox.Act, ""), nil)
	b.w.State.Actions["act-0"].Outcome = signalbox.Recovered
	b.later(5 * time.Second)
	b.lag(0.01)
	b.w.Facts.PutForecast(public.Hash(), &signalbox.Forecast{At: b.w.Now, Class: signalbox.ClassC, Targets: []signalbox.Target{"page"}, NeedsApproval: "public"})
	d = b.want(signalbox.Hold, "recovered_waiting")
	b.readsAll(d, signalbox.ApprovalKey(a.ID))
	a.State, a.Who = signalbox.Approved, "ann"
	if d := b.want(signalbox.Act, "approval"); d.Step.Name != "public" || d.Uses != a.ID {
		t.Errorf("got %s of %q with %q\n%s", d.Verdict, d.Step.Name, d.Uses, tell(d))
	}
}
