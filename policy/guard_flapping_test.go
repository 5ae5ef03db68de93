package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardFlapping(t *testing.T) {
	again := func(b *box, n int) {
		for range n {
			b.inc().Recent = append(b.inc().Recent, noon.Add(-30*time.Minute))
		}
	}
	b := newBox(t)
	again(b, 1)
	b.inc().Recent = append(b.inc().Recent, noon.Add(-2*time.Hour)) // before the window
	b.want(signalbox.Act, "flapping")
	again(b, 1)
	b.blocked("flapping", "it opened 3 times in 1h (slower from 3 on, stops at 6): waits 1m")
	again(b, 1)
	b.blocked("flapping", "it opened 4 times in 1h (slower from 3 on, stops at 6): waits 2m")
	b.later(2*time.Minute - 1)
	b.foresee(throwTo("b"), "a")
	b.want(signalbox.Hold, "flapping")
	b.later(1)
	b.foresee(throwTo("b"), "a")
	b.want(signalbox.Act, "flapping")
	again(b, 2)
	d := b.want(signalbox.Escalate, "flapping")
	if d.GaveUp == "" {
		t.Errorf("automation goes on:\n%s", tell(d))
	}
}

// The cooldown of a target doubles with each action beyond the second in a day.
func TestCooldownDoubles(t *testing.T) {
	for n, rest := range map[int]time.Duration{1: 15 * time.Minute, 2: 15 * time.Minute, 3: 30 * time.Minute, 5: 2 * time.Hour} {
		p := failover()
		p.Budget = nil
		c := configOf(p)
		c.Detectors[0].Fresh, c.Detectors[1].Fresh = 48*time.Hour, 48*time.Hour
		b := newBoxOf(t, c)
		for i := range n {
			b.touch().Acted = append(b.touch().Acted, noon.Add(-time.Duration(i)*time.Minute))
		}
		b.blocked("cooldown", "cooldown "+span(rest))
		b.later(rest - 1)
		b.foresee(throwTo("b"), "a")
		b.want(signalbox.Escalate, "cooldown")
		b.later(1)
		b.foresee(throwTo("b"), "a")
		b.want(signalbox.Act, "cooldown")
	}
}
