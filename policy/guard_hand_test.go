package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardHandTaken(t *testing.T) {
	for _, scope := range []string{"all", "incident/" + string(incident), "policy/failover", "owner/backend", "target/" + string(target)} {
		b := newBox(t)
		b.w.State.Controls.Taken = []signalbox.Control{{Kind: signalbox.Take, Scope: scope, Who: "@be-lead", Reason: "mine", At: noon, Until: noon.Add(time.Hour)}}
		d := b.blocked("hand", scope+" was taken by @be-lead at 2026-03-01 12:00:00Z until 2026-03-01 13:00:00Z: mine")
		if r := reason(d.Because, "hand"); r.Lifts != "signalboxctl release '"+scope+"'" {
			t.Errorf("got %q", r.Lifts)
		}
		b.w.Now = noon.Add(time.Hour)
		b.later(0)
		b.foresee(throwTo("b"), "a")
		b.want(signalbox.Act, "hand")
	}
	b := newBox(t)
	b.w.State.Controls.Taken = []signalbox.Control{{Kind: signalbox.Take, Scope: "incident/another", Who: "@be-lead"}}
	b.want(signalbox.Act, "hand")
}

func TestGuardHandFound(t *testing.T) {
	b := newBox(t)
	b.touch().Hand = &signalbox.Hand{At: noon, Found: "found at c, left at b"}
	b.blocked("hand", "another's hand is on "+string(target)+" since 2026-03-01 12:00:00Z: found at c")

	b = newBox(t)
	b.foresee(throwTo("b"), "a").Hand = "the fence is not ours"
	d := b.blocked("hand", "the fence is not ours")
	if len(d.Hands) != 1 || d.Hands[0].Target != target || d.Hands[0].Position != "a" {
		t.Errorf("the hand is not told: %+v", d.Hands)
	}
	if d.Demotes != "" {
		t.Errorf("nothing was done that a person could be against: demotes %q", d.Demotes)
	}
}

// A person who throws a switch that an action has thrown, while what it was
// thrown for is ill, is against its policy; whichever incident finds it. Where
// all is well, or over, people may put back what is left.
func TestGuardHandIsAgainst(t *testing.T) {
	for _, c := range []struct {
		name    string
		thrower func(*signalbox.Incident)
		found   string
		want    string
	}{
		{"ill", func(*signalbox.Incident) {}, "a", "other"},
		{"ill, elsewhere", func(*signalbox.Incident) {}, "c", "other"},
		{"where it was left", func(*signalbox.Incident) {}, "b", ""},
		{"well", func(i *signalbox.Incident) { i.Reading.Condition, i.ClearAt = signalbox.Clear, noon }, "a", ""},
		{"over", func(i *signalbox.Incident) { i.End, i.ClosedAt = signalbox.Acted, noon }, "a", ""},
	} {
		b := newBox(t)
		thrower := &signalbox.Incident{ID: "thrower", Reading: b.inc().Reading, OpenedAt: noon}
		thrower.Reading.Subject = "elsewhere"
		c.thrower(thrower)
		b.w.State.Incidents[thrower.ID] = thrower
		a := &signalbox.Action{ID: "act-x", Incident: thrower.ID, Policy: "other", Step: throwTo("b"), Stage: signalbox.Done, EndedAt: noon.Add(-time.Hour), Forecast: signalbox.Forecast{Position: "a", Targets: []signalbox.Target{target}}}
		b.w.State.Actions[a.ID] = a
		b.touch().Thrown = a.ID
		b.foresee(throwTo("b"), c.found)
		if d := b.decide(); d.Demotes != c.want || (d.Demote != "") != (c.want != "") {
			t.Errorf("%s: demotes %q (%s), want %q\n%s", c.name, d.Demotes, d.Demote, c.want, tell(d))
		}
	}
}

// What a person released is where automation goes on from: the hand is not found
// again, until it moves.
func TestGuardHandAccepted(t *testing.T) {
	for position, want := range map[string]signalbox.Verdict{"a": signalbox.Escalate, "c": signalbox.Act} {
		b := newBox(t)
		other := &signalbox.Action{ID: "act-x", Incident: "closed", Step: throwTo("b"), Stage: signalbox.Done, EndedAt: noon.Add(-time.Hour), Forecast: signalbox.Forecast{Position: "a", Targets: []signalbox.Target{target}}}
		b.w.State.Actions[other.ID] = other
		b.touch().Thrown, b.touch().Last, b.touch().Accepted = other.ID, other.ID, "c"
		b.foresee(throwTo("b"), position)
		b.want(want, "hand")
	}
}

// A switch that another incident's action left elsewhere was thrown by a person.
func TestGuardHandManualFlip(t *testing.T) {
	for position, want := range map[string]signalbox.Verdict{"c": signalbox.Escalate, "a": signalbox.Escalate, "b": signalbox.Act} {
		b := newBox(t)
		other := &signalbox.Action{ID: "act-x", Incident: "closed", Step: throwTo("b"), Stage: signalbox.Done, EndedAt: noon.Add(-time.Hour), Forecast: signalbox.Forecast{Position: "a", Targets: []signalbox.Target{target}}}
		b.w.State.Actions[other.ID] = other
		b.touch().Thrown, b.touch().Last = other.ID, other.ID
		b.foresee(throwTo("b"), position)
		d := b.want(want, "hand")
		if hand := len(d.Hands) == 1; hand != (position != "b") {
			t.Errorf("found at %s: hands %+v\n%s", position, d.Hands, tell(d))
		}
	}
}

// On the way back, the old position is somebody's taking back, and any other one
// is a hand.
func TestGuardHandOnTheWayBack(t *testing.T) {
	b := newBox(t)
	a := b.acted(signalbox.Recovered)
	b.healed()
	b.later(40 * time.Minute)
	b.foresee(*a.Forecast.Undo, "b")
	b.want(signalbox.Undo, "hand")
	b.foresee(*a.Forecast.Undo, "c")
	d := b.want(signalbox.Escalate, "hand")
	if len(d.Hands) != 1 || d.Demote != "" { // the incident is over: nobody acted against it
		t.Errorf("hands %+v, demote %q", d.Hands, d.Demote)
	}
}

func TestGuardHandAcknowledged(t *testing.T) {
	for takes, want := range map[bool]signalbox.Verdict{false: signalbox.Act, true: signalbox.Hold} {
		c := configOf(failover())
		c.AcknowledgeTakes = takes
		b := newBoxOf(t, c)
		b.inc().Page = "page-1"
		b.w.State.Pages["page-1"] = &signalbox.Page{Key: "page-1", AckedAt: noon, AckedBy: "@be-lead"}
		d := b.want(want, "hand")
		if !takes {
			continue
		}
		b.readsAll(d, signalbox.PageKey("page-1"))
		b.inc().ReleasedAt = noon
		b.want(signalbox.Act, "hand")
	}
}

// A value that a person deleted is a hand as any other.
func TestEmptyIsAHand(t *testing.T) {
	b := newBox(t)
	other := &signalbox.Action{ID: "act-x", Incident: "closed", Step: throwTo("b"), Stage: signalbox.Done, EndedAt: noon.Add(-time.Hour), Forecast: signalbox.Forecast{Position: "a", Targets: []signalbox.Target{target}}}
	b.w.State.Actions[other.ID] = other
	b.touch().Thrown, b.touch().Last = other.ID, other.ID
	b.foresee(throwTo("b"), "")
	if d := b.decide(); len(d.Hands) != 1 {
		t.Errorf("no hand is found: %s", tell(d))
	}
}

// Who put a switch back after all was well is against nobody, also where the next
// incident's runbook has begun.
func TestPeacefulHandDemotesNobody(t *testing.T) {
	p := failover()
	p.Runbook = []signalbox.Step{pageStep("backend"), throwTo("b")}
	p.Runbook[0].Then = signalbox.ThenNext
	b := newBox(t, p)
	thrower := &signalbox.Incident{ID: "thrower", Reading: b.inc().Reading, OpenedAt: noon, End: signalbox.Acted, ClosedAt: noon}
	b.w.State.Incidents[thrower.ID] = thrower
	a := &signalbox.Action{ID: "act-x", Incident: thrower.ID, Policy: "failover", Step: throwTo("b"), Stage: signalbox.Done, EndedAt: noon.Add(-time.Hour), Forecast: signalbox.Forecast{Position: "a", Targets: []signalbox.Target{target}}}
	b.w.State.Actions[a.ID] = a
	b.touch().Thrown = a.ID
	plan, _ := b.h.rules["failover"].plan(map[string]string{"cluster": "eu"})
	b.inc().Plan, b.inc().Next, b.inc().Page = plan, 1, "page-1"
	paged := &signalbox.Action{ID: "act-p", Incident: incident, Policy: "failover", Step: plan.Steps[0], Stage: signalbox.Done, EndedAt: noon}
	b.w.State.Actions[paged.ID] = paged
	b.inc().Actions = []signalbox.ActionID{paged.ID}
	b.foresee(throwTo("b"), "a")
	d := b.decide()
	if len(d.Hands) != 1 {
		t.Fatalf("no hand: %s", tell(d))
	}
	if d.Demotes != "" {
		t.Errorf("demotes %q (%s) for what was put back once all was well", d.Demotes, d.Demote)
	}
}

// Whose action a hand is against is among what the decision read.
func TestWhomAHandIsAgainstIsRead(t *testing.T) {
	b := newBox(t)
	thrower := &signalbox.Incident{ID: "thrower", Reading: b.inc().Reading, OpenedAt: noon}
	b.w.State.Incidents[thrower.ID] = thrower
	a := &signalbox.Action{ID: "act-x", Incident: thrower.ID, Policy: "other", Step: throwTo("b"), Stage: signalbox.Done, EndedAt: noon.Add(-time.Hour), Forecast: signalbox.Forecast{Position: "a", Targets: []signalbox.Target{target}}}
	b.w.State.Actions[a.ID] = a
	b.touch().Thrown = a.ID
	b.foresee(throwTo("b"), "a")
	b.readsAll(b.decide(), signalbox.IncidentKey(thrower.ID))
}

// What a person took back stands no more, also while something else of its incident
// waits for a word.
func TestTakenBackWhileAnotherWaitsForAWord(t *testing.T) {
	b := newBox(t)
	below := b.acted(signalbox.Recovered)
	above := b.above(signalbox.UndoAsk)
	b.healed()
	b.later(40 * time.Minute)
	b.foresee(*below.Forecast.Undo, "a").Already = true // by hand
	f := *b.foresee(*above.Forecast.Undo, "b")
	f.Targets, f.Undo = above.Forecast.Targets, &above.Step
	b.w.Facts.PutForecast(above.Forecast.Undo.Hash(), &f)
	b.foresee(*below.Forecast.Undo, "a").Already = true
	d := b.want(signalbox.Hold, "undo_ask")
	if len(d.Back) != 1 {
		t.Errorf("that it was taken back is not put on record: %v\n%s", d.Back, tell(d))
	}
}
