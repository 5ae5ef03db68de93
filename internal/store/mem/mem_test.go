package mem_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
	"github.com/signalbox/signalbox/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s := mem.New()
		s.TTL = time.Second
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}

var errFire = errors.New("the disk is on fire")

func put(key string) store.Txn {
	return store.Txn{Puts: []store.Put{{Key: key, Value: []byte("v")}}}
}

func TestBreakAndMend(t *testing.T) {
	s := mem.New()
	ctx := t.Context()
	batches, err := s.Watch(ctx, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	s.Break(errFire)
	_, _, getErr := s.Get(ctx, "k")
	_, _, listErr := s.List(ctx, "k")
	_, commitErr := s.Commit(ctx, put("k"))
	_, watchErr := s.Watch(ctx, "", 1)
	last := <-batches
	for what, err := range map[string]error{"Get": getErr, "List": listErr, "Commit": commitErr, "Watch": watchErr, "a running watch": last.Err} {
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errFire) {
			t.Errorf("%s of a broken store = %v", what, err)
		}
	}
	if _, open := <-batches; open {
		t.Error("a watch went on after its error")
	}
	s.Mend()
	if _, ok, err := s.Get(ctx, "k"); ok || err != nil {
		t.Errorf("Get after Mend = %t, %v, want nothing written", ok, err)
	}
	if _, err := s.Commit(ctx, put("k")); err != nil {
		t.Errorf("Commit after Mend = %v", err)
	}
}

func TestCommitHooks(t *testing.T) {
	s := mem.New()
	ctx := t.Context()
	s.BeforeCommit(func(txn store.Txn) error {
		if txn.Puts[0].Key == "stopped" {
			return errFire
		}
		return nil
	})
	s.AfterCommit(func(txn store.Txn, rev store.Revision) error {
		if txn.Puts[0].Key == "lost" {
			return fmt.Errorf("answer of %d: %w", rev, errFire)
		}
		return nil
	})
	for key, want := range map[string]struct{ failed, written bool }{
		"stopped": {true, false}, "lost": {true, true}, "done": {false, true},
	} {
		_, err := s.Commit(ctx, put(key))
		_, written, _ := s.Get(ctx, key)
		if errors.Is(err, errFire) != want.failed || written != want.written {
			t.Errorf("%s: Commit = %v, written %t", key, err, written)
		}
	}
	s.BeforeCommit(nil)
	if _, err := s.Commit(ctx, put("stopped")); err != nil {
		t.Errorf("Commit without its hook = %v", err)
	}
}

// A bubble fails when a goroutine of it outlives the test, so this also shows
// that leases leave none behind, resigned or not.
func TestLeaseInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		l, err := s.Lead(t.Context(), "engine")
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		if left := time.Until(l.Deadline()); l.Context().Err() != nil || left <= 0 || left > 5*time.Second*2/3 {
			t.Fatalf("after an hour: %v, %v left", l.Context().Err(), left)
		}
	})
}

func TestLeaseOfABrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		l, err := s.Lead(t.Context(), "engine")
		if err != nil {
			t.Fatal(err)
		}
		s.Break(errFire)
		deadline := l.Deadline()
		<-l.Context().Done()
		if now := time.Now(); !now.Equal(deadline) || !l.Deadline().Equal(deadline) {
			t.Errorf("lost at %v with the deadline %v, then %v", now, deadline, l.Deadline())
		}
		s.Mend()
		if _, ok, _ := s.Get(t.Context(), l.Fence().Key); !ok {
			t.Error("the holder gave up no earlier than the lease ran out")
		}
		began := time.Now()
		next, err := s.Lead(t.Context(), "engine")
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited != lastThird(5*time.Second) {
			t.Errorf("a successor waited %v, want the last third of the TTL", waited)
		}
		if _, err := s.Commit(t.Context(), store.Txn{Ifs: []store.Cond{l.Fence()}}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Commit with the old fence = %v", err)
		}
		if err := next.Resign(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// lastThird is what is left of a TTL when its holder gives up.
func lastThird(ttl time.Duration) time.Duration { return ttl - ttl*2/3 }

func TestMendInTimeKeepsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		l, err := s.Lead(t.Context(), "engine")
		if err != nil {
			t.Fatal(err)
		}
		s.Break(errFire)
		<-time.After(2 * time.Second)
		s.Mend()
		<-time.After(time.Minute)
		if _, err := s.Commit(t.Context(), store.Txn{Ifs: []store.Cond{l.Fence()}}); err != nil || l.Context().Err() != nil {
			t.Errorf("after a short break: %v, %v", err, l.Context().Err())
		}
	})
}

func TestResignWhileBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		l, err := s.Lead(t.Context(), "engine")
		if err != nil {
			t.Fatal(err)
		}
		s.Break(errFire)
		if err := l.Resign(t.Context()); !errors.Is(err, store.ErrUnavailable) || l.Context().Err() == nil {
			t.Fatalf("Resign = %v, context %v", err, l.Context().Err())
		}
		s.Mend()
		began := time.Now()
		if _, err := s.Lead(t.Context(), "engine"); err != nil || time.Since(began) != 5*time.Second {
			t.Errorf("a successor came after %v: %v, want when the lease ran out", time.Since(began), err)
		}
	})
}

func TestWaitOutlastsABreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		s.Break(errFire)
		time.AfterFunc(time.Minute, s.Mend)
		if _, err := s.Lead(t.Context(), "engine"); err != nil {
			t.Errorf("Lead = %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Lead(ctx, "engine"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Lead of a taken role = %v", err)
		}
	})
}

// Keepalives are reckoned, not made: a break finds the lease as the last one
// left it.
func TestLeaseBrokenBetweenKeepalives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		s.TTL = 6 * time.Second // a keepalive each second
		l, err := s.Lead(t.Context(), "engine")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for _, broken := range []time.Duration{time.Hour + 300*time.Millisecond, 2*time.Hour + 900*time.Millisecond} {
			<-time.After(time.Until(began.Add(broken)))
			s.Break(errFire)
			if got, want := l.Deadline(), began.Add(broken.Truncate(time.Second)+4*time.Second); !got.Equal(want) {
				t.Errorf("broken after %v: the deadline is %v after the begin, want %v", broken, got.Sub(began), want.Sub(began))
			}
			<-time.After(2 * time.Second)
			s.Mend()
		}
		s.Break(errFire)
		deadline := l.Deadline()
		<-l.Context().Done()
		if now := time.Now(); !now.Equal(deadline) {
			t.Errorf("lost at %v with the deadline %v", now, deadline)
		}
	})
}

// A watch that has seen all there is is not behind a compaction, though nothing
// of its prefix was written; one from before is.
func TestWatchOutlivesACompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		batches, err := s.Watch(ctx, "a/", 1)
		if err != nil {
			t.Fatal(err)
		}
		rev := store.Revision(1)
		for range 3 {
			if rev, err = s.Commit(ctx, put("b/k")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := s.Compact(ctx, rev); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(ctx, put("a/k")); err != nil {
			t.Fatal(err)
		}
		if b := <-batches; b.Err != nil || len(b.Events) != 1 || b.Events[0].Key != "a/k" {
			t.Errorf("after the compaction: %+v", b)
		}
		old, err := s.Watch(ctx, "a/", 1)
		if err != nil {
			t.Fatal(err)
		}
		if b := <-old; !errors.Is(b.Err, store.ErrCompacted) {
			t.Errorf("a watch from before it: %+v", b)
		}
	})
}
