package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardCooldown(t *testing.T) {
	cases := map[string]struct {
		ago    time.Duration
		detail string
	}{
		"lately":              {4 * time.Minute, "4m ago, cooldown 15m"},
		"almost":              {15*time.Minute - 1, "15m ago, cooldown 15m"},
		"the clock went back": {-time.Hour, "cooldown 15m"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.touch().Acted = []time.Time{noon.Add(-2 * time.Hour), noon.Add(-c.ago)}
			d := b.blocked("cooldown", c.detail)
			if d.Until.IsZero() || d.Until.After(noon.Add(15*time.Minute-c.ago)) {
				t.Errorf("due again at %s", d.Until)
			}
		})
	}
	b := newBox(t)
	b.touch().Acted = []time.Time{noon.Add(-15 * time.Minute)}
	b.want(signalbox.Act, "cooldown")
}
