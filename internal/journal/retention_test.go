package journal_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store/mem"
)

// keeper opens a journal that archives into small files, at a time.
func keeper(t *testing.T, s *mem.Store, dir string, now time.Time, o journal.Options) *journal.Journal {
	t.Helper()
	o.Now, o.Dir, o.FileBytes = func() time.Time { return now }, dir, 4<<10
	j, err := journal.Open(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// Without a bound nothing is deleted; with one by age, files whose entries are
// all older; by size, the oldest until it holds. What is left verifies.
func TestRetention(t *testing.T) {
	s, dir := newStore(t), t.TempDir()
	for day := range 10 {
		j := keeper(t, s, dir, noon.AddDate(0, 0, day), journal.Options{})
		fill(t, j, 20*day+1, 20*day+20)
		if err := j.Archive(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
	}
	now := noon.AddDate(0, 0, 10)
	had := files(t, dir, "journal-*")
	if len(had) < 20 {
		t.Fatalf("%d files, want many", len(had))
	}
	prune := func(o journal.Options) []string {
		j := keeper(t, s, dir, now, o)
		if err := j.Archive(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		verify(t, j)
		if _, r, err := journal.VerifyFiles(dir); err != nil || r.Last != 195 {
			t.Fatalf("the files alone: %+v, %v", r, err)
		}
		return files(t, dir, "journal-*")
	}
	if left := prune(journal.Options{}); len(left) != len(had) {
		t.Fatalf("%d of %d files are left, and nothing asked to delete any", len(left), len(had))
	}
	left := prune(journal.Options{KeepFor: 5 * 24 * time.Hour})
	oldest := all(t, keeper(t, s, dir, now, journal.Options{}).Read(t.Context(), 0, 0))[0]
	if oldest.At.Before(noon.AddDate(0, 0, 3)) || oldest.At.After(noon.AddDate(0, 0, 5)) || len(left) >= len(had) {
		t.Errorf("the oldest entry left is of %s, want one file around five days ago; %d of %d files", oldest.At, len(left), len(had))
	}
	left = prune(journal.Options{KeepBytes: 12 << 10})
	size := int64(0)
	for _, f := range left {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 12<<10 || len(left) < 2 {
		t.Errorf("%d files of %d bytes are left, want as many as 12 KiB hold", len(left), size)
	}
	if left := prune(journal.Options{KeepBytes: 1}); len(left) != 1 {
		t.Errorf("left: %q, want the last file alone", left)
	}
	if checkpoints := files(t, dir, "checkpoint-*"); len(checkpoints) != 1 {
		t.Errorf("checkpoints left: %q, want the one at the begin", checkpoints)
	}
}

// Without the checkpoint on which the rest is folded, a file stays.
func TestRetentionKeepsWhatWouldNotVerify(t *testing.T) {
	s, dir := newStore(t), t.TempDir()
	j := keeper(t, s, dir, noon, journal.Options{})
	fill(t, j, 1, 60)
	if err := j.Archive(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	had := files(t, dir, "journal-*")
	if err := os.Remove(files(t, dir, "checkpoint-*")[0]); err != nil {
		t.Fatal(err)
	}
	err := keeper(t, s, dir, noon, journal.Options{KeepBytes: 1}).Archive(t.Context(), 5)
	if err == nil || !strings.Contains(err.Error(), "without the checkpoint") {
		t.Errorf("got %v", err)
	}
	if left := files(t, dir, "journal-*"); len(left) != len(had) {
		t.Errorf("%d of %d files are left", len(left), len(had))
	}
}

// An export is what is stored, from where it is asked for, over archive and
// store; and its first entry that does not follow is named.
func TestExport(t *testing.T) {
	s, dir := newStore(t), t.TempDir()
	for day := range 3 {
		fill(t, keeper(t, s, dir, noon.AddDate(0, 0, day), journal.Options{}), 20*day+1, 20*day+20)
	}
	j := keeper(t, s, dir, noon, journal.Options{})
	if err := j.Archive(t.Context(), 30); err != nil {
		t.Fatal(err)
	}
	export := func(from uint64, since time.Time) []byte {
		var out bytes.Buffer
		if _, err := j.Export(context.Background(), &out, from, since); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for _, c := range []struct {
		from  uint64
		since time.Time
		first uint64
	}{{0, time.Time{}, 1}, {25, time.Time{}, 25}, {0, noon.AddDate(0, 0, 1), 21}, {30, noon.AddDate(0, 0, 2), 41}} {
		r, err := journal.VerifyExport(bytes.NewReader(export(c.from, c.since)))
		if err != nil || r.First != c.first || r.Last != 60 {
			t.Errorf("from %d, since %s: %+v, %v, want %d to 60", c.from, c.since, r, err, c.first)
		}
	}
	whole := export(0, time.Time{})
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	changed := bytes.Replace(whole, []byte(`"value":1.5`), []byte(`"value":2.5`), 1)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"one is left out":      {join(append(append([][]byte{}, lines[:9]...), lines[10:]...)...), "line 10: entry 10 is missing: after entry 9 comes 11"},
		"two are interchanged": {join(lines[0], lines[2], lines[1]), "line 2: entry 2 is missing"},
		"one was changed":      {changed, "line 2: entry 1 was changed"},
		"cut off":              {whole[:len(whole)-1], "line 60: it was cut off"},
		"empty":                {nil, "no entries"},
		"no journal":           {[]byte("{}\n"), "line 1:"},
	} {
		if r, err := journal.VerifyExport(bytes.NewReader(c.b)); err == nil || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %+v, %v, want an error with %q", name, r, err, c.want)
		}
	}
}

// Lacks says what a mark knows and the store does not have.
func TestLacks(t *testing.T) {
	s, dir := newStore(t), t.TempDir()
	j := open(t, s, dir)
	if _, ok := j.Written(); ok {
		t.Error("a journal that wrote nothing has written")
	}
	fill(t, j, 1, 40)
	m, ok := j.Written()
	if !ok || m.Seq != 40 {
		t.Fatalf("written: %+v, %t", m, ok)
	}
	fill(t, j, 41, 80)
	if err := j.Archive(t.Context(), 10); err != nil { // entry 40 is in a file only
		t.Fatal(err)
	}
	last, _ := j.Written()
	other := m
	other.Hash = strings.Repeat("0", 64)
	beyond, back := last, last
	beyond.Seq += 5
	back.Revision += 1000
	for name, c := range map[string]struct {
		m    journal.Mark
		want string
	}{
		"the newest":          {last, ""},
		"an archived one":     {m, ""},
		"ahead":               {beyond, "ends with entry 80, and there were 85: 5 are missing"},
		"another history":     {other, "its entry 40 is"},
		"revisions went back": {back, "was last written at revision"},
	} {
		got, err := j.Lacks(t.Context(), c.m)
		if err != nil || (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
	if got, err := j.LacksArchived(t.Context()); got != "" || err != nil {
		t.Errorf("its own archive: %q, %v", got, err)
	}
	if got, err := open(t, newStore(t), dir).LacksArchived(t.Context()); err != nil || !strings.Contains(got, "it has entry 70") {
		t.Errorf("an empty store beside an archive: %q, %v", got, err)
	}
}
