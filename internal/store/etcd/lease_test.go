package etcd_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

func mustLead(t testing.TB, s store.Store) store.Leadership {
	t.Helper()
	l, err := s.Lead(within(t), "engine")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wantLost(t testing.TB, l store.Leadership, cause error) {
	t.Helper()
	select {
	case <-l.Context().Done():
	case <-within(t).Done():
		t.Fatal("the leadership was not lost")
	}
	if got := context.Cause(l.Context()); !errors.Is(got, cause) {
		t.Errorf("lost because of %v, want %v", got, cause)
	}
	if left := time.Until(l.Deadline()); left >= 0 {
		t.Errorf("%v are left of a lost leadership", left)
	}
}

func fenced(l store.Leadership) store.Txn {
	return store.Txn{Ifs: []store.Cond{l.Fence()}, Puts: []store.Put{{Key: "fenced"}}}
}

// The member is stopped, so no keepalive is answered: the holder gives up
// before the store does, and a late answer does not bring the leadership back.
func TestLeaseUnanswered(t *testing.T) {
	e := startUp(t, etcd.EmbeddedOptions{TTL: 2 * time.Second})
	l := mustLead(t, e)
	pid := e.Status().PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	wantLost(t, l, etcd.ErrDeadline)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	next := mustLead(t, e)
	etcd.LateAnswer(l)
	wantLost(t, l, etcd.ErrDeadline)
	if _, err := e.Commit(within(t), fenced(l)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Commit with the fence of a lost lease = %v", err)
	}
	if _, err := e.Commit(within(t), fenced(next)); err != nil {
		t.Error(err)
	}
}

func TestLeaseRevokedOrDeposed(t *testing.T) {
	e := startUp(t, etcd.EmbeddedOptions{TTL: 2 * time.Second})
	l := mustLead(t, e)
	etcd.RevokeLeader(t, e.Store, "engine")
	wantLost(t, l, etcd.ErrRevoked)
	l = mustLead(t, e)
	etcd.DeleteLeader(t, e.Store, "engine")
	wantLost(t, l, etcd.ErrDeposed)
	mustLead(t, e)
}

// A member that is back before the deadline does not cost the leadership.
func TestLeaseOutlivesTheMember(t *testing.T) {
	e := startUp(t, etcd.EmbeddedOptions{TTL: leaseTTL})
	l := mustLead(t, e)
	kill(t, e.Status().PID)
	eventually(t, "a second member", func() bool { return e.Status().Starts == 2 })
	if _, err := e.Commit(within(t), fenced(l)); err != nil || l.Context().Err() != nil {
		t.Errorf("after a restart of the member: %v, %v", err, context.Cause(l.Context()))
	}
	if err := l.Resign(within(t)); err != nil {
		t.Error(err)
	}
}

// While the machine is suspended only the boot-time clock goes on.
func TestLeaseWhileSuspended(t *testing.T) {
	e := startUp(t, etcd.EmbeddedOptions{TTL: 2 * time.Second})
	var suspended atomic.Int64
	e.SetClock(func() time.Duration { return etcd.BootTime() + time.Duration(suspended.Load()) })
	l := mustLead(t, e)
	if left := time.Until(l.Deadline()); left <= 0 || left > 4*time.Second/3 {
		t.Fatalf("%v are left of a new lease, want at most two thirds of its 2 s", left)
	}
	suspended.Store(int64(time.Hour))
	if left := time.Until(l.Deadline()); left > -59*time.Minute {
		t.Errorf("after an hour in suspend %v are left", left)
	}
	wantLost(t, l, etcd.ErrDeadline)
}

// Two processes, each with a client of its own.
func TestTwoClients(t *testing.T) {
	dir := testDir(t)
	e := startUp(t, etcd.EmbeddedOptions{Dir: dir, TTL: leaseTTL})
	other, err := etcd.Dial(etcd.Options{Endpoints: []string{"unix://" + filepath.Join(dir, "member.sock")}, TTL: leaseTTL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	first := mustLead(t, e)
	won := make(chan store.Leadership, 1)
	go func() {
		if l, err := other.Lead(within(t), "engine"); err == nil {
			won <- l
		}
	}()
	mustPut(t, other, "k", "v")
	wantValue(t, e, "k", "v")
	if err := first.Resign(within(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case second := <-won:
		if _, err := other.Commit(within(t), fenced(second)); err != nil {
			t.Error(err)
		}
	case <-within(t).Done():
		t.Fatal("nobody leads")
	}
}
