package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// One tool tells so often in an hour, and no more; then the step is passed over.
func TestGuardTells(t *testing.T) {
	for n, want := range map[int]effect{0: passes, tellsMost - 1: passes, tellsMost: stops} {
		b := newBox(t)
		times := make([]time.Time, n)
		for i := range times {
			times[i] = noon.Add(-time.Duration(i) * time.Minute)
		}
		s := telling("ops", signalbox.Flow{})
		b.w.State.Budgets["tells/ops"] = &signalbox.Spend{Times: times}
		l := newLook(b.h, b.w, b.inc())
		if a := guardTells(l, &move{step: &s}); a.effect != want || a.detail == "" {
			t.Errorf("after %d in the hour: got %v, %q, want %v", n, a.effect, a.detail, want)
		}
		b.readsAll(l.finish(signalbox.Decision{}), signalbox.BudgetKey("tells/ops"))
		b.w.Now = noon.Add(tellsPer)
		if a := guardTells(newLook(b.h, b.w, b.inc()), &move{step: &s}); a.effect != passes {
			t.Errorf("after %d, an hour later: got %v, %q", n, a.effect, a.detail)
		}
	}
}
