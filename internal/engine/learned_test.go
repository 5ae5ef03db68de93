package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// work is a switch whose throw begins something that goes on, as a Job or a run
// does, under the action's id.
type work struct {
	*points
	takes time.Duration

	mu    sync.Mutex
	lost  bool                        // the answer to the first request is lost
	there map[signalbox.ActionID]bool // what was begun, and not deleted since
	begun []signalbox.ActionID
	// tells is what a look finds.
	tells func(a signalbox.Action) signalbox.Progress
}

func newWork(t *testing.T, class signalbox.Class, tells func(a signalbox.Action) signalbox.Progress) (*world, *work) {
	t.Helper()
	w := newWorld(t, runs(on("one", signalbox.Flow{})))
	k := &work{points: newPoints(w, class), there: map[signalbox.ActionID]bool{}, tells: tells}
	w.set.Remediators["endpoint"] = k
	w.start()
	w.after(20 * time.Second)
	return w, k
}

// Preview implements signalbox.Remediator.
func (k *work) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	fc, err := k.points.Preview(ctx, s)
	fc.Takes = signalbox.Duration(k.takes)
	return fc, err
}

// Start implements signalbox.Remediator.
func (k *work) Start(_ context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	if err := a.Gate(); err != nil {
		return signalbox.Receipt{}, &signalbox.Failure{Reason: "not started", Err: err}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.there[a.ID] {
		k.there[a.ID] = true
		k.begun = append(k.begun, a.ID)
	}
	if k.lost {
		k.lost = false
		return signalbox.Receipt{}, errors.New("answer lost")
	}
	return signalbox.Receipt{At: time.Now(), Detail: "it was taken"}, nil
}

// Probe implements signalbox.Remediator.
func (k *work) Probe(_ context.Context, a signalbox.Action) (signalbox.Progress, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tells(a), nil
}

func (k *work) requests() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.begun)
}

// the is the one action.
func (w *world) the() *signalbox.Action {
	w.t.Helper()
	all := w.state().Actions
	if len(all) != 1 {
		w.t.Fatalf("%d actions, want one", len(all))
	}
	for _, a := range all {
		return a
	}
	return nil
}

// What was seen under way is not begun again when it is gone: a person has
// stopped it.
func TestWorkThatAPersonStoppedIsNotBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k *work
		w, k := newWork(t, signalbox.ClassB, func(a signalbox.Action) signalbox.Progress {
			if k.there[a.ID] {
				return signalbox.Progress{Phase: signalbox.Running, Reason: "it runs"}
			}
			return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "it is not there"}
		})
		k.takes, k.lost = 10*time.Minute, true
		w.make(readsLag, "db/eu", 5)
		w.after(2 * time.Minute)
		expect(t, "stages while it runs", w.stages(), "started:1")
		k.mu.Lock()
		clear(k.there)
		k.mu.Unlock()
		w.after(20 * time.Minute)
		expect(t, "stages", w.stages(), "started:1")
		if n := k.requests(); n != 1 {
			t.Errorf("it was begun %d times", n)
		}
		if !strings.Contains(w.pager.last().body.Summary, "it is not there") {
			t.Errorf("the page must say that it is gone, got %q", w.pager.last().body.Summary)
		}
		w.halt()
	})
}

// What ran and ended badly keeps its spend and is not made again, though the look
// that finds its end knows nothing of its beginning: also after a kill.
func TestWorkThatEndedBadlyHasRun(t *testing.T) {
	for _, class := range []signalbox.Class{signalbox.ClassA, signalbox.ClassB, signalbox.ClassC} {
		for _, killed := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				ended := false
				w, k := newWork(t, class, func(signalbox.Action) signalbox.Progress {
					if ended {
						return signalbox.Progress{Phase: signalbox.Fell, Reason: "it failed"}
					}
					return signalbox.Progress{Phase: signalbox.Running, Reason: "it runs"}
				})
				k.takes = 10 * time.Minute
				w.make(readsLag, "db/eu", 5)
				w.after(time.Minute)
				if killed {
					w.die()
					w.start()
					w.after(20 * time.Second)
				}
				k.mu.Lock()
				ended = true
				k.mu.Unlock()
				w.after(5 * time.Minute)
				a := w.the()
				if k.requests() != 1 || !a.Ran() || len(w.state().Targets[theTarget].Acted) != 1 {
					t.Errorf("class %s, killed %t: begun %d times, %s with receipt %+v, acted %v", class, killed, k.requests(), a.Stage, a.Receipt, w.state().Targets[theTarget].Acted)
				}
				w.halt()
			})
		}
	}
}

// That a target took a request is known to each look that follows, also of the
// next process.
func TestAnswerIsKnownToWhoFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listed := false
		w, k := newWork(t, signalbox.ClassC, func(a signalbox.Action) signalbox.Progress {
			switch known := a.Receipt.Detail == "it was taken"; {
			case listed && known:
				return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{At: time.Now()}}
			case listed:
				return signalbox.Progress{Phase: signalbox.NotStarted}
			}
			return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "it is not listed yet"}
		})
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		expect(t, "stages", w.stages(), "doubt:1")
		w.die()
		w.start()
		k.mu.Lock()
		listed = true
		k.mu.Unlock()
		w.after(30 * time.Second)
		if n := k.requests(); n != 1 || w.stages() != "done:1" {
			t.Errorf("begun %d times, stages %s", n, w.stages())
		}
		w.halt()
	})
}

// A person's word and a request that is sent again exclude each other, whichever
// comes first.
func TestWordAndSendExcludeEachOther(t *testing.T) {
	for _, c := range []struct {
		name    string
		beyond  bool // the send has passed its gate when the person speaks
		refused string
		sends   bool
	}{
		{"before the gate", false, "", false},
		{"past the gate", true, "is being sent again", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := lab(t, signalbox.ClassB)
				at, wake := make(chan signalbox.ActionID, 1), make(chan struct{})
				var first signalbox.ActionID
				stop := func() {
					if first != "" && len(at) == 0 {
						at <- first
						<-wake
					}
				}
				p.with(func() {
					p.deaf = true
					if c.beyond {
						p.pastDoor = stop
					} else {
						p.atDoor = stop
					}
				})
				w.make(readsLag, "db/eu", 5)
				for first == "" {
					w.after(100 * time.Millisecond)
					p.with(func() {
						if len(p.sends) > 0 {
							first = p.sends[0].id
						}
					})
				}
				w.until(func() bool { return len(at) > 0 })
				sent := func() (n int) {
					p.with(func() {
						for _, s := range p.sends {
							if s.id == first {
								n++
							}
						}
					})
					return n
				}
				before := sent()
				switch err := w.says(signalbox.NotHappened); {
				case c.refused == "" && err != nil, c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
					t.Errorf("the word: got %v, want %q", err, c.refused)
				}
				close(wake)
				w.after(9 * time.Second)
				if after := sent(); after > before != c.sends {
					t.Errorf("it was sent %d times before the word, and %d after it", before, after-before)
				}
				w.halt()
			})
		})
	}
}

// A doubt is paged within its two minutes, however long the work would take; what
// is known to be under way has its time.
func TestDoubtOfLongWorkIsPagedInTime(t *testing.T) {
	for _, known := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w, k := newWork(t, signalbox.ClassC, func(signalbox.Action) signalbox.Progress {
				if known {
					return signalbox.Progress{Phase: signalbox.Running, Reason: "it runs"}
				}
				return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "it can't be seen"}
			})
			k.takes, k.lost = 30*time.Minute, true
			w.make(readsLag, "db/eu", 5)
			w.after(150 * time.Second)
			if paged := strings.Contains(w.pager.last().body.Summary, "is in doubt since"); paged == known {
				t.Errorf("known to run: %t, paged: %t", known, paged)
			}
			w.after(30 * time.Minute)
			if !strings.Contains(w.pager.last().body.Summary, "is in doubt since") {
				t.Errorf("known to run: %t, never paged", known)
			}
			w.halt()
		})
	}
}

// An action that was sealed writes on with the seal's token, also in the next
// process: its target has seen it.
func TestSealedWorkGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runs(on("one", signalbox.Flow{})))
		s := newStairs(w)
		s.lost = true
		s.points.with(func() { s.points.deaf = true })
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.until(func() bool { return len(w.state().Actions) > 0 && s.climbed(w.the().ID) == 1 })
		w.after(time.Second)
		w.die()
		w.start()
		w.after(90 * time.Second)
		a := w.state().Actions
		if got := s.climbed(slices.Collect(keys(a))[0]); got != flight {
			t.Errorf("it wrote %d times, want %d; %s", got, flight, w.stages())
		}
		w.halt()
	})
}

func keys(m map[signalbox.ActionID]*signalbox.Action) func(yield func(signalbox.ActionID) bool) {
	return func(yield func(signalbox.ActionID) bool) {
		for id, a := range m {
			if a.Undoes == "" && !yield(id) {
				return
			}
		}
	}
}

// A process that was never told that its claim was committed has not sent it, and
// says so while another leads.
func TestUntoldClaimIsClearedByItsProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		p := newPoints(w, signalbox.ClassC)
		w.process = one
		var cut atomic.Bool
		w.commit = func(ctx context.Context, txn store.Txn) (store.Revision, error) {
			rev, err := w.store.Commit(ctx, txn)
			claims := slices.ContainsFunc(txn.Puts, func(p store.Put) bool { return strings.HasPrefix(p.Key, signalbox.ActionPrefix) })
			if err != nil || !claims || cut.Swap(true) {
				return rev, err
			}
			w.mu.Lock()
			w.line.follows.Store(true)
			w.mu.Unlock()
			w.store.Expire("engine")
			return 0, store.ErrUnavailable
		}
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.until(cut.Load)
		w.commit, w.process = nil, two
		w.start()
		w.after(3 * time.Minute)
		expect(t, "requests", p.requests(), "b a")
		if !strings.Contains(w.stages(), "failed:1") {
			t.Errorf("stages: %s", w.stages())
		}
		w.audit(p)
	})
}
