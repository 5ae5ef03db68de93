package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// limit is a switch whose undo only lifts what was set.
type limit struct {
	*points
	lifts bool
}

// Preview implements signalbox.Remediator.
func (x *limit) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f, err := x.points.Preview(ctx, s)
	if f.Undo != nil {
		f.Undo.Lifts = x.lifts
	}
	return f, err
}

// A pause lets what only lifts a limit go on, by the guards and by the last
// check before the send; the kill switch holds it in both places.
func TestLiftedLimitGoesOnUnderAPause(t *testing.T) {
	for name, c := range map[string]struct {
		lifts bool
		kind  signalbox.ControlKind
		want  string
	}{
		"lifts, paused":         {true, signalbox.Pause, "b a"},
		"does not lift, paused": {false, signalbox.Pause, "b"},
		"lifts, killed":         {true, signalbox.Kill, "b"},
		"lifts, taken":          {true, signalbox.Take, "b"},
	} {
		for _, when := range []string{"decided under it", "at the door"} {
			t.Run(name+", "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, flipPolicy())
					p := newPoints(w, signalbox.ClassA)
					w.set.Remediators["endpoint"] = &limit{points: p, lifts: c.lifts}
					control := func() {
						err := w.engine.Control(context.WithoutCancel(t.Context()), signalbox.Control{Kind: c.kind, Scope: "all", Who: "test", Reason: "test"})
						if err != nil {
							t.Error(err)
						}
					}
					w.start()
					w.after(20 * time.Second)
					w.make(readsLag, "db/eu", 5)
					w.after(20 * time.Second)
					w.make(readsLag, "db/eu", 0)
					w.after(20 * time.Second)
					expect(t, "thrown", p.log(), "b")
					if when == "at the door" {
						p.with(func() { p.atDoor = control })
					} else {
						control()
					}
					w.after(5 * time.Minute)
					expect(t, "effects", p.log(), c.want)
					for _, a := range w.state().Actions {
						if a.Undoes != "" && a.Step.Lifts != c.lifts {
							t.Errorf("action %s: lifts is %t in its intent", a.ID, a.Step.Lifts)
						}
					}
					w.audit(p)
				})
			})
		}
	}
}
