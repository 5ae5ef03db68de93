package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
)

// A cluster at its first start has no quorum until its last member has come:
// the store is not paged for that at once. What is ill is.
func TestFirstQuorumIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.options = func(o *engine.Options) { o.Forming = func() bool { return true } }
		w.store.Break(errors.New("no quorum"))
		w.make(plainOne, "queue/psp", 9)
		w.start()
		defer w.halt()
		w.after(4 * time.Minute)
		expect(t, "pages while the cluster forms", w.pager.log(), "trigger")
		if e := w.pager.lastOf("signalbox-store", true); e.key != "" {
			t.Errorf("the store is paged while the cluster forms: %+v", e)
		}
		w.after(2 * time.Minute)
		if e := w.pager.lastOf("signalbox-store", true); e.key == "" {
			t.Error("a cluster that is not formed in 5 minutes is not paged")
		}
		w.store.Mend()
		w.after(time.Minute)
		if e := w.pager.lastOf("signalbox-store", true); e.event != "resolve" {
			t.Errorf("the last about the store: %+v, want it resolved", e)
		}
	})
}

// The store is handed over once, at a stop, while this process still leads;
// that it fails stops nothing.
func TestStoreIsHandedOverBeforeTheLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var calls atomic.Int64
		led := false
		w.options = func(o *engine.Options) {
			o.HandOver = func(ctx context.Context) error {
				calls.Add(1)
				_, held, err := w.store.Get(ctx, "lead/engine")
				led = held && err == nil
				return errors.New("nobody takes it")
			}
		}
		w.start()
		w.after(10 * time.Second)
		w.store.Break(errors.New("away"))
		w.after(30 * time.Second)
		w.store.Mend()
		w.after(30 * time.Second)
		if n := calls.Load(); n != 0 {
			t.Errorf("handed over %d times by a process that goes on", n)
		}
		w.halt()
		if n := calls.Load(); n != 1 || !led {
			t.Errorf("handed over %d times, while it led: %t; want once, before it gives the lead back", n, led)
		}
		if _, held, err := w.store.Get(t.Context(), "lead/engine"); held || err != nil {
			t.Errorf("after a stop the lead is held: %t, %v", held, err)
		}
	})
}

// What a person does to the daemon itself is on record before it is done, or
// not done.
func TestNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		defer w.halt()
		if err := w.engine.Note(t.Context(), journal.StoreMembers, "alice", map[string]string{"do": "remove", "name": "c"}); err != nil {
			t.Fatal(err)
		}
		var found []string
		for e, err := range w.reader().Read(t.Context(), 0, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == journal.StoreMembers {
				found = append(found, fmt.Sprintf("%s %s", e.Who, e.Data))
			}
		}
		if got := strings.Join(found, "; "); got != `alice {"do":"remove","name":"c"}` {
			t.Errorf("the journal holds %q", got)
		}
		w.store.Break(errors.New("away"))
		w.after(time.Second)
		if err := w.engine.Note(t.Context(), journal.StoreMembers, "alice", nil); !errors.Is(err, engine.ErrNoTerm) {
			t.Errorf("Note without a store = %v, want ErrNoTerm", err)
		}
		w.store.Mend()
		w.after(time.Minute)
	})
}
