package engine_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// A process that is killed right after its store was led for the first time has
// marks of it, and goes on; and so does one that is killed right before.
func TestFirstStartThatIsKilledAtOnceIsNoRestore(t *testing.T) {
	for _, before := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, flipPolicy())
			w.marks = t.TempDir()
			w.commit = killsAt(w, before)
			w.start()
			w.after(5 * time.Second)
			w.commit = nil
			w.start()
			w.after(time.Minute)
			if f := w.status().Store.Frozen; f != nil {
				t.Errorf("killed before the store had its id: %t; frozen: %s", before, f.Why)
			}
			w.audit(nil)
		})
	}
}

// And so does another replica, which has no marks yet: the store says who led
// it, and when, as soon as it has its id.
func TestFirstLeaderThatIsKilledAtOnceIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.shared, w.marks = true, t.TempDir()
		w.commit = killsAt(w, false)
		w.start()
		w.after(5 * time.Second)
		w.commit, w.marks, w.named = nil, t.TempDir(), "second"
		w.start()
		w.after(time.Minute)
		if st := w.status(); !st.Leading || st.Store.ID == "" || st.Store.Frozen != nil {
			t.Errorf("leading: %t, the store: %+v", st.Leading, st.Store)
		}
		w.audit(nil)
	})
}

// killsAt kills the process at the commit that gives the store its id.
func killsAt(w *world, before bool) func(context.Context, store.Txn) (store.Revision, error) {
	return func(ctx context.Context, txn store.Txn) (store.Revision, error) {
		gives := slices.ContainsFunc(txn.Puts, func(p store.Put) bool { return p.Key == signalbox.StoreKey })
		if gives && before {
			go w.cutOff()
			return 0, store.ErrUnavailable
		}
		rev, err := w.store.Commit(ctx, txn)
		if gives {
			w.line.cut.Store(true)
			go w.cutOff()
		}
		return rev, err
	}
}
