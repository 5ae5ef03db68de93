package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// mute is a target that can't be read back: its Probe knows what Start was
// answered, and no more.
type mute struct{ *points }

// Probe implements signalbox.Remediator.
func (m *mute) Probe(_ context.Context, a signalbox.Action) (signalbox.Progress, error) {
	if a.Receipt.At.IsZero() {
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "it can't be read back"}, nil
	}
	return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: a.Receipt}, nil
}

// The answer of Start is what its Probe is told, at once and when it is sent
// again after a lost answer or a crash.
func TestProbeIsToldTheReceipt(t *testing.T) {
	for name, c := range map[string]struct {
		deaf, dies bool
	}{
		"answered": {}, "lost": {deaf: true}, "killed": {deaf: true, dies: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := lab(t, signalbox.ClassB)
				w.set.Remediators["endpoint"] = &mute{p}
				p.with(func() { p.deaf = c.deaf })
				w.make(readsLag, "db/eu", 5)
				w.after(5*time.Second + 100*time.Millisecond)
				if c.dies {
					w.die()
				}
				p.with(func() { p.deaf = false })
				if c.dies {
					w.start()
				}
				w.after(20 * time.Second)
				if again := len(p.requests()) > 1; again != c.deaf {
					t.Errorf("requests: got %q", p.requests())
				}
				expect(t, "effects", p.log(), "b")
				expect(t, "stages", w.stages(), "done:1")
				w.audit(p)
			})
		})
	}
}
