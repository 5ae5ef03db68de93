package policy

import (
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

// Right after a start a detector has had no round yet: what a guard would block
// for want of it waits for that round, and pages nobody meanwhile. A detector
// that had its round and says nothing, or says something, is no such case.
func TestFirstRoundIsAwaited(t *testing.T) {
	conditional := failover()
	conditional.Runbook[0].If = "destination.value < duration('1h')"
	changes := configOf(failover())
	changes.Changes = []Change{{Name: "deploy", Detector: "alerts"}}
	nobody := func(b *box) { b.w.Facts.Drop("replica-lag", "replica/b", "") }
	cases := map[string]struct {
		box           func(t *testing.T) *box
		guard, unseen string
	}{
		"health": {func(t *testing.T) *box {
			b := newBox(t)
			nobody(b)
			return b
		}, "health", "replica-lag"},
		"condition": {func(t *testing.T) *box {
			b := newBox(t, conditional)
			b.foresee(conditional.Runbook[0], "a")
			nobody(b)
			return b
		}, "condition", "replica-lag"},
		"change": {func(t *testing.T) *box { return newBoxOf(t, changes) }, "change", "alerts"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := c.box(t)
			b.w.Unseen = map[string]bool{c.unseen: true}
			d := b.want(signalbox.Hold, c.guard)
			if r := reason(d.Because, c.guard); r.Passed || !strings.Contains(r.Detail, "the first round of "+c.unseen+" since the start is still to come") || d.Page != nil {
				t.Errorf("it must wait, and tell for what:\n%s", tell(d))
			}
			b.w.Unseen = map[string]bool{"another": true}
			b.paged(b.want(signalbox.Escalate, c.guard))
		})
	}
	t.Run("it says something", func(t *testing.T) {
		b := newBox(t)
		b.see("replica-lag", "replica/b", signalbox.Breached, 3) // what is restored from before the start, as a standby's is
		b.w.Unseen = map[string]bool{"replica-lag": true}
		b.paged(b.want(signalbox.Escalate, "health"))
	})
}
