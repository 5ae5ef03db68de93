package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// Where acknowledging takes, who acknowledges a page has its incident, however that
// is heard: automation yields, also over a restart, until it is released or the
// pager takes the acknowledgement back. Elsewhere it goes on.
func TestAcknowledgementTakesUntilItIsReleased(t *testing.T) {
	for name, c := range map[string]struct {
		takes bool
		how   func(w *world, d *desk, key string)
		back  bool // the pager takes it back; else it is released
	}{
		"told by the pager": {true, func(w *world, _ *desk, key string) { w.word(signalbox.Acknowledge, key) }, false},
		"and taken back":    {true, func(w *world, _ *desk, key string) { w.word(signalbox.Acknowledge, key) }, true},
		"asked of it":       {true, func(_ *world, d *desk, key string) { d.acknowledge(key) }, false},
		"said here":         {true, func(w *world, _ *desk, _ string) { w.say(signalbox.Acknowledge) }, false},
		"it takes nothing":  {false, func(w *world, _ *desk, key string) { w.word(signalbox.Acknowledge, key) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := guarded(t, func(cfg *policy.Config) { cfg.AcknowledgeTakes = c.takes }, flipPolicy())
				d := &desk{phone: newPhone(w), acks: map[string]signalbox.Control{}}
				w.set.Pager = d
				p := newPoints(w, signalbox.ClassA)
				w.make(replicaLag, "replica/b", 5) // so that it is held, and paged
				w.start()
				w.after(20 * time.Second)
				before := len(d.accepted())
				w.make(readsLag, "db/eu", 5)
				w.until(func() bool { return len(d.accepted()) > before })
				c.how(w, d, d.accepted()[before].key)
				w.after(time.Minute)
				w.make(replicaLag, "replica/b", 0)
				w.after(time.Minute)
				if !c.takes {
					expect(t, "requests", p.requests(), "b")
				} else {
					expect(t, "requests while it is acknowledged", p.requests(), "")
					w.again()
					w.after(time.Minute)
					expect(t, "requests after a restart", p.requests(), "")
					expect(t, "attempts that the gate refused", w.stages(), "")
					if c.back {
						w.word(signalbox.Unacknowledge, d.accepted()[before].key)
					} else {
						w.say(signalbox.Release)
					}
					w.after(45 * time.Second) // the pager is asked again meanwhile
					expect(t, "requests once it is given back", p.requests(), "b")
				}
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				w.audit(p)
			})
		})
	}
}

// say gives a person's word on the incident of the failover.
func (w *world) say(kind signalbox.ControlKind) {
	w.t.Helper()
	for _, inc := range w.status().Incidents {
		if inc.Reading.Detector != readsLag {
			continue
		}
		c := signalbox.Control{Kind: kind, Scope: "incident/" + string(inc.ID), Who: "@be-lead", Reason: "a test"}
		if err := w.engine.Control(w.t.Context(), c); err != nil {
			w.t.Fatal(err)
		}
	}
}
