package policy

import (
	"strings"
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

// A witness that is asked again is waited for before anybody is paged, by one of
// its intervals and a little, though never for long.
func TestGuardHealthIsAskedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		interval, within time.Duration
	}{
		"soon":        {time.Second, 6 * time.Second},
		"by and by":   {10 * time.Second, 15 * time.Second},
		"at the most": {5 * time.Minute, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.asked("replica-lag", c.interval)
			b.see("replica-lag", "replica/b", signalbox.Unknown, 0)
			first := b.blocked("health", "is asked again until")
			if first.Verdict != signalbox.Hold || first.Page != nil {
				t.Errorf("got %s with page %v, want a hold without a page", first.Verdict, first.Page)
			}
			if want := b.w.Now.Add(c.within); first.Until.After(want) || first.Until.IsZero() {
				t.Errorf("it is looked at again at %s, want by %s", first.Until, want)
			}
			b.later(c.within - time.Nanosecond)
			b.foresee(b.h.rules["failover"].Runbook[0], "a")
			if d := b.blocked("health", "is asked again until"); d.Page != nil {
				t.Errorf("paged %v before its time was over", d.Page)
			}
			b.later(time.Nanosecond)
			b.paged(b.blocked("health", "is unknown"))
		})
	}
}

// One that is known to be ill is not waited for because another is not known.
func TestGuardHealthIllBesideUnknown(t *testing.T) {
	b := newBox(t)
	b.asked("replica-lag", time.Second)
	r := b.see("replica-lag", "replica/b", signalbox.Unknown, 0)
	r.Series, r.Condition = "second", signalbox.Breached
	b.w.Facts.Put(&r)
	b.paged(b.blocked("health", "is breached"))
}

// Nor is anybody paged for a condition that asks about what is not known just now.
func TestGuardConditionOfWhatIsAskedAgain(t *testing.T) {
	for _, text := range []string{`destination.value < duration("100ms")`, `destination.healthy && value > duration("1s")`} {
		p := failover()
		p.Runbook[0].If = text
		b := newBox(t, p)
		b.asked("replica-lag", time.Second)
		b.foresee(p.Runbook[0], "a")
		b.see("replica-lag", "replica/b", signalbox.Unknown, 0)
		d := b.want(signalbox.Hold, "condition")
		if r := reason(d.Because, "condition"); r.Passed || !strings.Contains(r.Detail, "is asked again until") {
			t.Errorf("%s: got %q, want that it is asked again", text, r.Detail)
		}
		b.later(6 * time.Second)
		b.foresee(p.Runbook[0], "a")
		b.paged(b.want(signalbox.Escalate, "condition"))
	}
}

// asked makes a detector one that is asked at an interval.
func (b *box) asked(detector string, interval time.Duration) {
	d := b.h.detectors[detector]
	d.Interval = interval
	b.h.detectors[detector] = d
}
