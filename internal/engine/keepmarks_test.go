package engine_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/marks"
	"github.com/signalbox/signalbox/internal/store"
)

// A replica that never kept marks relies on a store that another has led just
// now, and on no other.
func TestReplicaWithoutMarks(t *testing.T) {
	for name, c := range map[string]struct {
		pause  time.Duration
		frozen bool
	}{"another was alive": {time.Second, false}, "nobody was": {time.Hour, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := marked(t)
				w.halt()
				w.after(c.pause)
				w.marks, w.named, w.shared = t.TempDir(), "second", true
				w.start()
				w.after(20 * time.Second)
				if f := w.status().Store.Frozen; (f != nil) != c.frozen {
					t.Errorf("frozen: %+v, want %t", f, c.frozen)
				}
				w.audit(nil)
			})
		})
	}
}

// A replica that stands by keeps marks too: alone, long after the other, it
// relies on the store. And what it knows better than who leads freezes that one.
func TestStandbyKeepsMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := marked(t)
		first, firstEnded, leader, firstMarks := w.stop, w.ended, w.engine, w.marks
		w.marks, w.named, w.shared = t.TempDir(), "second", true
		w.start()
		w.after(time.Minute)
		if leading := leader.Leading(); !leading || w.engine.Leading() {
			t.Fatalf("the first leads: %t", leading)
		}
		if m := w.storeMarks(); m.Seq == 0 {
			t.Fatalf("marks of who stands by: %+v", m)
		}
		w.halt()
		first()
		<-firstEnded
		w.after(time.Hour)
		w.start()
		w.after(20 * time.Second)
		w.flips()
		expect(t, "effects", p.log(), "b a")
		if f := w.status().Store.Frozen; f != nil {
			t.Errorf("frozen: %s", f.Why)
		}
		w.halt()
		w.otherMarks(func(m *marks.Marks) { m.Seq += 100 }) // of more than the store has
		second := w.marks
		w.marks, w.named = firstMarks, "test"
		w.start()
		w.after(20 * time.Second)
		leader, first, firstEnded = w.engine, w.stop, w.ended
		w.marks, w.named = second, "second"
		w.start()
		w.after(20 * time.Second)
		st, err := leader.Status(t.Context())
		if err != nil || !st.Leading || st.Store.Frozen == nil || st.Store.Frozen.Replica != "second" {
			t.Errorf("who leads does not hear of it: %+v, %v", st.Store, err)
		}
		w.halt()
		first()
		<-firstEnded
		w.stop, w.ended = first, firstEnded
		w.audit(p)
	})
}

// What a replica that stands by reads to keep its marks does not grow with what
// is open: a thousand alerts later it reads as much as before.
func TestKeepingMarksReadsNoIncidents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := marked(t)
		leader, stop, ended := w.engine, w.stop, w.ended
		w.marks, w.named, w.shared, w.quiet = t.TempDir(), "second", true, true
		w.start()
		w.after(time.Minute)
		idle := func() int64 { // in the 20 s with the least: each minute the state is read again, to follow it
			t.Helper()
			least := int64(math.MaxInt64)
			for range 5 {
				before, marks := w.line.read.Load(), w.storeMarks()
				w.after(20 * time.Second)
				if after := w.storeMarks(); after.Seq < marks.Seq || w.engine.Leading() {
					t.Fatalf("it does not stand by and keep its marks: %+v, then %+v", marks, after)
				}
				least = min(least, w.line.read.Load()-before)
			}
			return least
		}
		few := idle()
		for i := range 20 {
			batch := signalbox.Batch{Source: alerts, At: time.Now()}
			for j := range 50 {
				batch.Readings = append(batch.Readings, breach(alerts, fmt.Sprintf("Alert%d/%d", i, j)))
			}
			if err := leader.Receive(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			w.after(2 * time.Second)
		}
		w.after(2 * time.Minute)
		if st, err := leader.Status(t.Context()); err != nil || len(st.Incidents) < 1000 {
			t.Fatalf("%d incidents are open, %v", len(st.Incidents), err)
		}
		many := idle()
		t.Logf("in 20 s: %d bytes with none open, %d with 1000", few, many)
		if few == 0 || many > 2*few {
			t.Errorf("bytes read in 20 s: %d with none open, %d with 1000", few, many)
		}
		w.halt()
		stop()
		<-ended
		w.stop, w.ended = stop, ended
		w.audit(nil)
	})
}

// A replica that has nothing to compare the store with says nothing about it:
// neither beside a first leader that is stuck right after it gave the store its
// id, nor when its own marks can't be read.
func TestStandbyThatIsBlindFreezesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		marks string // of who stands by
		stuck int    // the commits of the first leader that get through
	}{
		"it has none, right after the first leader's first write": {stuck: 1},
		"it has none, and the leader writes":                      {stuck: 1000},
		"they can't be read":                                      {marks: "{", stuck: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, flipPolicy())
				w.shared, w.marks = true, t.TempDir()
				w.commit = stuckAfterTheId(w, c.stuck)
				w.start()
				first, firstEnded := w.stop, w.ended
				w.commit, w.marks, w.named = nil, t.TempDir(), "second"
				if c.marks != "" {
					if err := os.WriteFile(filepath.Join(w.marks, marks.Name), []byte(c.marks), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				w.start()
				w.after(3 * time.Minute)
				j, err := journal.Open(t.Context(), w.store, journal.Options{Now: time.Now})
				if err != nil {
					t.Fatal(err)
				}
				s, _, err := j.LoadToFollow(t.Context())
				if err != nil || s.Store.ID == "" || s.Store.Frozen != nil {
					t.Errorf("the store: %+v, %v", s.Store, err)
				}
				first()
				<-firstEnded
				w.audit(nil)
			})
		})
	}
}

// stuckAfterTheId lets a process's commits through until the one that gives the
// store its id, and so many in all from there; later ones hang for two minutes.
func stuckAfterTheId(w *world, through int) func(context.Context, store.Txn) (store.Revision, error) {
	var since atomic.Int64
	return func(ctx context.Context, txn store.Txn) (store.Revision, error) {
		if since.Load() > 0 || slices.ContainsFunc(txn.Puts, func(p store.Put) bool { return p.Key == signalbox.StoreKey }) {
			if since.Add(1) > int64(through) {
				select {
				case <-ctx.Done():
				case <-time.After(2 * time.Minute):
				}
				return 0, store.ErrUnavailable
			}
		}
		return w.store.Commit(ctx, txn)
	}
}
