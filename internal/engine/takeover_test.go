package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

// A write that was on its way when its process was stopped, and that arrives
// after a successor has acted, changes nothing: the fence is in it.
func TestLateWriteOfAnOldTermChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		p := newPoints(w, signalbox.ClassA)
		arrive, said := make(chan struct{}), make(chan error, 1)
		var held atomic.Bool
		w.commit = func(ctx context.Context, txn store.Txn) (store.Revision, error) {
			incident := func(p store.Put) bool { return strings.HasPrefix(p.Key, signalbox.IncidentPrefix) }
			if !slices.ContainsFunc(txn.Puts, incident) || !held.CompareAndSwap(false, true) {
				return w.store.Commit(ctx, txn)
			}
			<-arrive
			for i, c := range txn.Ifs { // nobody else would have moved the head
				if strings.HasPrefix(c.Key, "journal/") {
					kv, _, err := w.store.Get(t.Context(), c.Key)
					if err != nil {
						return 0, err
					}
					txn.Ifs[i].Rev = kv.Mod
				}
			}
			rev, err := w.store.Commit(context.WithoutCancel(ctx), txn)
			said <- err
			return rev, err
		}
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(6 * time.Second)
		w.store.Expire("engine") // the old process does not hear of it in time
		stop := w.stop
		w.commit = nil
		w.start()
		w.after(20 * time.Second)
		expect(t, "effects of the successor", p.log(), "b")
		close(arrive)
		if err := <-said; !errors.Is(err, store.ErrConflict) {
			t.Errorf("the late write: got %v, want a conflict", err)
		}
		stop()
		w.after(20 * time.Second)
		for _, inc := range w.state().Incidents {
			if len(inc.Actions) != 1 {
				t.Errorf("the late write has changed incident %+v", inc)
			}
		}
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		expect(t, "effects", p.log(), "b a")
		w.audit(p)
	})
}

// What is thrown is taken back also when its policy is gone from the
// configuration: the intent holds the whole plan.
func TestReloadWithoutThePolicyWhileThrownStillTakesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := lab(t, signalbox.ClassA)
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		expect(t, "effects", p.log(), "b")
		w.configure("two")
		w.set.Remediators["endpoint"] = p
		if err := w.engine.Swap(t.Context(), w.set); err != nil {
			t.Fatal(err)
		}
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		expect(t, "effects", p.log(), "b a")
		if open := w.status().Incidents; len(open) != 0 {
			t.Errorf("open: %+v", open)
		}
		w.audit(p)
	})
}

// A breach that was durable and no incident yet when the process was killed is
// one afterwards, and ends: it was well again before anybody looked.
func TestBreachInTheInboxOfAKilledProcessEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit = func(ctx context.Context, txn store.Txn) (store.Revision, error) {
			for _, p := range txn.Puts {
				if strings.HasPrefix(p.Key, signalbox.IncidentPrefix) {
					return 0, store.ErrUnavailable
				}
			}
			return w.store.Commit(ctx, txn)
		}
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(6 * time.Second)
		w.die()
		w.make(readsLag, "db/eu", 0)
		w.commit = nil
		w.start()
		w.after(5 * time.Minute)
		kinds := map[journal.Kind]int{}
		for _, e := range w.entries() {
			kinds[e.Kind]++
		}
		if kinds[journal.IncidentOpened] != 1 || kinds[journal.IncidentClosed] != 1 {
			t.Errorf("opened %d, closed %d incidents, want 1 and 1: %+v", kinds[journal.IncidentOpened], kinds[journal.IncidentClosed], w.status().Incidents)
		}
		w.audit(nil)
	})
}

func TestRestartWithOpenIncidentsPagesNobodyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		w.make(readsLag, "db/eu", 5)
		w.make(plainOne, "queue/psp", 9)
		w.after(time.Minute)
		expect(t, "pages", w.pager.log(), "trigger trigger")
		before := ids(w.status())
		for i := range 3 {
			if i == 1 {
				w.halt()
			} else {
				w.die()
			}
			w.start()
			w.after(2 * time.Minute)
			if after := ids(w.status()); after != before {
				t.Errorf("incidents: got %s, want those from before, %s", after, before)
			}
		}
		expect(t, "pages", w.pager.log(), "trigger trigger")
		w.make(readsLag, "db/eu", 0)
		w.make(plainOne, "queue/psp", 0)
		w.after(time.Minute)
		expect(t, "pages", w.pager.log(), "trigger trigger resolve resolve")
		w.audit(nil)
	})
}

func ids(st engine.Status) string {
	var out []string
	for _, inc := range st.Incidents {
		out = append(out, string(inc.ID))
	}
	return strings.Join(out, " ")
}

// Many incidents that want the same switch in the same round: one throws it.
// Each commit takes its time, and one is under way when all answers come in, so
// that they are decided on together.
func TestManyIncidentsNeverHoldOneTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.Cooldown = 0
		w := newWorld(t, pol)
		p := newPoints(w, signalbox.ClassC)
		p.declared, p.lag = 5*time.Second, 5*time.Second
		w.makeMany(readsLag, 40, 0)
		w.oracle = w.oneAtATime
		w.start()
		w.after(20 * time.Second)
		w.store.BeforeCommit(func(store.Txn) error {
			time.Sleep(100 * time.Millisecond) //nolint:forbidigo // bubble time
			return nil
		})
		var once atomic.Bool
		p.with(func() {
			p.atLook = func() {
				if once.CompareAndSwap(false, true) {
					pause := signalbox.Control{Kind: signalbox.Pause, Scope: "owner/devops", Who: "test", Reason: "test"}
					if err := w.engine.Control(t.Context(), pause); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(50 * time.Millisecond) //nolint:forbidigo // bubble time
			}
		})
		w.makeMany(readsLag, 40, 5)
		w.after(30 * time.Second)
		expect(t, "requests", p.requests(), "b")
		w.audit(p)
	})
}

// makeMany gives many subjects of a detector one value.
func (w *world) makeMany(detector string, n int, value float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range n {
		w.ill[detector][fmt.Sprintf("db/%d", i)] = value
	}
}

// oneAtATime says which other actions are in flight on the target of one that
// is sent, and whether its intent is on record.
func (w *world) oneAtATime(a *signalbox.Action) (wrong []string) {
	s := w.state()
	if own := s.Actions[a.ID]; own == nil || !own.InFlight() || own.Forecast.Found == "" || own.Forecast.Undo == nil {
		wrong = append(wrong, fmt.Sprintf("action %s is sent, and the store has no intent of it with what was found and its undo: %+v", a.ID, own))
	}
	for id, other := range s.Actions {
		if id != a.ID && other.InFlight() {
			wrong = append(wrong, fmt.Sprintf("action %s is sent while %s is %s on the same target", a.ID, id, other.Stage))
		}
	}
	return wrong
}
