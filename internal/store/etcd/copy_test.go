package etcd_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

func (n *node) endpoint() string { return "unix://" + filepath.Join(n.o.Dir, "member.sock") }

// dialed is a Store over the members of a trio, as over an external etcd.
func (c *trio) dialed(of ...*node) *etcd.Store {
	c.t.Helper()
	o := etcd.Options{Timeout: time.Second}
	for _, n := range of {
		o.Endpoints = append(o.Endpoints, n.endpoint())
	}
	return mustDial(c.t, o)
}

// copied writes a copy to a file, and returns what a restore says of it.
func copied(t *testing.T, s *etcd.Store) (known int64, restored store.Restored, dir string) {
	t.Helper()
	r, err := s.Snapshot(within(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	dir = testDir(t)
	if restored, err = etcd.Restore(etcd.RestoreOptions{Dir: dir, File: file, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return r.Revision, restored, dir
}

// A member that lags behind is not copied while it can't know what is newest,
// though it would stream what it has; once it can, the copy has all.
func TestStaleMemberIsNotCopied(t *testing.T) {
	c := startTrio(t)
	_, others := c.leader()
	stale, rest := others[0], []*node{}
	for _, n := range c.nodes {
		if n != stale {
			rest = append(rest, n)
		}
	}
	mustPut(t, rest[0], "k", "old")
	s, lone := c.dialed(stale, rest[0], rest[1]), c.dialed(stale)
	wantValue(t, lone, "k", "old")
	thaw := freeze(t, stale)
	mustPut(t, rest[0], "k", "new")
	newest := storeRevision(t, rest[0].Store)
	// It does not answer: the next is copied.
	known, restored, dir := copied(t, s)
	if known != newest || restored.Revision != newest {
		t.Errorf("the copy says %d and has %d, want %d", known, restored.Revision, newest)
	}
	wantValue(t, startUp(t, etcd.EmbeddedOptions{Dir: dir}), "k", "new")
	first, second := freeze(t, rest[0]), freeze(t, rest[1])
	thaw()
	for name, s := range map[string]*etcd.Store{"alone": lone, "among others that stand still": s} {
		if r, err := s.Snapshot(within(t)); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), stale.endpoint()) {
			t.Errorf("%s: Snapshot() = %+v, %v, want ErrUnavailable", name, r, err)
		}
	}
	if _, err := stale.Snapshot(within(t)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Snapshot() of an embedded member without a leader = %v, want ErrUnavailable", err)
	}
	first()
	second()
	eventually(t, "it can be asked again", func() bool { _, ok, err := lone.Get(t.Context(), "k"); return ok && err == nil })
	if known, restored, _ := copied(t, lone); known < newest || restored.Revision < known {
		t.Errorf("the copy says %d and has %d, want %d and more", known, restored.Revision, newest)
	}
}

func storeRevision(t *testing.T, s *etcd.Store) int64 {
	t.Helper()
	_, rev, err := s.List(within(t), "")
	if err != nil {
		t.Fatal(err)
	}
	return int64(rev)
}

// One member is asked for both, the revision and the copy; where it does not
// answer, the next.
func TestCopyIsOfOneMember(t *testing.T) {
	dirs, endpoints := []string{testDir(t), testDir(t)}, []string{}
	for i, dir := range dirs { // two stores that have nothing in common
		e := startUp(t, etcd.EmbeddedOptions{Dir: dir})
		for j := range 5 * (i + 1) {
			mustPut(t, e, fmt.Sprint("of/", i), fmt.Sprint(j))
		}
		endpoints = append(endpoints, "unix://"+filepath.Join(dir, "member.sock"))
	}
	s := mustDial(t, etcd.Options{Endpoints: endpoints})
	for range 6 { // the client's own calls go round
		if known, restored, _ := copied(t, s); known != restored.Revision {
			t.Errorf("the copy says %d and has %d", known, restored.Revision)
		}
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and answers none
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	gone := "unix://" + filepath.Join(testDir(t), "member.sock")
	s = mustDial(t, etcd.Options{Endpoints: []string{gone, "http://" + silent.Addr().String(), endpoints[1]}, Timeout: 300 * time.Millisecond})
	if known, restored, _ := copied(t, s); known != restored.Revision {
		t.Errorf("the copy says %d and has %d", known, restored.Revision)
	}
}
