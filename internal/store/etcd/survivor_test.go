package etcd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// copyOf writes what a stopped member has to a file, as signalboxctl does.
func copyOf(t *testing.T, n *node) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "copy")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(etcd.CopyStopped(within(t), n.o.Dir, t.TempDir(), f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

func (c *trio) restore(n *node, file string) store.Restored {
	c.t.Helper()
	r, err := etcd.Restore(etcd.RestoreOptions{Dir: n.o.Dir, File: file, Now: time.Now(), Cluster: n.o.Cluster})
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// One member is left of three. What it has, also what is in its log alone, is
// copied while it stands still; all are restored from that, and serve as another
// cluster: who comes back with the old data is no peer of theirs.
func TestQuorumIsRestoredFromTheSurvivor(t *testing.T) {
	c := startTrio(t)
	left, gone := c.leader()
	mustPut(t, left, "before", "kept")
	var thaws []func()
	for _, n := range gone {
		thaws = append(thaws, freeze(t, n))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := left.Commit(ctx, put("tail", "in the log alone")); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Commit without a quorum = %v, want ErrUnavailable", err)
	}
	if err := etcd.CopyStopped(within(t), left.o.Dir, t.TempDir(), &bytes.Buffer{}); !errors.Is(err, etcd.ErrLocked) || !strings.Contains(err.Error(), "stop its daemon") {
		t.Errorf("CopyStopped() beside a daemon = %v", err)
	}
	kill(t, left.Status().PID)
	c.end(left)
	for i, n := range gone {
		thaws[i]()
		c.end(n)
	}
	old, back := gone[0], gone[1]
	wipe(t, back)
	before := files(t, left.o.Dir)
	file := copyOf(t, left)
	if after := files(t, left.o.Dir); after != before {
		t.Errorf("the member was changed:\n%s\nbefore:\n%s", after, before)
	}
	first, second := c.restore(left, file), c.restore(back, file)
	if first.Cluster == "" || first.Cluster != second.Cluster || first.Aside == "" || second.Aside != "" {
		t.Errorf("restored %+v and %+v, want members of one cluster", first, second)
	}
	c.begin(old) // with what it had
	c.begin(left)
	c.begin(back)
	c.await(left)
	c.await(back)
	wantValue(t, left, "before", "kept")
	wantValue(t, back, "tail", "in the log alone")
	mustPut(t, left, "after", "restored")
	eventually(t, "the old member is told that it is of another cluster", func() bool {
		return old.log.has("cluster ID mismatch") || left.log.has("cluster ID mismatch")
	})
	if old.Up() {
		t.Error("a member with the old data serves")
	}
	c.end(old)
	wipe(t, old)
	c.begin(old) // without any
	eventually(t, "it is told what to do", func() bool { return strings.Contains(old.Status().LastExit, "it was restored from a copy") })
	c.end(old)
	c.restore(old, file)
	c.begin(old)
	c.await(old)
	wantValue(t, old, "after", "restored")
}

// files names all files beneath a directory, with their hashes.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all.WriteString(path + " ")
		all.Write(hashed(text))
		all.WriteString("\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestRestoreOfAMemberRefuses(t *testing.T) {
	c := newTrio(t)
	n := c.nodes[0]
	e := startUp(t, etcd.EmbeddedOptions{})
	mustPut(t, e, "k", "v")
	file := snapshot(t, e)
	one := c.restore(n, file)
	mustPut(t, e, "k", "another")
	if other := c.restore(n, snapshot(t, e)); other.Cluster == one.Cluster || other.Aside == "" {
		t.Errorf("restored from another file: %+v, want another cluster than %s", other, one.Cluster)
	}
	strange, nobody := *n.o.Cluster, *n.o.Cluster
	strange.Member, nobody.Member = "b", "d"
	for name, tt := range map[string]struct {
		cluster *etcd.Cluster
		want    string
	}{
		"alone":          {nil, "is of member a of the cluster test: while a majority is left"},
		"another member": {&strange, "--cluster.member-name must be that"},
		"no member":      {&nobody, "must be one of --cluster.initial-members (a, b, c)"},
	} {
		if _, err := etcd.Restore(etcd.RestoreOptions{Dir: n.o.Dir, File: file, Now: time.Now(), Cluster: tt.cluster}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Restore() = %v, want %q", name, err, tt.want)
		}
	}
	no := errors.New("no marks")
	dir := testDir(t)
	if _, err := etcd.Restore(etcd.RestoreOptions{Dir: dir, File: file, Now: time.Now(), Before: func() error { return no }}); !errors.Is(err, no) {
		t.Errorf("Restore() = %v, want why Before failed", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "etcd*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if err := etcd.CopyStopped(within(t), dir, t.TempDir(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "holds no data of a member") {
		t.Errorf("CopyStopped() of nothing = %v", err)
	}
}

func hashed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return fmt.Appendf(nil, "%x", sum)
}
