package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// answering is a target whose answer is all that is ever known of an effect.
type answering struct{ *points }

// Start implements signalbox.Remediator.
func (m answering) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	r, err := m.points.Start(ctx, a)
	r.Final, r.Detail = true, "answered"
	return r, err
}

// Probe implements signalbox.Remediator.
func (m answering) Probe(context.Context, signalbox.Action) (signalbox.Progress, error) {
	return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "it can't be read back"}, nil
}

// An answer that proves the effect ends the action, also where it is the answer
// to a request that was sent again; where it was lost, class D stays in doubt.
func TestFinalAnswerIsNotProbed(t *testing.T) {
	for _, c := range []struct {
		class  signalbox.Class
		lost   bool
		stages string
	}{
		{signalbox.ClassB, false, "done:1"},
		{signalbox.ClassB, true, "done:1"},
		{signalbox.ClassD, false, "done:1"},
		{signalbox.ClassD, true, "doubt:1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, p := lab(t, c.class)
			w.set.Remediators["endpoint"] = answering{p}
			p.with(func() { p.deaf = c.lost })
			w.make(readsLag, "db/eu", 5)
			w.after(6 * time.Second)
			p.with(func() { p.deaf = false })
			w.after(20 * time.Second)
			expect(t, "effects", p.log(), "b")
			expect(t, "stages", w.stages(), c.stages)
			if again := len(p.sends) > 1; again != (c.lost && c.class == signalbox.ClassB) {
				t.Errorf("class %s, answer lost: %t: requests %q", c.class, c.lost, p.requests())
			}
			w.audit(p)
		})
	}
}
