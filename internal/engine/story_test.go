package engine_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// begin starts a world in which all is well, and lets it be seen.
func begin(t *testing.T, policies ...policy.Policy) *world {
	t.Helper()
	w := newWorld(t, policies...)
	w.start()
	w.after(20 * time.Second)
	return w
}

func TestBreachIsFlippedVerifiedAndFlippedBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, flipPolicy())
		defer w.halt()
		w.make(readsLag, "db/eu", 5)
		w.make(replicaLag, "replica/a", 5)
		w.after(10 * time.Second)
		expect(t, "effects after the breach", w.target.log(), "b")
		w.make(readsLag, "db/eu", 0)
		w.after(time.Minute)
		if n := len(w.status().Thrown); n != 1 {
			t.Errorf("thrown: got %d, want 1", n)
		}
		w.after(10 * time.Minute)
		expect(t, "effects while the old position is ill", w.target.log(), "b")
		w.make(replicaLag, "replica/a", 0)
		w.after(time.Minute)
		expect(t, "effects before the old position was well for long enough", w.target.log(), "b")
		w.after(3 * time.Minute)
		expect(t, "effects after it was", w.target.log(), "b a")
		w.after(time.Hour)
		expect(t, "effects at last", w.target.log(), "b a")
		// The replica's own lag had no policy, so its owner was paged for it.
		expect(t, "pages", w.pager.log(), "trigger resolve")
		if st := w.status(); len(st.Incidents) != 0 || len(st.Thrown) != 0 {
			t.Errorf("open %v, thrown %v", st.Incidents, st.Thrown)
		}
	})
}

func TestIneffectiveIsUndonePagedOnceAndStopsAfterTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, flipPolicy())
		defer w.halt()
		for i := range 3 {
			w.make(readsLag, "db/eu", 5)
			w.after(5 * time.Minute)
			pages := w.pager.log()
			if want := strings.TrimSpace(strings.Repeat("trigger resolve ", i) + "trigger"); pages != want {
				t.Errorf("round %d: pages: got %q, want %q", i, pages, want)
			}
			if i == 0 && len(w.pager.lastOf("signalbox-demoted-", false).body.Done) != 2 {
				t.Errorf("the page must tell the flip and its undo, got %q", w.pager.last().body.Done)
			}
			w.make(readsLag, "db/eu", 0)
			w.after(5 * time.Minute)
			w.restorePolicy() // which the first that did not help had demoted
		}
		expect(t, "effects: two attempts, each taken back, and no third", w.target.log(), "b a b a")
		st := w.status()
		if len(st.Stopped) != 1 || st.Stopped[0] != theTarget {
			t.Errorf("stopped: got %v", st.Stopped)
		}
		if err := w.engine.Control(t.Context(), signalbox.Control{Kind: signalbox.Release, Scope: "target/" + string(theTarget), Who: "test", Reason: "test"}); err != nil {
			t.Fatal(err)
		}
		w.make(readsLag, "db/eu", 5)
		w.after(2*time.Minute + 30*time.Second) // the fourth time within an hour waits
		expect(t, "effects after it was released", w.target.log(), "b a b a b")
	})
}

func TestUnhealthyDestinationIsNotThrownAndPaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.make(replicaLag, "replica/b", 3)
		w.start()
		defer w.halt()
		w.after(20 * time.Second)
		before := w.pager.log()
		w.make(readsLag, "db/eu", 5)
		w.after(5 * time.Minute)
		expect(t, "effects", w.target.log(), "")
		expect(t, "pages", strings.TrimSpace(strings.TrimPrefix(w.pager.log(), before)), "trigger")
	})
}

func TestUndoAskWaitsForAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := flipPolicy()
		p.Runbook[0].Undo = signalbox.UndoAsk
		w := begin(t, p)
		defer w.halt()
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 0)
		w.after(2 * time.Hour)
		expect(t, "effects without a word", w.target.log(), "b")
		st := w.status()
		if len(st.Incidents) != 1 {
			t.Fatalf("open: got %d, want 1", len(st.Incidents))
		}
		word := signalbox.Control{Kind: signalbox.TakeBack, Scope: "incident/" + string(st.Incidents[0].ID), Who: "test", Reason: "test"}
		if err := w.engine.Control(t.Context(), word); err != nil {
			t.Fatal(err)
		}
		w.after(time.Minute)
		expect(t, "effects after the word", w.target.log(), "b a")
		if open := w.status().Incidents; len(open) != 0 {
			t.Errorf("open: %v", open)
		}
	})
}

func TestNoPolicyPagesOnceAndResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		defer w.halt()
		w.make(plainOne, "queue/psp", 9)
		w.after(10 * time.Minute)
		expect(t, "pages", w.pager.log(), "trigger")
		w.make(plainOne, "queue/psp", 0)
		w.after(time.Minute)
		expect(t, "pages", w.pager.log(), "trigger resolve")
	})
}

func TestShadowDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := flipPolicy()
		p.Autonomy = policy.Shadow
		w := begin(t, p)
		defer w.halt()
		w.make(readsLag, "db/eu", 5)
		w.after(5 * time.Minute)
		expect(t, "effects", w.target.log(), "")
		expect(t, "pages", w.pager.log(), "trigger")
		if st := w.status(); len(st.Incidents) != 1 || st.Incidents[0].Plan != nil {
			t.Errorf("a shadow must leave no plan: %+v", st.Incidents)
		}
	})
}

func TestUnknownIsNeverActedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, flipPolicy())
		defer w.halt()
		w.make(readsLag, "db/eu", 5)
		w.blind(readsLag, true)
		w.after(10 * time.Minute)
		expect(t, "effects", w.target.log(), "")
	})
}

func TestFirstStartWithFiftyBreachesPagesEachOwnerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.mu.Lock()
		w.ill[readsLag] = map[string]float64{}
		for i := range 50 {
			w.ill[readsLag][fmt.Sprintf("db/%d", i)] = 5
		}
		w.mu.Unlock()
		w.start()
		defer w.halt()
		w.after(10 * time.Minute)
		expect(t, "effects", w.target.log(), "")
		expect(t, "pages", w.pager.log(), "trigger")
		if n := len(w.pager.last().body.Evidence); n != 50 {
			t.Errorf("evidence lines: got %d, want 50", n)
		}
	})
}

func TestKillFileAndPauseStopBeforeTheFlip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, flipPolicy())
		defer w.halt()
		if err := os.WriteFile(w.kill, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.after(2 * time.Second)
		expect(t, "pages: the kill is told", w.pager.log(), "trigger")
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		expect(t, "effects while killed", w.target.log(), "")
		if err := w.engine.Control(t.Context(), signalbox.Control{Kind: signalbox.Pause, Scope: "all", Who: "test", Reason: "test", Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(w.kill); err != nil {
			t.Fatal(err)
		}
		w.after(time.Minute)
		expect(t, "effects while paused", w.target.log(), "")
		w.after(59*time.Minute + 10*time.Second)
		expect(t, "effects after the pause ran out", w.target.log(), "b")
	})
}

// Each crash is a process that ends at a step; the next one starts on the same
// store, and the target is slower than the restart.
func TestCrashAtEachStepGivesOneEffect(t *testing.T) {
	gone := errors.New("the process is gone")
	for _, c := range []struct {
		step  string
		crash func(w *world)
		heal  func(w *world)
	}{
		{"after the intent, before the effect", func(w *world) {
			never := w.t.Context()
			w.target.inWrite = func() error { <-never.Done(); return gone }
		}, func(w *world) { w.target.inWrite = nil }},
		{"after the effect, before the receipt", func(w *world) { w.target.deaf = true }, func(w *world) { w.target.deaf = false }},
		{"during verification", func(*world) {}, func(*world) {}},
		{"the write arrives after the restart", func(w *world) { w.target.latency = 8 * time.Second }, func(w *world) { w.target.latency = 0 }},
	} {
		t.Run(c.step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := begin(t, flipPolicy())
				w.target.mu.Lock()
				c.crash(w)
				w.target.mu.Unlock()
				w.make(readsLag, "db/eu", 5)
				w.after(6 * time.Second)
				// The store is cut off first, as for a process that is gone:
				// nothing that it still does is recorded.
				w.store.Break(gone)
				w.stop()
				w.store.Expire("engine")
				w.store.Mend()
				w.target.mu.Lock()
				c.heal(w)
				w.target.mu.Unlock()
				w.start()
				defer w.halt()
				w.after(30 * time.Second)
				expect(t, "effects", w.target.log(), "b")
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				expect(t, "effects, with the undo", w.target.log(), "b a")
			})
		})
	}
}

func TestWithoutStoreBreachesArePagedOnceAndAreTheSameIncidentAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		defer w.halt()
		w.store.Break(errors.New("disk full"))
		w.after(time.Second)
		w.make(readsLag, "db/eu", 5)
		w.make(plainOne, "queue/psp", 9)
		w.after(8 * time.Second)
		expect(t, "effects without a store", w.target.log(), "")
		expect(t, "pages without a store", w.pager.log(), "trigger trigger")
		refused := signalbox.Reading{
			Detector: alerts, Series: "f1", Episode: "1", Subject: "HighLatency", Condition: signalbox.Breached,
			At: time.Now(), SampleAt: time.Now(), OnsetAt: time.Now(), WellAt: time.Now(), Owner: "backend",
		}
		if err := w.engine.Receive(t.Context(), signalbox.Batch{Source: alerts, At: time.Now(), Readings: []signalbox.Reading{refused}}); err == nil {
			t.Error("a webhook must not be accepted without a store")
		}
		w.after(10 * time.Second)
		expect(t, "pages after a refused webhook", w.pager.log(), "trigger trigger trigger")
		w.after(time.Minute)
		expect(t, "pages: the store itself, once", w.pager.log(), "trigger trigger trigger trigger")
		w.store.Mend()
		w.after(2 * time.Minute)
		if n := len(w.status().Incidents); n != 3 {
			t.Errorf("incidents after the store is back: got %d, want 3", n)
		}
		expect(t, "pages after it is back: only that it is", w.pager.log(), "trigger trigger trigger trigger resolve")
		w.make(plainOne, "queue/psp", 0)
		w.after(time.Minute)
		if last := w.pager.last(); last.event != signalbox.PageResolve {
			t.Errorf("the page sent straight must be resolved with its incident, got %v", last)
		}
	})
}
