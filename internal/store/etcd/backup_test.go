package etcd_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/sealed"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// snapshot writes a snapshot to a file, as signalboxctl does.
func snapshot(t *testing.T, s *etcd.Embedded) string {
	t.Helper()
	r, err := s.Snapshot(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A snapshot comes back whole, in the place of newer data that are kept aside,
// and no revision is given out twice.
func TestBackupAndRestore(t *testing.T) {
	dir := testDir(t)
	e := startUp(t, etcd.EmbeddedOptions{Dir: dir})
	mustPut(t, e, "kept", "old")
	file := snapshot(t, e)
	mustPut(t, e, "kept", "new")
	mustPut(t, e, "later", "lost")
	kv, _, err := e.Get(within(t), "later")
	if err != nil {
		t.Fatal(err)
	}
	o := etcd.RestoreOptions{Dir: dir, File: file, Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if _, err := etcd.Restore(o); !errors.Is(err, etcd.ErrLocked) || !strings.Contains(err.Error(), "stop its daemon") {
		t.Fatalf("Restore() beside a daemon = %v, want ErrLocked", err)
	}
	mustPut(t, e, "still", "serves")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := etcd.Restore(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(r.Aside, "member")); err != nil || !strings.HasSuffix(r.Aside, "before-restore-20260301T120000.000Z") {
		t.Errorf("what was there is not kept: %+v, %v", r, err)
	}
	if sum, n, err := sealed.File(file); err != nil || sum != r.SHA256 || n != r.Bytes || r.Revision == 0 || r.Keys == 0 {
		t.Errorf("restored %+v of a file of %d bytes with %s, %v", r, n, sum, err)
	}
	e = startUp(t, etcd.EmbeddedOptions{Dir: dir})
	wantValue(t, e, "kept", "old")
	if _, ok, err := e.Get(within(t), "later"); ok || err != nil {
		t.Errorf("what came after the copy is there: %v, %v", ok, err)
	}
	rev, err := e.Commit(within(t), put("next", "v"))
	if err != nil || rev <= kv.Create+1000 {
		t.Errorf("the next revision is %d, %v, want one far above %d", rev, err, kv.Create)
	}
	batches, err := e.Watch(within(t), "", 1)
	if err == nil {
		err = (<-batches).Err
	}
	if !errors.Is(err, store.ErrCompacted) {
		t.Errorf("a watch from before the copy = %v, want ErrCompacted", err)
	}
	for _, tail := range []string{"restoring"} {
		if left, _ := filepath.Glob(filepath.Join(dir, "*."+tail)); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
}

// Into a directory that has no store yet: another host.
func TestRestoreElsewhere(t *testing.T) {
	e := startUp(t, etcd.EmbeddedOptions{})
	mustPut(t, e, "k", "v")
	file, dir := snapshot(t, e), testDir(t)
	if r, err := etcd.Restore(etcd.RestoreOptions{Dir: dir, File: file, Now: time.Now()}); err != nil || r.Aside != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	wantValue(t, startUp(t, etcd.EmbeddedOptions{Dir: dir}), "k", "v")
}

// One member of several is not taken back by itself: it would have forgotten what
// it voted for.
func TestRestoreRefusesAMemberOfSeveral(t *testing.T) {
	e, dir := startUp(t, etcd.EmbeddedOptions{}), testDir(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cluster.json"), []byte(`{"cluster":"signalbox","member":"a"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Restore(etcd.RestoreOptions{Dir: dir, File: snapshot(t, e), Now: time.Now()}); err == nil || !strings.Contains(err.Error(), "is of member a of the cluster signalbox: while a majority is left") {
		t.Errorf("Restore() = %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "etcd")); err == nil {
		t.Error("and made data")
	}
}

// Whatever is wrong with the file, nothing is touched.
func TestRestoreRefuses(t *testing.T) {
	dir := testDir(t)
	e := startUp(t, etcd.EmbeddedOptions{Dir: dir})
	mustPut(t, e, "k", "v")
	whole, err := os.ReadFile(snapshot(t, e))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":          {nil, "0 bytes are no snapshot"},
		"cut short":      {whole[:len(whole)-1], "cut short"},
		"cut at a page":  {whole[:len(whole)-4096], "was changed"},
		"without a hash": {whole[:len(whole)-32], "no snapshot with its hash"},
		"changed":        {flipped, "was changed"},
		"longer":         {append(bytes.Clone(whole), make([]byte, 512)...), "was changed"},
	} {
		file := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(file, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := etcd.Restore(etcd.RestoreOptions{Dir: dir, File: file, Now: time.Now()}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Restore() = %+v, %v, want an error with %q", name, r, err, c.want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "etcd.*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	wantValue(t, startUp(t, etcd.EmbeddedOptions{Dir: dir}), "k", "v")
}

func TestHealthOfOne(t *testing.T) {
	e := startUp(t, etcd.EmbeddedOptions{Quota: 8 << 20})
	mustPut(t, e, "k", "v")
	c, err := e.Health(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Members) != 1 || !c.Members[0].Leader || c.Members[0].Quota != 8<<20 || c.Members[0].DBSize == 0 || c.Members[0].Error != "" || c.Revision < 2 {
		t.Errorf("got %+v", c)
	}
}
