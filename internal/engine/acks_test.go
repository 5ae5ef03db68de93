package engine_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// desk is a phone that can be asked who acknowledged.
type desk struct {
	*phone
	asked  []string // the keys, in order
	askErr error    // comes with what is known
	acks   map[string]signalbox.Control
	slow   time.Duration
}

// Acks implements kind.AckReader.
func (d *desk) Acks(_ context.Context, _ json.RawMessage, keys []string) (map[string]signalbox.Control, error) {
	d.mu.Lock()
	d.asked = append(d.asked, keys...)
	out, slow := map[string]signalbox.Control{}, d.slow
	for _, key := range keys {
		if c, ok := d.acks[key]; ok {
			out[key] = c
		}
	}
	err := d.askErr
	d.mu.Unlock()
	time.Sleep(slow) //nolint:forbidigo // bubble time
	return out, err
}

// questions are the keys that it was asked about, in order.
func (d *desk) questions() (keys []string) {
	d.set(func() { keys = slices.Clone(d.asked) })
	return keys
}

func (d *desk) acknowledge(key string) {
	d.set(func() { d.acks[key] = signalbox.Control{Who: "the primary", At: time.Now()} })
}

// manned begins a world with a ladder whose pager can be asked, and one page.
func manned(t *testing.T) (w *world, d *desk, key string) {
	t.Helper()
	w = newWorld(t)
	d = &desk{phone: onCall(w, nil), acks: map[string]signalbox.Control{}}
	w.set.Pager = d
	w.start()
	w.after(20 * time.Second)
	w.make(plainOne, "queue/psp", 9)
	w.until(func() bool { return len(d.accepted()) == 1 })
	return w, d, d.accepted()[0].key
}

func TestPolledAcknowledgementStopsTheLadderAlsoOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, key := manned(t)
		d.acknowledge(key)
		w.after(time.Minute)
		if p := w.state().Pages[key]; p.AckedBy != "the primary" || p.AckedAt.IsZero() {
			t.Errorf("it is not on record: %+v", p)
		}
		d.set(func() { d.acks = nil }) // the next process is told nothing
		w.die()
		w.start()
		w.after(10 * time.Minute)
		if got := d.to(); !slices.Equal(got, []string{"backend trigger"}) {
			t.Errorf("taken: got %q, want the primary's page only", got)
		}
		w.audit(nil)
	})
}

// What is acknowledged is asked about no more, and a rung's acknowledgement is
// the ladder's.
func TestAcknowledgementsAreAskedForWhatMayClimb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, key := manned(t)
		w.after(2*time.Minute + 10*time.Second)
		if asked := d.questions(); !slices.Contains(asked, key) {
			t.Errorf("nobody asked about the page: %q", asked)
		}
		if got := d.to(); !slices.Equal(got, []string{"backend trigger", "backend-backup trigger"}) {
			t.Fatalf("taken: got %q, want two rungs", got)
		}
		d.acknowledge(key + "-backup")
		w.after(time.Minute)
		n := len(d.questions())
		w.after(10 * time.Minute)
		if more := d.questions()[n:]; len(more) > 0 {
			t.Errorf("still asked about %q", more)
		}
		if got := d.to(); !slices.Equal(got[2:], []string{"backend acknowledge"}) {
			t.Errorf("taken: got %q, want no last resort, and the primary told", got)
		}
		w.audit(nil)
	})
}

// What came before an error counts: in a storm the pager may never answer for all.
func TestAcknowledgementsThatCameBeforeAnErrorCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, key := manned(t)
		d.set(func() { d.askErr = errDown })
		d.acknowledge(key)
		w.after(10 * time.Minute)
		if got := d.to(); !slices.Equal(got, []string{"backend trigger"}) {
			t.Errorf("taken: got %q, want the primary's page only", got)
		}
		w.audit(nil)
	})
}

// Where the pager escalates, acknowledgements are read too: they may take the
// incident, and end what was given up.
func TestAcknowledgementsAreReadWhoeverEscalates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := &desk{phone: onCall(w, func(c *policy.Config) {
			c.Owners[0] = policy.Owner{Name: "backend"}
			c.AcknowledgeTakes = true
		}), acks: map[string]signalbox.Control{}}
		w.set.Pager = d
		w.start()
		w.after(20 * time.Second)
		w.make(plainOne, "queue/psp", 9)
		w.until(func() bool { return len(d.accepted()) == 1 })
		key := d.accepted()[0].key
		d.acknowledge(key)
		w.after(time.Minute)
		if p := w.state().Pages[key]; p.AckedBy != "the primary" {
			t.Errorf("it is not on record: %+v", p)
		}
		w.audit(nil)
	})
}

// Who acknowledged a page that is over did not acknowledge the next one under its
// key.
func TestAcknowledgementOfAKeyThatIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, key := manned(t)
		d.acknowledge(key)
		d.set(func() {
			d.slow = 25 * time.Second
			d.answer = func(_ int, c call) error { // its end is owed
				if c.event == signalbox.PageResolve {
					return errDown
				}
				return nil
			}
		})
		w.until(func() bool { return len(d.questions()) == 1 })
		d.set(func() { d.acks = nil })
		w.make(plainOne, "queue/psp", 0)
		w.until(func() bool { return len(w.status().Incidents) == 0 })
		w.make(plainOne, "queue/psp", 9)
		w.until(func() bool { return len(w.status().Incidents) == 1 })
		w.after(10 * time.Minute)
		if p := w.state().Pages[key]; p == nil || p.Event != signalbox.PageTrigger || len(d.triggered("backend")) != 2 {
			t.Fatalf("the key is not used again: %+v", p)
		}
		if n := len(d.triggered("backend-backup")); n != 1 {
			t.Errorf("the backup was paged %d times for the second page, want once", n)
		}
		w.audit(nil)
	})
}
