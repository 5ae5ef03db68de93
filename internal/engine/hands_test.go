package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// byHand has somebody else put the switch to a position.
func (x *target) byHand(to string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.value = to
	x.version++
}

// A hand that is found on a switch while an incident is open holds automation
// until it is released: also once the switch is where it was, after a restart,
// and for the next incident.
func TestHandHoldsUntilItIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		expect(t, "effects", w.target.log(), "b")
		w.target.byHand("c")
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		expect(t, "effects with a hand on it", w.target.log(), "b")
		hand := func() *signalbox.Hand {
			if s := w.state().Targets[theTarget]; s != nil {
				return s.Hand
			}
			return nil
		}
		found := hand()
		if found == nil {
			t.Fatal("no hand is on record")
		}
		w.target.byHand("b")
		w.again()
		w.after(10 * time.Minute)
		if now := hand(); now == nil || !now.At.Equal(found.At) || now.Found != found.Found {
			t.Errorf("after a restart: got %+v, want %+v", now, found)
		}
		w.make(readsLag, "db/eu", 5) // it is held for what comes next too
		w.after(2 * time.Minute)
		expect(t, "effects with a hand on it, after a restart", w.target.log(), "b")
		w.make(readsLag, "db/eu", 0)
		w.after(2 * time.Minute)
		release := signalbox.Control{Kind: signalbox.Release, Scope: "target/" + string(theTarget), Who: "@be-lead", Reason: "done"}
		if err := w.engine.Control(t.Context(), release); err != nil {
			t.Fatal(err)
		}
		if now := hand(); now != nil {
			t.Errorf("after the release: got %+v", now)
		}
		w.again()
		w.after(10 * time.Minute)
		expect(t, "effects once it is released", w.target.log(), "b a")
		if n := len(w.status().Incidents); n != 0 {
			t.Errorf("%d incidents are open, want none", n)
		}
		w.audit(nil)
	})
}

// What a person has taken back while its incident was well again does not stand
// any more: the next incident finds no hand, and throws the switch.
func TestTakenBackByHandStandsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		expect(t, "effects", w.target.log(), "b")
		w.make(readsLag, "db/eu", 0)
		w.after(time.Minute)
		w.target.byHand("a")
		w.after(10 * time.Minute)
		if st := w.status(); len(st.Incidents) != 0 || len(st.Thrown) != 0 {
			t.Fatalf("open: %+v, thrown: %+v", st.Incidents, st.Thrown)
		}
		if p := w.state().Policies["failover"]; p.Demoted != nil || p.Record.ByHand != 0 {
			t.Errorf("who puts back what is left once all is well is against nobody: %+v", p)
		}
		w.again()
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		expect(t, "effects of the next incident", w.target.log(), "b b")
		w.audit(nil)
	})
}

// A switch that stays thrown after its incident is put elsewhere by a person: the
// next incident yields, until the person releases it. It goes on from there, and
// yields again to the next hand.
func TestReleasedHandIsAccepted(t *testing.T) {
	for _, to := range []string{"a", "c"} {
		synctest.Test(t, func(t *testing.T) {
			p := flipPolicy()
			p.Runbook[0].Undo = signalbox.UndoNever
			w := guarded(t, func(c *policy.Config) { c.Flapping = policy.Flapping{After: 10, Stop: 20} }, p)
			w.start()
			w.after(20 * time.Second)
			w.make(readsLag, "db/eu", 5)
			w.after(20 * time.Second)
			w.make(readsLag, "db/eu", 0)
			w.after(10 * time.Minute)
			first := w.status().Thrown
			if len(first) != 1 {
				t.Fatalf("thrown: %+v", first)
			}
			w.target.byHand(to)
			w.make(readsLag, "db/eu", 5)
			w.after(time.Minute)
			expect(t, "effects with a hand on it", w.target.log(), "b")
			release := signalbox.Control{Kind: signalbox.Release, Scope: "target/" + string(theTarget), Who: "@be-lead", Reason: "done"}
			if err := w.engine.Control(t.Context(), release); err != nil {
				t.Fatal(err)
			}
			for _, thrown := range w.status().Thrown {
				if thrown.Action == first[0].Action {
					t.Errorf("after the release: thrown %+v", thrown)
				}
			}
			w.after(20 * time.Second)
			expect(t, "effects once it is released", w.target.log(), "b b")
			w.make(readsLag, "db/eu", 0)
			w.again()
			w.after(10 * time.Minute)
			w.target.byHand(to)
			w.make(readsLag, "db/eu", 5)
			w.after(time.Minute)
			expect(t, "effects with another hand on it", w.target.log(), "b b")
			if s := w.state().Targets[theTarget]; s.Hand == nil || s.Accepted != "" {
				t.Errorf("the next hand is to be found: %+v", s)
			}
			w.audit(nil)
		})
	}
}

// A person who puts back what one incident's action threw, while it is ill, is
// against its policy: also where another incident finds it.
func TestHandFoundByAnotherIncidentDemotesWhoThrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := flips("one", readsLag, "read-endpoint", "b"), flips("two", plainOne, "read-endpoint", "b")
		w := newWorld(t, one, two)
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(10 * time.Second)
		expect(t, "effects", w.target.log(), "b")
		w.target.byHand("a")
		w.make(plainOne, "queue/psp", 5)
		w.after(30 * time.Second)
		expect(t, "effects with a hand on it", w.target.log(), "b")
		ps := w.state().Policies
		if one, two := ps["one"], ps["two"]; one.Demoted == nil || one.Record.ByHand != 1 || two.Demoted != nil {
			t.Errorf("one: %+v, two: %+v", one, two)
		}
		w.audit(nil)
	})
}

// A policy that leaves the configuration and comes back comes back as it went.
func TestDemotionOutlivesItsPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		w.target.byHand("a")
		w.after(2 * time.Minute)
		demoted := w.state().Policies["failover"].Demoted
		if demoted == nil {
			t.Fatal("it was not demoted")
		}
		swap := func(hash string, policies ...policy.Policy) {
			t.Helper()
			old := w.set.Remediators
			w.configure(hash, policies...)
			w.set.Remediators = old
			if err := w.engine.Swap(t.Context(), w.set); err != nil {
				t.Fatal(err)
			}
			w.after(time.Minute)
		}
		swap("without", flips("another", plainOne, "other", "b"))
		swap("with", flipPolicy())
		if ps := w.state().Policies["failover"]; ps.Demoted == nil || *ps.Demoted != *demoted {
			t.Errorf("got %+v, want %+v", ps.Demoted, demoted)
		}
		if _, kept := w.state().Policies["another"]; kept {
			t.Error("what was not demoted is not kept")
		}
		w.audit(nil)
	})
}

// A policy that was demoted, left the configuration and came back acts on onsets
// that were seen after it came back only (I16).
func TestDemotedPolicyThatComesBackIsActivatedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		w.target.byHand("a")
		w.after(2 * time.Minute)
		if w.state().Policies["failover"].Demoted == nil {
			t.Fatal("it was not demoted")
		}
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		swap := func(hash string, policies ...policy.Policy) {
			t.Helper()
			old := w.set.Remediators
			w.configure(hash, policies...)
			w.set.Remediators = old
			if err := w.engine.Swap(t.Context(), w.set); err != nil {
				t.Fatal(err)
			}
			w.after(time.Minute)
		}
		for _, c := range []signalbox.Control{
			{Kind: signalbox.Release, Scope: "target/" + string(theTarget), Who: "@be-lead"},
		} {
			if err := w.engine.Control(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		swap("without", flips("another", plainOne, "other", "b"))
		w.after(24 * time.Hour)
		if n := len(w.status().Incidents); n != 0 {
			t.Fatalf("open: %d", n)
		}
		before := w.target.log()
		w.make(readsLag, "db/eu", 5) // breaks while no policy is there for it
		w.after(time.Hour)
		expect(t, "effects without the policy", w.target.log(), before)
		swap("with", flipPolicy())
		came := time.Now()
		if err := w.engine.Control(t.Context(), signalbox.Control{Kind: signalbox.Restore, Scope: "policy/failover", Who: "@be-lead"}); err != nil {
			t.Fatal(err)
		}
		w.after(2 * time.Minute)
		ps := w.state().Policies["failover"]
		expect(t, "effects on what was broken before the policy came back", w.target.log(), before)
		if came.Sub(ps.ActivatedAt) > 2*time.Minute {
			t.Errorf("active since %s, and it came back at %s", ps.ActivatedAt, came)
		}
		w.halt()
	})
}
