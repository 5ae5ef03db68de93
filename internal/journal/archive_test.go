package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
)

// files returns the archive's files of one kind, in order.
func files(t fataler, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatalf("%v", err)
	}
	slices.Sort(names)
	return names
}

func TestArchive(t *testing.T) {
	ctx := context.Background()
	s, dir := newStore(t), t.TempDir()
	j := open(t, s, dir)
	fill(t, j, 1, 250)
	before := all(t, j.Read(ctx, 0, 0))
	for _, keep := range []int{300, 250, 200, 199, 130, 2, 0} {
		if err := j.Archive(ctx, keep); err != nil {
			t.Fatal(err)
		}
		if got := inStore(t, s); got != min(keep, 250) {
			t.Fatalf("%d entries in the store, want %d", got, keep)
		}
		whole(t, j, 250)
	}
	for i, e := range all(t, j.Read(ctx, 0, 0)) {
		if e.Hash() != before[i].Hash() {
			t.Fatalf("entry %d is not what it was", e.Seq)
		}
	}
	journals, checkpoints := files(t, dir, "journal-*"), files(t, dir, "checkpoint-*")
	if len(journals) < 10 || len(checkpoints) != len(journals)-1 {
		t.Errorf("%d files and %d checkpoints, want a checkpoint before each file but the first", len(journals), len(checkpoints))
	}
	if r := verify(t, j); r.Checkpoints != len(checkpoints) || r.Records != 250 {
		t.Errorf("verified %+v", r)
	}
	fill(t, open(t, s, dir), 251, 260) // the next process
	if err := open(t, s, dir).Archive(ctx, 5); err != nil {
		t.Fatal(err)
	}
	whole(t, j, 260)
}

func TestArchiveLongLines(t *testing.T) {
	s, dir := newStore(t), t.TempDir()
	j := open(t, s, dir)
	for n := range 6 {
		i := incident(n)
		i.Reading.Summary = strings.Repeat("x", n*65_536-n*100)
		write(t, j, journal.Record{Kind: journal.IncidentOpened, Incident: i.ID, Put: []journal.Change{journal.PutIncident(i)}})
	}
	if err := j.Archive(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	whole(t, open(t, s, dir), 6)
}

// A crash can leave more behind the last whole line than what comes next
// covers.
func TestArchiveTornByMoreThanComes(t *testing.T) {
	ctx := context.Background()
	s, dir := newStore(t), t.TempDir()
	fill(t, open(t, s, ""), 1, 3)
	if err := open(t, s, dir).Archive(ctx, 2); err != nil {
		t.Fatal(err)
	}
	fs := files(t, dir, "journal-*")
	b, err := os.ReadFile(fs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fs[0], append(b, strings.Repeat("torn ", 2000)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, s, dir).Archive(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(fs[0]); err != nil || strings.Contains(string(b), "torn") {
		t.Errorf("the torn line is still there: %v", err)
	}
	whole(t, open(t, s, dir), 3)
}

// When old files were moved away, the oldest checkpoint that is left is the
// base.
func TestArchiveWithoutItsBeginning(t *testing.T) {
	ctx := context.Background()
	s, dir := newStore(t), t.TempDir()
	j := open(t, s, dir)
	fill(t, j, 1, 100)
	if err := j.Archive(ctx, 7); err != nil {
		t.Fatal(err)
	}
	for _, f := range files(t, dir, "journal-*")[:3] {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	r := verify(t, j)
	if r.Base == 0 || r.First != r.Base+1 || r.Last != 100 || r.Records != 100 {
		t.Fatalf("verified %+v", r)
	}
	if c, fr, err := journal.VerifyFiles(dir); err != nil || c.Seq != 93 || fr.Base != r.Base || len(c.State) != 93 {
		t.Fatalf("files alone: %d with %d records, %+v, %v", c.Seq, len(c.State), fr, err)
	}
}

// Reading can begin with any entry, whether store or archive has it.
func TestReadFromAnyEntry(t *testing.T) {
	s, dir := newStore(t), t.TempDir()
	j := open(t, s, dir)
	fill(t, j, 1, 220)
	for _, keep := range []int{220, 120, 20, 0} { // in the store from 1, 101 and 201 on, and none
		if err := j.Archive(t.Context(), keep); err != nil {
			t.Fatal(err)
		}
		for _, from := range []uint64{1, 99, 100, 101, 199, 200, 201, 220} {
			c := &cutting{Store: s, at: 100} // it needs a few calls only
			if es := all(t, open(t, c, dir).Read(t.Context(), from, 0)); len(es) != int(220-from+1) {
				t.Errorf("keep %d: %d entries from %d on", keep, len(es), from)
			}
		}
	}
}

// Replicas that lead in turn each have a directory that can be verified with
// the store.
func TestArchiveOfManyReplicas(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	a, b := open(t, s, t.TempDir()), open(t, s, t.TempDir())
	for turn := range 6 {
		j := []*journal.Journal{a, b}[turn%2]
		fill(t, j, turn*50+1, turn*50+50)
		if err := j.Archive(ctx, 10); err != nil {
			t.Fatal(err)
		}
		r := verify(t, j)
		if turn > 0 && (r.Base == 0 || r.Last != uint64(turn*50+50)) {
			t.Fatalf("turn %d: verified %+v", turn, r)
		}
	}
	if es := all(t, b.Read(ctx, 0, 0)); es[0].Seq != 241 || len(es) != 60 {
		t.Fatalf("b has %d entries from %d", len(es), es[0].Seq)
	}
}

// errCut is what a process that is cut off would not live to see.
var errCut = errors.New("cut off")

// cutting fails each call from the one numbered at on; that one is done, when
// done is set, but its answer is lost.
type cutting struct {
	store.Store
	calls, at int
	done      bool
}

func (c *cutting) cut() (before, after error) {
	c.calls++
	switch {
	case c.calls > c.at, c.calls == c.at && !c.done:
		return errCut, nil
	case c.calls == c.at:
		return nil, errCut
	}
	return nil, nil
}

func (c *cutting) Get(ctx context.Context, key string) (store.KV, bool, error) {
	before, after := c.cut()
	if before != nil {
		return store.KV{}, false, before
	}
	kv, ok, err := c.Store.Get(ctx, key)
	return kv, ok, errors.Join(err, after)
}

func (c *cutting) List(ctx context.Context, prefix string) ([]store.KV, store.Revision, error) {
	before, after := c.cut()
	if before != nil {
		return nil, 0, before
	}
	kvs, rev, err := c.Store.List(ctx, prefix)
	return kvs, rev, errors.Join(err, after)
}

func (c *cutting) Commit(ctx context.Context, t store.Txn) (store.Revision, error) {
	before, after := c.cut()
	if before != nil {
		return 0, before
	}
	rev, err := c.Store.Commit(ctx, t)
	return rev, errors.Join(err, after)
}

// Archive is cut off at each of its calls to the store, before and after it is
// done, and, since it writes files between them, the files are torn anywhere
// behind what the store says is safe. The next process loses and repeats
// nothing.
func TestArchiveCutOffAnywhere(t *testing.T) {
	ctx := context.Background()
	for cutAt := 1; ; cutAt++ {
		var err error
		for _, done := range []bool{false, true} {
			for _, torn := range []int{0, 1, 1000, 1 << 30} {
				s, dir := mem.New(), t.TempDir()
				fill(t, open(t, s, ""), 1, 40)
				if err := openSized(t, s, dir, 16<<10).Archive(ctx, 35); err != nil {
					t.Fatal(err)
				}
				c := &cutting{Store: s, at: cutAt + 1, done: done} // the first call is Open's
				if err = openSized(t, c, dir, 16<<10).Archive(ctx, 1); err != nil && !errors.Is(err, errCut) {
					t.Fatal(err)
				}
				tear(t, s, dir, torn)
				next := openSized(t, s, dir, 16<<10)
				verify(t, next)
				if err := next.Archive(ctx, 1); err != nil {
					t.Fatalf("after call %d (done: %v), torn by %d: %v", cutAt, done, torn, err)
				}
				whole(t, next, 40)
				if n := inStore(t, s); n != 1 {
					t.Fatalf("after call %d: %d entries in the store, want 1", cutAt, n)
				}
			}
		}
		if err == nil {
			if cutAt < 6 {
				t.Fatalf("Archive made only %d calls", cutAt)
			}
			return
		}
	}
}

// tear cuts n bytes off the newest file, but none of an entry that the store
// says is exported.
func tear(t fataler, s store.Store, dir string, n int) {
	t.Helper()
	var first, exported int
	if kv, ok, _ := s.Get(context.Background(), "journal/exported"); ok {
		if _, err := fmt.Sscanf(string(kv.Value), `{"v":1,"seq":%d`, &exported); err != nil {
			t.Fatalf("%v", err)
		}
	}
	all := files(t, dir, "journal-*")
	last := all[len(all)-1]
	b, err := os.ReadFile(last)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if _, err := fmt.Sscanf(filepath.Base(last), "journal-%d", &first); err != nil {
		t.Fatalf("%v", err)
	}
	safe := 0
	for range exported - first + 1 {
		safe += bytes.IndexByte(b[safe:], '\n') + 1
	}
	if err := os.Truncate(last, int64(max(safe, len(b)-n))); err != nil {
		t.Fatalf("%v", err)
	}
}

func TestArchiveRefusesAnotherJournal(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	old := newStore(t)
	j := open(t, old, dir)
	fill(t, j, 1, 20)
	if err := j.Archive(ctx, 5); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*mem.Store{"empty": newStore(t), "another": newStore(t)} {
		j := open(t, s, dir)
		if name == "another" {
			fill(t, j, 100, 150)
		}
		if err := j.Archive(ctx, 0); name == "another" && !errors.Is(err, journal.ErrDiverged) {
			t.Errorf("%s: archive: got %v, want ErrDiverged", name, err)
		}
		if _, err := j.Verify(ctx); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
	newest := files(t, dir, "journal-*")
	if err := os.Truncate(newest[len(newest)-1], 10); err != nil {
		t.Fatal(err)
	}
	fill(t, j, 21, 40)
	if err := open(t, old, dir).Archive(ctx, 0); !errors.Is(err, journal.ErrDiverged) {
		t.Errorf("torn where it was safe: got %v, want ErrDiverged", err)
	}
}

func TestArchiveNeedsADirectory(t *testing.T) {
	j := open(t, newStore(t), "")
	if err := j.Archive(context.Background(), 0); err == nil || !strings.Contains(err.Error(), "Options.Dir") {
		t.Fatalf("got %v", err)
	}
	s, file := newStore(t), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j = open(t, s, file)
	fill(t, j, 1, 5)
	if err := j.Archive(context.Background(), 0); err == nil || inStore(t, s) != 5 {
		t.Fatalf("got %v, and %d entries are left", err, inStore(t, s))
	}
}

// However writes, archiving, cuts and new processes follow each other, nothing
// is lost.
func TestArchiveAnyHistory(t *testing.T) {
	root, runs := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		s, dir, n := mem.New(), filepath.Join(root, fmt.Sprint(runs)), 0
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			more := rapid.IntRange(0, 30).Draw(rt, "more")
			fill(rt, open(rt, s, ""), n+1, n+more)
			n += more
			c := &cutting{Store: s, at: rapid.IntRange(2, 30).Draw(rt, "cut"), done: rapid.Bool().Draw(rt, "done")}
			err := openSized(rt, c, dir, 32<<10).Archive(context.Background(), rapid.IntRange(0, 40).Draw(rt, "keep"))
			if err != nil && !errors.Is(err, errCut) {
				rt.Fatalf("%v", err)
			}
		}
		whole(rt, open(rt, s, dir), n)
	})
}
