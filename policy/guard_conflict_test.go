package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardConflict(t *testing.T) {
	b := newBox(t)
	want := &signalbox.Want{Switch: "read-endpoint", To: "c", Policy: "other", Autonomy: Auto}
	b.w.Facts.PutWant("zz", want) // a later incident is the stricter
	b.want(signalbox.Act, "conflict")
	b.w.Facts.PutWant("0", &signalbox.Want{Switch: "read-endpoint", To: "b", Policy: "other", Autonomy: Auto})
	b.want(signalbox.Act, "conflict") // the same position
	b.w.Facts.PutWant("00", want)
	d := b.blocked("conflict", "policy other wants read-endpoint at c for incident 00, and failover, which is the stricter, waits")
	b.readsAll(d, signalbox.WantKey("read-endpoint"))
	for name, looser := range map[string]signalbox.Want{
		"autonomy": {Autonomy: Approve}, "needs": {Autonomy: Auto, Needs: 2}, "order": {Autonomy: Auto, Order: 1},
	} {
		looser.Switch, looser.To = "read-endpoint", "c"
		b.w.Facts.PutWant("00", &looser)
		if d := b.decide(); d.Verdict != signalbox.Act {
			t.Errorf("%s: the other is the stricter, and yet:\n%s", name, tell(d))
		}
	}
}

// The stricter waits a while for the other, and then its owner is told.
func TestGuardConflictIsTold(t *testing.T) {
	b := newBox(t)
	b.w.Facts.PutWant("00", &signalbox.Want{Switch: "read-endpoint", To: "c", Policy: "other", Autonomy: Auto})
	if d := b.blocked("conflict", "which is the stricter, waits"); d.Verdict != signalbox.Hold || d.Until.IsZero() || d.Until.After(noon.Add(conflictWithin)) {
		t.Errorf("got %s until %s, want it to wait", d.Verdict, d.Until)
	}
	b.later(conflictWithin)
	b.foresee(throwTo("b"), "a")
	if d := b.blocked("conflict", "which is the stricter, waits"); d.Verdict != signalbox.Escalate {
		t.Errorf("got %s, want its owner to be told", d.Verdict)
	}
}

// Whom it waits for is told alike each time, whatever the order of a map.
func TestGuardConflictNamesTheSame(t *testing.T) {
	b := newBox(t)
	for i, to := range []string{"f", "e", "d", "c"} {
		b.w.Facts.PutWant(signalbox.IncidentID(fmt.Sprintf("%016x", i)), &signalbox.Want{Switch: "read-endpoint", To: to, Policy: "other", Autonomy: Auto})
	}
	for range 50 {
		b.blocked("conflict", "policy other wants read-endpoint at c for incident 0000000000000003")
	}
}

// What waits for its root claims no switch: else the root, were it the
// stricter, would wait for it in turn, and nobody would be told.
func TestGuardConflictRootActsFirst(t *testing.T) {
	b := leaning(t, Dependency{Subject: "db/*", On: []string{"power"}})
	if d := b.want(signalbox.Act, "conflict"); d.Want == nil || d.Want.To != "b" {
		t.Errorf("it wants nothing: %+v", d.Want)
	}
	b.ill("power", "p1")
	if d := b.want(signalbox.Hold, "dependency"); d.Want != nil {
		t.Errorf("it claims %s while it waits for its root", d.Want.Switch)
	}
}

// A switch that stands thrown elsewhere for an incident that is not over.
func TestGuardConflictStands(t *testing.T) {
	b := newBox(t)
	other := &signalbox.Action{ID: "act-x", Incident: "other", Policy: "other", Step: throwTo("c"), Stage: signalbox.Done, EndedAt: noon.Add(-time.Hour), Forecast: signalbox.Forecast{Position: "a"}}
	b.w.State.Actions[other.ID] = other
	b.touch().Thrown = other.ID
	b.foresee(throwTo("b"), "c")
	inc := b.ill("db/us", "other")
	b.blocked("conflict", "read-endpoint stands at c for incident other on db/us (policy other), which is not over")
	inc.End = signalbox.Acted
	b.want(signalbox.Act, "conflict")
}

// Of those who want different positions, one position passes, and no other.
func TestPropertyConflictHasOneWinner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		wants := map[signalbox.IncidentID]*signalbox.Want{}
		for i := range n {
			wants[signalbox.IncidentID(fmt.Sprint(i))] = &signalbox.Want{
				Switch: "s", To: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "to"), Autonomy: rapid.SampledFrom(autonomies).Draw(t, "autonomy"),
				Needs: rapid.IntRange(0, 2).Draw(t, "needs"), Order: rapid.IntRange(0, 2).Draw(t, "order"),
			}
		}
		passed := map[string]bool{}
		for id, w := range wants {
			free := true
			for other, v := range wants {
				free = free && (v.To == w.To || !stricter(w, id, v, other))
			}
			if free {
				passed[w.To] = true
			}
		}
		if len(passed) != 1 {
			t.Fatalf("%d positions pass: %v", len(passed), passed)
		}
	})
}

func TestConflicts(t *testing.T) {
	to := func(name, position string, edit func(p *Policy)) Policy {
		p := failover()
		p.Name, p.Runbook = name, []signalbox.Step{throwTo(position)}
		edit(&p)
		return p
	}
	same := func(*Policy) {}
	for name, c := range map[string]struct {
		a, b Policy
		want string
	}{
		"two positions":  {to("one", "b", same), to("two", "c", same), `"one" and "two" want switch "read-endpoint" at different positions`},
		"same position":  {to("one", "b", same), to("two", "b", same), ""},
		"shadow":         {to("one", "b", same), to("two", "c", func(p *Policy) { p.Autonomy = Shadow }), ""},
		"labels exclude": {to("one", "b", same), to("two", "c", func(p *Policy) { p.Match["env"] = "dev" }), ""},
		"the stricter":   {to("one", "b", func(p *Policy) { p.Autonomy = Approve }), to("two", "c", same), `have it at b by one, which is the stricter, and waits`},
	} {
		conflicts := newBox(t, c.a, c.b).h.Conflicts()
		switch {
		case c.want == "" && len(conflicts) > 0:
			t.Errorf("%s: got %v", name, conflicts)
		case c.want != "" && (len(conflicts) != 1 || !strings.Contains(conflicts[0].String(), c.want)):
			t.Errorf("%s: got %v, want %s", name, conflicts, c.want)
		}
	}
}
