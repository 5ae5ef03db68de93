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

// waryYard is a yard whose switches go back only with a person's approval.
type waryYard struct{ yard }

// Preview implements signalbox.Remediator.
func (y waryYard) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f, err := y.yard.Preview(ctx, s)
	if s.To == "a" {
		f.NeedsApproval = "a schema migration lies between"
	}
	return f, err
}

// A denial on the way back is about the switch that would go back, and demotes
// its policy, whatever the runbook began with.
func TestDeniedOnTheWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		tell := pol.Runbook[0]
		tell.Name, tell.Flow = "status", signalbox.Flow{Then: signalbox.ThenNext, Tells: true}
		pol.Runbook[0].Undo = signalbox.UndoAsk
		pol.Runbook = []signalbox.Step{tell, pol.Runbook[0]}
		w := newWorld(t, pol)
		y := newYard(w, "status", "read-endpoint")
		w.set.Remediators["endpoint"] = waryYard{y}
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 0)
		w.after(time.Minute)
		expect(t, "effects", y.order(), "status:b read-endpoint:b")
		word := signalbox.Control{Kind: signalbox.TakeBack, Scope: "incident/" + ids(w.status()), Who: "@alice", Reason: "it is well"}
		if err := w.engine.Control(t.Context(), word); err != nil {
			t.Fatal(err)
		}
		w.after(20 * time.Second)
		may := func(*signalbox.Approval, string) error { return nil }
		if _, err := w.engine.Answer(t.Context(), w.asked().ID, false, "@bob", "not now", may); err != nil {
			t.Fatal(err)
		}
		w.after(20 * time.Second)
		if d := w.state().Policies["failover"].Demoted; d == nil || !strings.Contains(d.Why, "@bob denied") {
			t.Errorf("demoted: %+v", d)
		}
		y.audit(w)
	})
}

// Who asked for an undo does not approve it, whoever released the incident since.
func TestWhoAskedForAnUndoDoesNotApproveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.TwoPersons, pol.ApproveWithin = true, 10*time.Minute
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
		scope := "incident/" + ids(w.status())
		say := func(kind signalbox.ControlKind, who string) {
			t.Helper()
			if err := w.engine.Control(t.Context(), signalbox.Control{Kind: kind, Scope: scope, Who: who, Reason: "r"}); err != nil {
				t.Fatal(err)
			}
		}
		say(signalbox.Take, "@carol")
		say(signalbox.TakeBack, "@alice") // held by the taking
		w.after(time.Minute)
		say(signalbox.Release, "@carol")
		w.after(time.Minute)
		var id signalbox.ApprovalID
		for key, a := range w.state().Approvals {
			id = key
			t.Logf("asked: %+v", *a)
		}
		if err := w.approve(id, "@alice"); err == nil {
			t.Error("who asked for the undo approves it")
		}
		w.after(20 * time.Second)
		expect(t, "effects", p.log(), "b")
		w.halt()
	})
}
