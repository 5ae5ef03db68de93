package engine_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// wary is a switch that goes back only with a person's approval.
type wary struct{ *points }

// Preview implements signalbox.Remediator.
func (x wary) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f, err := x.points.Preview(ctx, s)
	if s.To == "a" {
		f.NeedsApproval = "a schema migration lies between"
	}
	return f, err
}

// Who asked for an undo that needs approval does not approve it, also after a
// restart; another person does, in the policy's time. Without two_persons the
// same may.
func TestTwoPersonsOnTheWayBack(t *testing.T) {
	for name, two := range map[string]bool{"two persons": true, "one is enough": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pol := flipPolicy()
				pol.TwoPersons, pol.ApproveWithin = two, 10*time.Minute
				pol.Runbook[0].Undo = signalbox.UndoAsk
				w := newWorld(t, pol)
				p := newPoints(w, signalbox.ClassA)
				w.set.Remediators["endpoint"] = wary{p}
				w.start()
				w.after(20 * time.Second)
				w.make(readsLag, "db/eu", 5)
				w.after(20 * time.Second)
				w.make(readsLag, "db/eu", 0)
				w.after(time.Minute)
				expect(t, "thrown", p.log(), "b")
				word := signalbox.Control{Kind: signalbox.TakeBack, Scope: "incident/" + ids(w.status()), Who: "@alice", Reason: "it is well"}
				if err := w.engine.Control(t.Context(), word); err != nil {
					t.Fatal(err)
				}
				w.after(20 * time.Second)
				a := w.asked()
				if a.TwoPersons != two || a.Trigger != "@alice" || a.Undoes == "" || a.Expires.Sub(a.AskedAt) != 10*time.Minute {
					t.Errorf("asked: %+v", a)
				}
				w.again()
				err := w.approve(w.asked().ID, "@alice")
				if refused := err != nil && strings.Contains(err.Error(), "two persons"); refused != two {
					t.Errorf("who asked for the undo approves it: %v, want it refused: %t", err, two)
				}
				if two {
					w.after(20 * time.Second)
					expect(t, "effects with one person", p.log(), "b")
					if err := w.approve(w.asked().ID, "@bob"); err != nil {
						t.Error(err)
					}
				}
				w.after(20 * time.Second)
				expect(t, "effects once it is approved", p.log(), "b a")
				w.after(10 * time.Minute)
				w.audit(p)
			})
		})
	}
}
