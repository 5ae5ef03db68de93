package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
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
