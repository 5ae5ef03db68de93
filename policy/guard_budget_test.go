package policy

import (
	"slices"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"pgregory.net/rapid"
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

// Scopes beside the policy's own.
func TestGuardBudgetScopes(t *testing.T) {
	for _, scope := range []string{"owner/backend", "kind/endpoint", "class/A", "policy/failover"} {
		c := configOf(failover())
		c.Budgets = []ScopedRates{{Scope: scope, Rates: []Rate{{N: 1, Per: 2 * time.Hour}}}}
		b := newBoxOf(t, c)
		b.spendsIn(b.want(signalbox.Act, "budget"), scope)
		b.w.State.Budgets[scope] = &signalbox.Spend{Scope: scope, Times: []time.Time{noon}}
		b.blocked("budget", scope+": 1 of 1 in 2h are spent")
	}
	c := configOf(failover())
	c.Budgets = []ScopedRates{{Scope: "target/" + string(target), Rates: []Rate{{N: 1, Per: 2 * time.Hour}}}}
	b := newBoxOf(t, c)
	b.touch().Acted = []time.Time{noon.Add(-time.Hour)}
	b.blocked("budget", string(target)+": 1 of 1 in 2h are spent")
}

// A burst bounds what comes close together within the rate.
func TestGuardBudgetBurst(t *testing.T) {
	p := failover()
	p.Budget = []Rate{{N: 10, Per: 10 * time.Hour, Burst: 2}}
	b := newBox(t, p)
	b.w.State.Budgets["policy/failover"] = &signalbox.Spend{Times: []time.Time{noon.Add(-time.Hour), noon.Add(-2 * time.Hour)}}
	b.want(signalbox.Act, "budget")
	b.w.State.Budgets["policy/failover"] = &signalbox.Spend{Times: []time.Time{noon.Add(-time.Hour), noon.Add(-119 * time.Minute)}}
	b.blocked("budget", "2 of 2 in 2h are spent")
}

// Whatever the times between, and the time without any, no window ever holds
// more than the rate: nothing is saved up.
func TestPropertyNoBurstAfterIdle(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{N: rapid.IntRange(1, 4).Draw(t, "n"), Per: time.Hour}
		b := newBox(outer)
		var spent []time.Time
		now := noon
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Minute, 10 * time.Minute, 59 * time.Minute, 24 * time.Hour, -30 * time.Minute}).Draw(t, "gap"))
			b.w.Now = now
			if newLook(b.h, b.w, b.inc()).spent("all", r, spent).effect == passes {
				spent = append(spent, now)
			}
		}
		for _, from := range spent {
			n := 0
			for _, at := range spent {
				if !at.Before(from) && at.Before(from.Add(r.Per)) {
					n++
				}
			}
			if n > r.N {
				t.Fatalf("%d in the hour from %s: %v", n, from, spent)
			}
		}
	})
}
