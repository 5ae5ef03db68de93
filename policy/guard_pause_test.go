package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardPause(t *testing.T) {
	for _, scope := range []string{"all", "policy/failover", "owner/backend", "target/" + string(target)} {
		t.Run(scope, func(t *testing.T) {
			b := newBox(t)
			end := noon.Add(10 * time.Minute)
			b.w.State.Controls.Pauses = []signalbox.Control{{Kind: signalbox.Pause, Scope: scope, Who: "ann", Until: end}}
			if d := b.blocked("pause", scope+" is paused by ann until"); d.Until.After(end) || d.Until.IsZero() {
				t.Errorf("due again at %s, want %s or before", d.Until, end)
			}
			b.later(10 * time.Minute)
			b.foresee(throwTo("b"), "a")
			b.want(signalbox.Act, "pause")
			b.w.State.Controls.Pauses[0].Until = time.Time{}
			b.blocked("pause", "until it is lifted")
		})
	}
	for _, scope := range []string{"policy/other", "owner/payments", "target/other", "incident/" + string(incident)} {
		b := newBox(t)
		b.w.State.Controls.Pauses = []signalbox.Control{{Kind: signalbox.Pause, Scope: scope}}
		b.want(signalbox.Act, "pause")
	}
}
