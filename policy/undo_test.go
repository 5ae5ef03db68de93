package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// The guards of the way back, each by itself.
func TestGuardsBack(t *testing.T) {
	freeze := []Freeze{{Name: "sale", From: noon.Add(-time.Hour), To: noon.Add(time.Hour)}}
	cases := map[string]struct {
		outcome        signalbox.Outcome
		cleared, word  bool
		freeze, health effect
	}{
		"did not help":                  {signalbox.NotRecovered, false, false, passes, passes},
		"did not help, but is over":     {signalbox.NotRecovered, true, false, blocks, blocks},
		"helped":                        {signalbox.Recovered, true, false, blocks, blocks},
		"unverified":                    {signalbox.Unverified, false, false, blocks, blocks},
		"helped, and a person asked":    {signalbox.Recovered, true, true, blocks, passes},
		"unverified and a person asked": {signalbox.Unverified, false, true, blocks, passes},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config := configOf(failover())
			config.Freeze = freeze
			b := newBoxOf(t, config)
			a := b.acted(c.outcome)
			if c.cleared {
				b.healed()
			}
			b.see("replica-lag", "replica/a", signalbox.Breached, 5)
			l := newLook(b.h, b.w, b.inc())
			m := l.back(a)
			m.byWord = c.word
			if got := guardFreezeBack(l, m); got.effect != c.freeze {
				t.Errorf("freeze: got %v", got)
			}
			if got := guardHealthBack(l, m); got.effect != c.health {
				t.Errorf("health: got %v", got)
			}
		})
	}
}

func TestForecastFromBeforeTheActionIsOld(t *testing.T) {
	b := newBox(t)
	b.foresee(throwTo("a"), "b").Already = true
	b.later(time.Second)
	a := b.acted(signalbox.NotRecovered)
	b.want(signalbox.Preview, "forecast")
	a.EndedAt = b.w.Now.Add(time.Minute) // still to come: the clock went back
	b.w.State.Actions["act-0"] = a
	b.want(signalbox.Escalate, "undo")

	p := failover()
	p.Runbook[0].Undo = signalbox.UndoAsk
	b = newBox(t, p)
	b.foresee(throwTo("a"), "b").Already = true
	b.later(time.Second)
	b.acted(signalbox.Recovered)
	b.healed()
	b.want(signalbox.Preview, "forecast")
}

func TestIneffectiveStaysThrownWhereAPersonMustAsk(t *testing.T) {
	for _, mode := range []signalbox.UndoMode{"", signalbox.UndoAsk, signalbox.UndoNever} {
		p := failover()
		p.Runbook[0].Undo = mode
		b := newBox(t, p)
		b.acted(signalbox.NotRecovered)
		b.foresee(throwTo("a"), "b")
		b.later(time.Second)
		b.paged(b.want(signalbox.Escalate, "undo"))
		b.want(signalbox.Hold, "gave_up")
	}
}

func TestGaveUpWithoutAPageIsPaged(t *testing.T) {
	b := newBox(t)
	b.inc().GaveUp = "why"
	if d := b.want(signalbox.Escalate, "gave_up"); d.GaveUp != "why" {
		t.Errorf("got %q", d.GaveUp)
	}
}

func TestWhatNoLongerStandsIsLeftAlone(t *testing.T) {
	cases := map[string]func(b *box, a *signalbox.Action){
		"thrown by another":   func(b *box, _ *signalbox.Action) { b.touch().Thrown = "other" },
		"taken back":          func(_ *box, a *signalbox.Action) { a.Undone = "undo" },
		"taken back, unnoted": func(b *box, a *signalbox.Action) { b.undone(a) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			change(b, b.acted(signalbox.NotRecovered))
			b.want(signalbox.Escalate, "gave_up")
			b.healed()
			b.want(signalbox.Resolve, "resolve")
		})
	}
}

// undone adds an action that took another one back.
func (b *box) undone(a *signalbox.Action) {
	b.w.State.Actions["undo"] = &signalbox.Action{ID: "undo", Undoes: a.ID, Stage: signalbox.Done, Step: throwTo("a")}
	b.inc().Actions = append(b.inc().Actions, "undo")
}

func TestNoStepBackIsKnown(t *testing.T) {
	b := newBox(t)
	b.acted(signalbox.NotRecovered).Forecast.Undo = nil
	b.paged(b.want(signalbox.Escalate, "gave_up"))
	b.healed()
	b.want(signalbox.Hold, "undo")
}

// above adds an action on another target, thrown after all others.
func (b *box) above(mode signalbox.UndoMode) *signalbox.Action {
	const target = "configmap core/psp LIMIT"
	step := throwTo("b")
	step.Name, step.Undo, step.Health = "limit", mode, map[string]signalbox.Witness{"a": {Detector: "replica-lag", Subject: "replica/c"}, "b": {Detector: "replica-lag", Subject: "replica/b"}}
	back := step
	back.To = "a"
	a := &signalbox.Action{
		ID: "above", Incident: incident, Policy: "failover", Step: step, Stage: signalbox.Done, Outcome: signalbox.Recovered, ClaimedAt: b.w.Now, EndedAt: b.w.Now,
		Forecast: signalbox.Forecast{At: b.w.Now, Class: signalbox.ClassA, Targets: []signalbox.Target{target}, Found: "a", Position: "a", Undo: &back, ByHand: "kubectl patch …"},
	}
	b.inc().Actions = append(b.inc().Actions, a.ID)
	b.w.State.Actions[a.ID] = a
	b.w.State.Targets[target] = &signalbox.TargetState{Target: target, Thrown: a.ID, Last: a.ID}
	return a
}

// What was thrown last goes back first. While it is held, or can't go back, what
// was thrown before it stays: it may be needed. What waits for a person's word,
// or is by hand only, holds nothing else.
func TestTakenBackInReverseOrder(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  signalbox.UndoMode
		edit  func(b *box, above *signalbox.Action)
		takes bool // the one below
	}{
		{"held", signalbox.UndoAuto, func(b *box, _ *signalbox.Action) { b.see("replica-lag", "replica/c", signalbox.Breached, 9) }, false},
		{"failed", signalbox.UndoAuto, failedBack, false},
		{"failed on a word", signalbox.UndoAsk, failedBack, false},
		{"asks", signalbox.UndoAsk, func(*box, *signalbox.Action) {}, true},
		{"by hand", signalbox.UndoNever, func(*box, *signalbox.Action) {}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t)
			below := b.acted(signalbox.Recovered)
			above := b.above(c.mode)
			b.healed()
			b.later(40 * time.Minute)
			c.edit(b, above)
			b.foresee(*below.Forecast.Undo, "b")
			f := *b.foresee(*above.Forecast.Undo, "b")
			f.Targets, f.Undo = above.Forecast.Targets, &above.Step
			b.w.Facts.PutForecast(above.Forecast.Undo.Hash(), &f)
			b.inc().GaveUp, b.inc().Page = "told", "page"
			if d := b.decide(); (d.Verdict == signalbox.Undo && d.Takes == below.ID) != c.takes {
				t.Errorf("got %s of %q, want below taken back: %t\n%s", d.Verdict, d.Takes, c.takes, tell(d))
			}
			if c.name != "failed on a word" {
				return
			}
			b.w.State.Controls.Words = []signalbox.Control{{Kind: signalbox.TakeBack, Scope: "incident/" + string(incident), Who: "@be-lead"}}
			if d := b.decide(); d.Verdict == signalbox.Undo {
				t.Errorf("on a person's word: got %s of %q\n%s", d.Verdict, d.Takes, tell(d))
			}
		})
	}
}

// failedBack adds a try to take an action back that failed.
func failedBack(b *box, a *signalbox.Action) {
	b.w.State.Actions["failed"] = &signalbox.Action{ID: "failed", Incident: incident, Undoes: a.ID, Stage: signalbox.Broken, Reason: "refused", Receipt: signalbox.Receipt{At: b.w.Now}, Step: *a.Forecast.Undo, EndedAt: b.w.Now}
	b.inc().Actions = append(b.inc().Actions, "failed")
}

// A limit whose time is over is lifted where all is well, whatever was thrown after
// it and is held.
func TestExpiredLimitIsNotHeldByWhatIsAbove(t *testing.T) {
	b := newBox(t)
	below := b.acted(signalbox.Recovered)
	below.Step.Undo = signalbox.UndoAuto
	below.Forecast.Expires = signalbox.Duration(2 * time.Hour)
	b.inc().Told = []string{ToldLimit + string(below.ID)}
	b.above(signalbox.UndoAuto)
	b.healed()
	b.later(30 * 24 * time.Hour)
	b.see("replica-lag", "replica/c", signalbox.Breached, 9) // the old position of what is above is ill
	b.foresee(*below.Forecast.Undo, "b")
	above := b.w.State.Actions["above"]
	f := *b.foresee(*above.Forecast.Undo, "b")
	f.Targets, f.Undo = above.Forecast.Targets, &above.Step
	b.w.Facts.PutForecast(above.Forecast.Undo.Hash(), &f)
	b.foresee(*below.Forecast.Undo, "b")
	d := b.decide()
	if d.Verdict == signalbox.Hold {
		t.Errorf("28 days after its end, with all well, the limit stands, unpaged:\n%s", tell(d))
	}
}
