package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// do records what the engine records when a step was taken and is done.
func (b *box) do(d signalbox.Decision) *signalbox.Action {
	b.t.Helper()
	inc := b.inc()
	a := &signalbox.Action{
		ID: signalbox.ActionID("done-" + string(rune('a'+len(inc.Actions)))), Incident: incident, Policy: "failover", Step: *d.Step, Index: d.Next,
		Stage: signalbox.Done, ClaimedAt: b.w.Now, EndedAt: b.w.Now, Undoes: d.Takes,
	}
	if f := b.w.Facts.Forecast(d.Step.Hash()); f != nil {
		a.Forecast = *f
	}
	if d.Verdict == signalbox.Act {
		inc.Plan, inc.Next = d.Plan, d.Next+1
		a.VerifyBy = b.w.Now.Add(d.Plan.VerifyWithin)
	}
	inc.Actions = append(inc.Actions, a.ID)
	b.w.State.Actions[a.ID] = a
	if isPage(&a.Step) {
		return a
	}
	s := b.touch()
	s.Last, s.Thrown, s.Acted = a.ID, a.ID, append(s.Acted, b.w.Now)
	if d.Takes != "" {
		b.w.State.Actions[d.Takes].Undone, s.Thrown = a.ID, ""
	}
	return a
}

// settle records what a Settle says.
func (b *box) settle(outcome signalbox.Outcome) {
	b.t.Helper()
	d := b.want(signalbox.Settle, "verify")
	if d.Outcome != outcome {
		b.t.Fatalf("got %s, want %s:\n%s", d.Outcome, outcome, tell(d))
	}
	b.w.State.Actions[d.Takes].Outcome, b.inc().Outcome = outcome, outcome
	if outcome == signalbox.NotRecovered {
		b.touch().Ineffective++
	}
}

// ends asserts that the incident is resolved.
func (b *box) ends(end signalbox.End) {
	b.t.Helper()
	if d := b.want(signalbox.Resolve, "resolve"); d.End != end {
		b.t.Fatalf("got end %s, want %s:\n%s", d.End, end, tell(d))
	}
}

// undoing follows a switch back: its preview, and then the step.
func (b *box) undoing(a *signalbox.Action) signalbox.Decision {
	b.t.Helper()
	d := b.want(signalbox.Preview, "forecast")
	if d.Takes != a.ID || d.Step == nil || d.Step.To != "a" {
		b.t.Fatalf("got %s of %v, want the way back of %s", d.Takes, d.Step, a.ID)
	}
	b.foresee(*d.Step, "b")
	d = b.want(signalbox.Undo, "forecast")
	if d.Takes != a.ID || d.Step.To != "a" {
		b.t.Fatalf("got %s of %v", d.Takes, d.Step)
	}
	return d
}

func TestStoryRecoveredAndTakenBack(t *testing.T) {
	b := newBox(t)
	a := b.do(b.want(signalbox.Act, ""))
	if d := b.want(signalbox.Verify, "verify"); !d.Until.After(noon) || d.Until.After(a.VerifyBy) {
		t.Errorf("due at %s, want by %s", d.Until, a.VerifyBy)
	}
	b.later(15 * time.Second)
	b.lag(0.05)
	b.settle(signalbox.Recovered)
	b.want(signalbox.Hold, "recovered_waiting") // the edge is not there yet
	b.later(2 * time.Minute)
	b.healed()
	d := b.want(signalbox.Hold, "after_healthy")
	if d.Until.IsZero() {
		t.Errorf("it is not due again")
	}
	b.later(29 * time.Minute)
	b.want(signalbox.Hold, "after_healthy")
	b.later(time.Minute)
	b.do(b.undoing(a))
	b.ends(signalbox.Acted)
}

func TestStoryOldPositionMustBeHealthyForAWhile(t *testing.T) {
	b := newBox(t)
	b.acted(signalbox.Recovered)
	b.later(time.Minute)
	b.healed()
	b.later(20 * time.Minute)
	b.see("replica-lag", "replica/a", signalbox.Breached, 5)
	b.later(10 * time.Minute)
	b.want(signalbox.Hold, "health")
	b.see("replica-lag", "replica/a", signalbox.Clear, 0.01)
	b.later(29 * time.Minute)
	b.want(signalbox.Hold, "health")
	b.later(time.Minute)
	b.want(signalbox.Preview, "forecast")
	// Another series of the same subject that is ill keeps it too.
	r := *b.w.Facts.Reading("lag", "db/eu", "")
	r.Series, r.Condition = "another", signalbox.Breached
	b.w.Facts.Put(&r)
	b.want(signalbox.Hold, "after_healthy")
}

func TestStoryNotRecoveredIsTakenBackAndPaged(t *testing.T) {
	b := newBox(t)
	a := b.do(b.want(signalbox.Act, ""))
	b.later(5*time.Minute - 1)
	b.want(signalbox.Verify, "verify")
	b.later(1)
	b.settle(signalbox.NotRecovered)
	b.do(b.undoing(a))
	d := b.want(signalbox.Escalate, "gave_up")
	if d.GaveUp == "" || d.Page.Owner != "backend" {
		t.Errorf("got %s", tell(d))
	}
	b.paged(d)
	b.want(signalbox.Hold, "gave_up")
	b.later(time.Hour)
	b.want(signalbox.Hold, "gave_up")
	b.healed()
	b.ends(signalbox.Failed)
}

func TestStoryUndoIsHeldByAPauseAndPagedOnce(t *testing.T) {
	b := newBox(t)
	a := b.acted(signalbox.NotRecovered)
	b.later(5 * time.Minute)
	b.w.State.Controls.Pauses = []signalbox.Control{{Scope: "target/" + string(target), Who: "ann"}}
	b.paged(b.want(signalbox.Escalate, "pause"))
	b.want(signalbox.Hold, "pause")
	b.w.State.Controls.Pauses = nil
	b.undoing(a)
}

func TestStoryUndoWithoutEffectIsTriedAgainWithinBounds(t *testing.T) {
	b := newBox(t)
	b.acted(signalbox.NotRecovered)
	b.later(5 * time.Minute)
	for try := range maxAttempts {
		if try > 0 {
			b.want(signalbox.Hold, "attempts")
			b.later(time.Minute)
			b.want(signalbox.Preview, "forecast")
		}
		undo := b.do(signalbox.Decision{Verdict: signalbox.Undo, Step: &signalbox.Step{Kind: "endpoint", Name: "read-endpoint", To: "a"}, Takes: "act-0"})
		undo.Stage, undo.Reason = signalbox.Broken, "forbidden"
		b.w.State.Actions["act-0"].Undone, b.touch().Thrown = "", "act-0"
	}
	b.paged(b.want(signalbox.Escalate, "gave_up"))
	b.want(signalbox.Hold, "gave_up")
	b.healed()
	b.want(signalbox.Preview, "forecast") // only whether somebody took it back
	b.foresee(throwTo("a"), "b")
	b.want(signalbox.Hold, "undo")
	b.later(lookAgain)
	b.want(signalbox.Preview, "forecast")
	b.foresee(throwTo("a"), "a").Already = true
	b.ends(signalbox.Failed)
}

func TestStoryNextStepAfterOneThatDidNotHelp(t *testing.T) {
	p := failover()
	p.Cooldown = 0
	p.Runbook = []signalbox.Step{pageStep("backend"), throwTo("b"), throwTo("c"), pageStep("devops")}
	b := newBox(t, p)
	b.do(b.want(signalbox.Act, "page"))
	first := b.do(b.want(signalbox.Act, "cooldown"))
	b.later(5 * time.Minute)
	b.settle(signalbox.NotRecovered)
	b.do(b.undoing(first))
	d := b.want(signalbox.Preview, "forecast")
	if d.Next != 2 || d.Step.To != "c" {
		t.Fatalf("got step %d to %s", d.Next, d.Step.To)
	}
	b.foresee(*d.Step, "a")
	b.do(b.want(signalbox.Act, ""))
	b.later(5 * time.Minute)
	b.w.Facts.Drop("lag", "db/eu", "")
	b.want(signalbox.Verify, "verify") // nothing was read at all: a little patience
	b.later(time.Minute)
	b.settle(signalbox.Unverified)
	b.paged(b.want(signalbox.Escalate, "gave_up"))
}

func TestStoryAskedForAndByHand(t *testing.T) {
	p := failover()
	p.Runbook[0].Undo = signalbox.UndoAsk
	b := newBox(t, p)
	b.foresee(p.Runbook[0], "a")
	a := b.do(b.want(signalbox.Act, ""))
	b.later(15 * time.Second)
	b.lag(0.05)
	b.settle(signalbox.Recovered)
	b.later(24 * time.Hour)
	b.healed()
	b.want(signalbox.Preview, "forecast")
	b.foresee(throwTo("a"), "b")
	if d := b.want(signalbox.Hold, "undo_ask"); d.Until.IsZero() {
		t.Errorf("it does not look whether somebody took it back")
	}
	b.w.State.Controls.Words = []signalbox.Control{{Kind: signalbox.TakeBack, Scope: "incident/other"}}
	b.want(signalbox.Hold, "undo_ask")
	b.w.State.Controls.Words[0].Scope = "incident/" + string(incident)
	b.see("replica-lag", "replica/a", signalbox.Breached, 5) // a person's word stands above it
	if d := b.want(signalbox.Undo, "health"); d.Takes != a.ID {
		t.Errorf("got %s", d.Takes)
	}
	b.w.Facts.KillFile = "drill" // but not above this
	b.want(signalbox.Hold, "kill")
	b.w.Facts.KillFile = ""
	b.foresee(throwTo("a"), "b").Refused = "another's hand"
	b.want(signalbox.Hold, "forecast")
	b.foresee(throwTo("a"), "a").Already = true
	b.ends(signalbox.Acted)
}

func TestStoryUndoNever(t *testing.T) {
	p := failover()
	p.Runbook[0].Undo = signalbox.UndoNever
	b := newBox(t, p)
	b.acted(signalbox.Recovered)
	b.later(time.Minute)
	b.healed()
	b.w.State.Controls.Words = []signalbox.Control{{Kind: signalbox.TakeBack, Scope: "incident/" + string(incident)}}
	b.want(signalbox.Resolve, "undo")
	b.ends(signalbox.Acted)
}

func TestStoryOldPositionWithoutWitness(t *testing.T) {
	p := failover()
	delete(p.Runbook[0].Health, "a")
	b := newBox(t, p)
	b.acted(signalbox.Recovered)
	b.later(time.Minute)
	b.healed()
	b.later(30 * time.Minute)
	b.want(signalbox.Preview, "forecast")
	b.foresee(throwTo("a"), "b")
	b.paged(b.want(signalbox.Escalate, "undo"))
	b.want(signalbox.Hold, "undo")
}

func TestStoryUndoIsFrozenAndRefused(t *testing.T) {
	c := configOf(failover())
	c.Freeze = []Freeze{{Name: "sale", From: noon.Add(30 * time.Minute), To: noon.Add(2 * time.Hour)}}
	b := newBoxOf(t, c)
	b.acted(signalbox.Recovered)
	b.later(time.Minute)
	b.healed()
	b.later(30 * time.Minute)
	b.foresee(throwTo("a"), "b")
	if d := b.want(signalbox.Hold, "freeze"); d.Until.IsZero() {
		t.Errorf("it is not due again")
	}
	b.later(2 * time.Hour)
	b.foresee(throwTo("a"), "b").Refused = "the value is not listed"
	b.paged(b.want(signalbox.Escalate, "undo"))
	b.want(signalbox.Hold, "undo")
}

func TestStoryRelapse(t *testing.T) {
	b := newBox(t)
	a := b.acted(signalbox.Recovered)
	b.later(time.Minute) // still breached, but an effect may take 5 minutes to be seen
	b.want(signalbox.Hold, "recovered_waiting")
	b.later(4 * time.Minute)
	b.want(signalbox.Escalate, "relapse")

	b.inc().Reading.OnsetAt = a.EndedAt.Add(time.Second) // an edge of its own needs no waiting
	b.w.Now = a.EndedAt.Add(time.Minute)
	b.want(signalbox.Escalate, "relapse")
}

func TestStoryWitness(t *testing.T) {
	p := failover()
	p.Verify = signalbox.Witness{Detector: "errors", Subject: "reads/{{cluster}}"}
	b := newBox(t, p)
	b.do(b.want(signalbox.Act, ""))
	b.want(signalbox.Verify, "verify")
	b.later(time.Minute)
	b.see("errors", "reads/eu", signalbox.Clear, 0)
	b.settle(signalbox.Recovered)
	b.later(time.Hour)
	b.want(signalbox.Hold, "recovered_waiting") // its own series is still breached
	b.see("errors", "reads/eu", signalbox.Breached, 1)
	b.want(signalbox.Escalate, "relapse")
	b.see("errors", "reads/eu", signalbox.Unknown, 1)
	b.want(signalbox.Hold, "recovered_waiting")
}

func TestNoPlanWithoutItsLabel(t *testing.T) {
	p := failover()
	p.Verify = signalbox.Witness{Detector: "errors", Subject: "reads/{{zone}}"}
	b := newBox(t, p)
	if d := b.want(signalbox.Escalate, "plan"); d.Plan != nil {
		t.Errorf("got a plan")
	}
}
