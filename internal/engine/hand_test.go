package engine_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// handled is a switch whose target tells of another's hand.
type handled struct {
	*points
	hand atomic.Pointer[string]
}

// Preview implements signalbox.Remediator.
func (x *handled) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f, err := x.points.Preview(ctx, s)
	if hand := x.hand.Load(); hand != nil {
		f.Hand = *hand
	}
	return f, err
}

// A hand that a remediator found at the target holds the switch, across a
// restart, after the target looks well again and until a person gives it back.
func TestHandThatARemediatorFoundIsYieldedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		p := newPoints(w, signalbox.ClassA)
		x := &handled{points: p}
		w.set.Remediators["endpoint"] = x
		hand := `someone else changed it since action a1, written by "kubectl-patch"`
		x.hand.Store(&hand)
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		ts := w.state().Targets[theTarget]
		if ts == nil || ts.Hand == nil || !strings.Contains(ts.Hand.Found, hand) {
			t.Fatalf("the hand is not on record: %+v", ts)
		}
		said := false
		for _, e := range w.entries() {
			said = said || strings.Contains(string(e.Data), "another's hand is on "+string(theTarget))
		}
		if !said {
			t.Error("no decision says whose hand holds it")
		}
		x.hand.Store(nil) // it looks well again: still the person's
		w.die()
		w.start()
		w.after(3 * time.Minute)
		expect(t, "effects while it is another's", p.log(), "")
		for _, c := range []signalbox.Control{
			{Kind: signalbox.Release, Scope: "target/" + string(theTarget), Who: "@be-lead"},
			{Kind: signalbox.Restore, Scope: "policy/failover", Who: "@be-lead"}, // a hand demotes
		} {
			if err := w.engine.Control(t.Context(), c); err != nil && !strings.Contains(err.Error(), "is not demoted") {
				t.Fatal(err)
			}
		}
		w.after(30 * time.Second)
		expect(t, "effects once it was given back", p.log(), "b")
		w.audit(p)
	})
}
