package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
)

func mustLead(t testing.TB, s store.Store, role string) store.Leadership {
	t.Helper()
	l, err := s.Lead(within(t), role)
	if err != nil {
		t.Fatalf("Lead(%q) = %v", role, err)
	}
	t.Cleanup(func() { _ = l.Resign(context.WithoutCancel(t.Context())) })
	return l
}

// contend leads role in a goroutine.
func contend(t testing.TB, s store.Store, role string) <-chan store.Leadership {
	t.Helper()
	won := make(chan store.Leadership, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if l, err := s.Lead(ctx, role); err == nil {
			won <- l
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		select {
		case l := <-won:
			_ = l.Resign(context.WithoutCancel(t.Context()))
		default:
		}
	})
	return won
}

func wantLed(t testing.TB, won <-chan store.Leadership) store.Leadership {
	t.Helper()
	select {
	case l := <-won:
		t.Cleanup(func() { _ = l.Resign(context.WithoutCancel(t.Context())) })
		return l
	case <-within(t).Done():
		t.Fatal("nobody leads")
	}
	return nil
}

func lost(t testing.TB, l store.Leadership) {
	t.Helper()
	select {
	case <-l.Context().Done():
	case <-within(t).Done():
		t.Fatal("the leadership was not lost")
	}
	if d := l.Deadline(); d.After(time.Now()) {
		t.Fatalf("the deadline of a lost leadership is %v ahead", time.Until(d))
	}
}

func fenced(l store.Leadership, key string) store.Txn {
	txn := put(key, "")
	txn.Ifs = []store.Cond{l.Fence()}
	return txn
}

// overlap is how long a leader stays, so that one too many would be seen.
const overlap = 100 * time.Millisecond

func testLeadOne(t *testing.T, s store.Store) {
	first := mustLead(t, s, "engine")
	if first.Context().Err() != nil || !first.Deadline().After(time.Now()) {
		t.Fatalf("a new leadership is over: %v, deadline %v", first.Context().Err(), first.Deadline())
	}
	second := contend(t, s, "engine")
	mustCommit(t, s, fenced(first, "k"))
	select {
	case <-second:
		t.Fatal("two lead at once")
	case <-time.After(overlap):
	}
	mustCommit(t, s, fenced(first, "k"))
	if first.Context().Err() != nil {
		t.Fatal("a contender ended the leadership")
	}
	if err := first.Resign(within(t)); err != nil {
		t.Fatal(err)
	}
	next := wantLed(t, second)
	if next.Fence() == first.Fence() || next.Fence().Rev <= first.Fence().Rev {
		t.Fatalf("fences of two leaders: %+v, %+v, want the second above", first.Fence(), next.Fence())
	}
}

func testLeadRoles(t *testing.T, s store.Store) {
	a, b := mustLead(t, s, "a"), mustLead(t, s, "b")
	mustCommit(t, s, store.Txn{Ifs: []store.Cond{a.Fence(), b.Fence()}, Puts: []store.Put{{Key: "k"}}})
	_, err := s.Lead(within(t), "")
	wantErr(t, "Lead without a role", err, store.ErrInvalid)
}

func testLeadResign(t *testing.T, s store.Store) {
	l := mustLead(t, s, "engine")
	for range 5 {
		if err := l.Resign(within(t)); err != nil {
			t.Fatalf("Resign() = %v", err)
		}
		lost(t, l)
		if err := l.Resign(within(t)); err != nil {
			t.Fatalf("second Resign() = %v", err)
		}
		if _, ok := mustGet(t, s, l.Fence().Key); ok {
			t.Fatal("the key of a leader that resigned is still there, so a successor would wait")
		}
		l = mustLead(t, s, "engine")
	}
}

func testLeadFence(t *testing.T, s store.Store) {
	l := mustLead(t, s, "engine")
	mustCommit(t, s, fenced(l, "before"))
	if err := l.Resign(within(t)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Commit(within(t), fenced(l, "after"))
	wantErr(t, "Commit with the fence of a lost leadership", err, store.ErrConflict)
	next := mustLead(t, s, "engine")
	_, err = s.Commit(within(t), fenced(l, "after"))
	wantErr(t, "Commit with the fence of a predecessor", err, store.ErrConflict)
	mustCommit(t, s, fenced(next, "next"))
	if _, ok := mustGet(t, s, "after"); ok {
		t.Fatal("a fenced-off leader wrote")
	}
}

func testLeadContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(within(t))
	l, err := s.Lead(ctx, "engine")
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 1)
	go func() {
		_, err := s.Lead(ctx, "engine")
		errs <- err
	}()
	cancel()
	select {
	case err := <-errs:
		wantErr(t, "Lead", err, store.ErrUnavailable, context.Canceled)
	case <-within(t).Done():
		t.Fatal("a wait went on after its context")
	}
	if l.Context().Err() != nil {
		t.Fatal("the context of the wait ended the leadership")
	}
	mustCommit(t, s, fenced(l, "k"))
	if err := l.Resign(within(t)); err != nil {
		t.Fatal(err)
	}
}

func testLeadDeadline(t *testing.T, s store.Store) {
	l := mustLead(t, s, "engine")
	first := l.Deadline()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(t); l.Deadline().Sub(first) < 100*time.Millisecond; {
		select {
		case <-tick.C:
		case <-l.Context().Done():
			t.Fatal("the leadership was lost with the store up")
		case <-ctx.Done():
			t.Fatal("the deadline did not move")
		}
	}
	mustCommit(t, s, fenced(l, "k"))
}

func testLeadExpired(t *testing.T, s store.Store) {
	x, ok := s.(Expirer)
	if !ok {
		t.Skip("leases can't be ended from here")
	}
	l := mustLead(t, s, "engine")
	second := contend(t, s, "engine")
	x.Expire("engine")
	lost(t, l)
	next := wantLed(t, second)
	_, err := s.Commit(within(t), fenced(l, "after"))
	wantErr(t, "Commit with the fence of an expired lease", err, store.ErrConflict)
	if err := l.Resign(within(t)); err != nil {
		t.Fatalf("Resign of a lost leadership = %v", err)
	}
	mustCommit(t, s, fenced(next, "next"))
	if next.Context().Err() != nil {
		t.Fatal("the late Resign of a predecessor ended the successor's leadership")
	}
}

func testLeadMany(t *testing.T, s store.Store) {
	var leading, terms atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			l, err := s.Lead(within(t), "engine")
			if err != nil {
				t.Errorf("Lead = %v", err)
				return
			}
			if n := leading.Add(1); n != 1 {
				t.Errorf("%d lead at once", n)
			}
			n, _ := increment(t, s, "terms")
			<-time.After(overlap / 10)
			terms.Store(int32(n))
			leading.Add(-1)
			if err := l.Resign(within(t)); err != nil && !errors.Is(err, store.ErrConflict) {
				t.Errorf("Resign = %v", err)
			}
		})
	}
	group.Wait()
	if terms.Load() != 8 {
		t.Fatalf("%d of 8 contenders led", terms.Load())
	}
}
