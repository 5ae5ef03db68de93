package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardFreshness(t *testing.T) {
	cases := map[string]struct {
		change func(b *box)
		detail string
	}{
		"stale":      {func(b *box) { b.change(func(r *signalbox.Reading) { r.SampleAt = noon.Add(-61 * time.Second) }) }, "newest sample"},
		"no sample":  {func(b *box) { b.change(func(r *signalbox.Reading) { r.SampleAt = time.Time{} }) }, "never"},
		"far future": {func(b *box) { b.change(func(r *signalbox.Reading) { r.SampleAt = noon.Add(time.Hour) }) }, "newest sample"},
		"unknown": {func(b *box) {
			b.change(func(r *signalbox.Reading) { r.Condition, r.Reason = signalbox.Unknown, "NaN" })
		}, "unknown: NaN"},
		"clear by now": {func(b *box) { b.lag(0.01) }, "reads clear right now"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.inc().Plan, _ = b.h.rules["failover"].plan(nil)
			c.change(b)
			if d := b.blocked("freshness", c.detail); d.Verdict != signalbox.Hold || d.Page != nil {
				t.Errorf("got %s, want hold without a page", tell(d))
			}
			b.inc().Plan = nil // nor is a policy chosen on it
			b.want(signalbox.Hold, "freshness")
		})
	}
}

// change alters the freshest reading of the incident's own series.
func (b *box) change(f func(r *signalbox.Reading)) {
	r := *b.w.Facts.Reading("lag", "db/eu", "")
	f(&r)
	b.w.Facts.Put(&r)
}

func TestNothingReadYet(t *testing.T) {
	b := newBox(t)
	b.w.Facts.Drop("lag", "db/eu", "")
	b.want(signalbox.Hold, "freshness")
	b = newBox(t)
	b.inc().Reading.Condition, b.inc().UnknownAt = signalbox.Unknown, noon
	b.want(signalbox.Hold, "freshness")
}
