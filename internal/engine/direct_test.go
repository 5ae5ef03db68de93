package engine_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/internal/store"
)

// The store comes back, and fails again at the very write that opens the
// incident: the page that was sent straight is not forgotten, and not sent
// again.
func TestDirectPageOutlivesAFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		defer w.halt()
		w.store.Break(errors.New("disk full"))
		w.after(time.Second)
		w.make(plainOne, "queue/psp", 9)
		w.after(12 * time.Second)
		expect(t, "pages without a store", w.pager.log(), "trigger")
		var failed atomic.Int64
		w.store.BeforeCommit(func(txn store.Txn) error {
			for _, p := range txn.Puts {
				if strings.HasPrefix(p.Key, "incident/") && failed.Add(1) <= 3 {
					return store.ErrUnavailable
				}
			}
			return nil
		})
		w.store.Mend()
		w.after(2 * time.Minute)
		if failed.Load() <= 3 {
			t.Fatalf("the incident was written %d times, want more than 3", failed.Load())
		}
		if n := len(w.status().Incidents); n != 1 {
			t.Errorf("incidents: got %d, want 1", n)
		}
		expect(t, "pages after it is back", w.pager.log(), "trigger")
		w.make(plainOne, "queue/psp", 0)
		w.after(time.Minute)
		expect(t, "pages at the end", w.pager.log(), "trigger resolve")
	})
}
