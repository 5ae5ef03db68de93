package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardHealth(t *testing.T) {
	cases := map[string]struct {
		change func(b *box)
		detail string
	}{
		"ill":        {func(b *box) { b.see("replica-lag", "replica/b", signalbox.Breached, 3) }, "is breached"},
		"unknown":    {func(b *box) { b.see("replica-lag", "replica/b", signalbox.Unknown, 0) }, "is unknown"},
		"no reading": {func(b *box) { b.w.Facts.Drop("replica-lag", "replica/b", "") }, "no reading of replica-lag on replica/b"},
		"stale": {func(b *box) {
			r := *b.w.Facts.Reading("replica-lag", "replica/b", "")
			r.SampleAt = noon.Add(-2 * time.Minute)
			b.w.Facts.Put(&r)
		}, "newest sample"},
		"one of two ill": {func(b *box) {
			r := *b.w.Facts.Reading("replica-lag", "replica/b", "")
			r.Series, r.Condition = "second", signalbox.Breached
			b.w.Facts.Put(&r)
		}, "is breached"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			c.change(b)
			b.paged(b.blocked("health", c.detail))
		})
	}
}

func TestGuardHealthWithoutWitness(t *testing.T) {
	b := newBox(t)
	b.h.rules["failover"].Runbook[0].Health = nil
	b.foresee(b.h.rules["failover"].Runbook[0], "a")
	b.blocked("health", "nothing proves")
}
