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
