package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// After a confirmation everything that a guard looks back for counts as spent,
// for the longest of it; then nothing does.
func TestGuardRestored(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *Config)
		window time.Duration
		detail string
	}{
		"the policy's budget": {func(*Config) {}, 24 * time.Hour, "the budget policy/failover of 24h"},
		"the cooldown":        {func(c *Config) { c.Policies[0].Cooldown = 30 * time.Hour }, 30 * time.Hour, "the cooldown of 30h"},
		"the budget of all":   {func(c *Config) { c.Budget = []Rate{{N: 1, Per: 48 * time.Hour}} }, 48 * time.Hour, "the budget all of 48h"},
		"a target's": {func(c *Config) {
			c.Budgets = []ScopedRates{{Scope: "target/" + string(target), Rates: []Rate{{N: 1, Per: 72 * time.Hour}}}}
		}, 72 * time.Hour, "the budget target/"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configOf(failover())
			cfg.Detectors[0].Fresh, cfg.Detectors[1].Fresh = 100*time.Hour, 100*time.Hour
			c.change(&cfg)
			b := newBoxOf(t, cfg)
			b.foresee(throwTo("b"), "a")
			b.w.State.Store.Confirmed = &signalbox.Control{At: noon}
			if d := b.decide(); d.Verdict == signalbox.Act {
				t.Fatalf("acts though nobody knows what was spent:\n%s", tell(d))
			}
			for early, want := range map[time.Duration]signalbox.Verdict{0: signalbox.Act, time.Nanosecond: signalbox.Escalate} {
				b.w.Now = noon
				b.later(c.window - early)
				b.foresee(throwTo("b"), "a")
				d := b.want(want, "restored")
				if want != signalbox.Act && reason(d.Because, "restored").Passed {
					t.Errorf("%s before its end another guard forbids it:\n%s", early, tell(d))
				}
			}
		})
	}
}

// What only takes back is not held.
func TestRestoredLetsTakeBack(t *testing.T) {
	b := newBox(t)
	for _, g := range b.h.backward {
		if g.name == "restored" {
			t.Error("taking back waits for a budget")
		}
	}
}
