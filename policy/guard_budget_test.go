package policy

import (
	"slices"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardBudget(t *testing.T) {
	spread := func(n int, first, step time.Duration) []time.Time {
		var times []time.Time
		for i := range n {
			times = append(times, noon.Add(-first+time.Duration(i)*step))
		}
		return times
	}
	cases := map[string]struct {
		change func(b *box)
		detail string
		free   time.Duration
	}{
		"all": {func(b *box) {
			b.w.State.Budgets["all"] = &signalbox.Spend{Times: spread(10, 50*time.Minute, time.Minute)}
		}, "all: 10 of 10 in 1h", 10 * time.Minute},
		"policy": {func(b *box) {
			b.w.State.Budgets["policy/failover"] = &signalbox.Spend{Times: spread(3, 23*time.Hour, time.Hour)}
		}, "policy/failover: 3 of 3 in 24h", time.Hour},
		"target, whatever the policy's name was": {func(b *box) {
			b.touch().Acted = spread(3, 23*time.Hour, time.Hour)
		}, string(target) + ": 3 of 3 in 24h", time.Hour},
		"more than is allowed": {func(b *box) {
			b.w.State.Budgets["policy/failover"] = &signalbox.Spend{Times: spread(4, 23*time.Hour, time.Hour)}
		}, "4 of 3", 2 * time.Hour},
		"spent in the future": {func(b *box) {
			b.w.State.Budgets["policy/failover"] = &signalbox.Spend{Times: spread(3, -time.Hour, 0)}
		}, "3 of 3", 25 * time.Hour},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			c.change(b)
			b.blocked("budget", c.detail)
			for early, want := range map[time.Duration]signalbox.Verdict{0: signalbox.Act, time.Nanosecond: signalbox.Escalate} {
				b.w.Now = noon
				b.later(c.free - early)
				b.foresee(throwTo("b"), "a")
				b.want(want, "budget")
			}
		})
	}
}

func TestBudgetSaysWhenOneIsFree(t *testing.T) {
	c := configOf(failover())
	c.Detectors[0].Fresh, c.Detectors[1].Fresh = 48*time.Hour, 48*time.Hour
	b := newBoxOf(t, c)
	b.w.State.Budgets["policy/failover"] = &signalbox.Spend{Times: slices.Repeat([]time.Time{noon.Add(-23 * time.Hour)}, 3)}
	if d := b.decide(); !d.Until.Equal(noon.Add(time.Hour)) {
		t.Errorf("due at %s, want when one is free:\n%s", d.Until, tell(d))
	}
	// Of four that are spent, where three are allowed, two must pass.
	b.w.State.Budgets["policy/failover"].Times = []time.Time{
		noon.Add(-20 * time.Hour), noon.Add(-21 * time.Hour), noon.Add(-22 * time.Hour), noon.Add(-23 * time.Hour),
	}
	if d := b.decide(); !d.Until.Equal(noon.Add(2 * time.Hour)) {
		t.Errorf("due at %s, want when one is free:\n%s", d.Until, tell(d))
	}
}
