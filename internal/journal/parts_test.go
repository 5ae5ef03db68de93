package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store/mem"
)

// inTurn has two replicas lead in turn, 50 entries each, and returns the journal
// and the directory of the first, which leads last. Its archive has the parts 1
// to 50-keep, 101-keep to 150-keep, and the newest, which has all of the store.
func inTurn(t *testing.T, keep int) (*mem.Store, *journal.Journal, string) {
	t.Helper()
	s, dir := newStore(t), t.TempDir()
	a, b := open(t, s, dir), open(t, s, t.TempDir())
	for turn := range 5 {
		j := []*journal.Journal{a, b}[turn%2]
		fill(t, j, turn*50+1, turn*50+50)
		if err := j.Archive(t.Context(), keep); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Archive(t.Context(), 0); err != nil { // the files reach the part's checkpoint
		t.Fatal(err)
	}
	return s, a, dir
}

// Replicas that lead in turn delete what their retention says, in each turn,
// also where the first file of a part is full before the part's checkpoint; and
// what is left verifies.
func TestRetentionOfManyReplicas(t *testing.T) {
	for _, keep := range []int{0, 3, 10} { // a file has 7
		t.Run(fmt.Sprintf("keep %d", keep), func(t *testing.T) {
			s, dirs := newStore(t), []string{t.TempDir(), t.TempDir()}
			a := keeper(t, s, dirs[0], noon, journal.Options{KeepBytes: 1})
			b := keeper(t, s, dirs[1], noon, journal.Options{KeepBytes: 1})
			for turn := range 6 {
				j, dir := []*journal.Journal{a, b}[turn%2], dirs[turn%2]
				fill(t, j, turn*50+1, turn*50+50)
				if err := j.Archive(t.Context(), keep); err != nil {
					t.Fatalf("turn %d: %v", turn, err)
				}
				if left := files(t, dir, "journal-*"); len(left) != 1 {
					t.Fatalf("turn %d: left: %q, want the last file alone", turn, left)
				}
				if r := verify(t, j); r.Last != uint64(turn*50+50) || len(r.Parts) != 0 {
					t.Fatalf("turn %d: verified %+v", turn, r)
				}
			}
			if err := b.Archive(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if _, r, err := journal.VerifyFiles(dirs[1]); err != nil || r.Base == 0 || r.Last != 300 {
				t.Errorf("the files alone: %+v, %v", r, err)
			}
		})
	}
}

// Retention goes through the parts file by file; between two deletions all that
// is left verifies.
func TestRetentionFileByFile(t *testing.T) {
	s, _, dir := inTurn(t, 10)
	size := 0
	for _, f := range files(t, dir, "journal-*") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		size += len(b)
	}
	for had := len(files(t, dir, "journal-*")); had > 1; had-- {
		left := files(t, dir, "journal-*")
		b, err := os.ReadFile(left[0])
		if err != nil {
			t.Fatal(err)
		}
		j := keeper(t, s, dir, noon, journal.Options{KeepBytes: int64(size - 1)})
		size -= len(b)
		if err := j.Prune(t.Context()); err != nil {
			t.Fatalf("%s: %v", left[0], err)
		}
		if now := files(t, dir, "journal-*"); !slices.Equal(now, left[1:]) {
			t.Fatalf("left: %q, want %q", now, left[1:])
		}
		verify(t, j)
		if _, r, err := journal.VerifyFiles(dir); err != nil || r.Last != 250 {
			t.Fatalf("without %s: %+v, %v", left[0], r, err)
		}
	}
}

// Where no checkpoint is left for what follows, it is damaged, and stays.
func TestRetentionKeepsWhatHasNoCheckpoint(t *testing.T) {
	s, _, dir := inTurn(t, 10)
	checkpoints := files(t, dir, "checkpoint-*")
	if err := os.Remove(checkpoints[len(checkpoints)-1]); err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(files(t, dir, "journal-*"), func(f string) bool { return numberOf(t, f) <= 40 })
	err := keeper(t, s, dir, noon, journal.Options{KeepBytes: 1}).Prune(t.Context())
	if says := filepath.Base(want[0]) + " is kept: without the checkpoint"; err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want %q", err, says)
	}
	if left := files(t, dir, "journal-*"); !slices.Equal(left, want) {
		t.Errorf("left: %q, want %q", left, want)
	}
}

// One that stands by archives nothing, and still deletes what its retention
// says: never the last file, and nothing without a bound.
func TestPrune(t *testing.T) {
	s, dir := newStore(t), t.TempDir()
	a := keeper(t, s, dir, noon, journal.Options{})
	fill(t, a, 1, 60)
	if err := a.Archive(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	b := keeper(t, s, t.TempDir(), noon, journal.Options{})
	fill(t, b, 61, 120)
	if err := b.Archive(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	had, later := files(t, dir, "journal-*"), noon.AddDate(0, 0, 10)
	for _, c := range []struct {
		name string
		o    journal.Options
		left int
	}{
		{"no bound", journal.Options{}, len(had)},
		{"younger than that", journal.Options{KeepFor: 11 * 24 * time.Hour}, len(had)},
		{"older than that", journal.Options{KeepFor: 9 * 24 * time.Hour}, 1},
	} {
		if err := keeper(t, s, dir, later, c.o).Prune(t.Context()); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if left := files(t, dir, "journal-*"); len(left) != c.left || left[len(left)-1] != had[len(had)-1] {
			t.Errorf("%s: left: %q, want the last %d", c.name, left, c.left)
		}
	}
	if _, r, err := journal.VerifyFiles(dir); err != nil || r.Last != 55 {
		t.Errorf("what is left: %+v, %v", r, err)
	}
	none := filepath.Join(t.TempDir(), "none")
	for _, where := range []string{"", none} {
		if err := keeper(t, s, where, later, journal.Options{KeepBytes: 1}).Prune(t.Context()); err != nil {
			t.Errorf("directory %q: %v", where, err)
		}
	}
	if _, err := os.Stat(none); !os.IsNotExist(err) {
		t.Errorf("a directory was made: %v", err)
	}
}

// The parts that are older than another replica's term are verified too, and
// told.
func TestVerifyTellsOfAllParts(t *testing.T) {
	for _, keep := range []int{0, 10} {
		_, a, dir := inTurn(t, keep)
		k := uint64(keep)
		want := []journal.Span{{First: 1, Last: 50 - k}, {First: 101 - k, Last: 150 - k}}
		_, alone, err := journal.VerifyFiles(dir)
		if err != nil {
			t.Fatal(err)
		}
		for who, r := range map[string]journal.Report{"with the store": verify(t, a), "alone": alone} {
			if r.First != 201-k || r.Last != 250 || r.Base != 250 || !slices.Equal(r.Parts, want) {
				t.Errorf("keep %d, %s: %+v, want the parts %v", keep, who, r, want)
			}
		}
	}
}

// wrongWith checks that a directory is wrong, for all who look, and that each
// names where.
func wrongWith(t *testing.T, a *journal.Journal, dir, want string) {
	t.Helper()
	_, withStore := a.Verify(t.Context())
	_, _, alone := journal.VerifyFiles(dir)
	_, path := journal.VerifyPath(dir)
	for who, err := range map[string]error{"Verify": withStore, "VerifyFiles": alone, "VerifyPath": path} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", who, err, want)
		}
	}
}

// A byte that changes in an older part is found and named: in its chain, and in
// what is folded there.
func TestVerifyNamesTheTamperedByteOfAnOlderPart(t *testing.T) {
	_, a, dir := inTurn(t, 10)
	older := slices.DeleteFunc(slices.Concat(files(t, dir, "journal-*"), files(t, dir, "checkpoint-*")), func(f string) bool {
		return numberOf(t, f) > 140 // of the newest part
	})
	if len(older) < 10 {
		t.Fatalf("only %q are of older parts", older)
	}
	for _, f := range older {
		good, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n := len(good)
		if strings.Contains(f, "journal-") {
			n = bytes.LastIndexByte(good[:n-1], '\n') + 1 // what follows the last of a part is not here to say what it was
		}
		for _, i := range []int{0, n / 2, n - 1} {
			if i < 0 || i >= n {
				continue
			}
			bad := bytes.Clone(good)
			bad[i] ^= 1
			if err := os.WriteFile(f, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			want := filepath.Base(f)
			if strings.Contains(f, "journal-") {
				want = fmt.Sprintf("entry %d", numberOf(t, f)+uint64(bytes.Count(good[:i], []byte("\n"))))
			}
			wrongWith(t, a, dir, want)
		}
		if err := os.WriteFile(f, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify(t, a)
}

// numberOf is the number in a file's name.
func numberOf(t *testing.T, file string) (n uint64) {
	t.Helper()
	_, digits, _ := strings.Cut(filepath.Base(file), "-")
	if _, err := fmt.Sscanf(digits, "%020d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A crash before another led leaves a torn line or an empty file behind: neither
// is damage. A file that is missing amid a part is.
func TestVerifyWhatACrashLeftOfAnOlderPart(t *testing.T) {
	_, a, dir := inTurn(t, 10)
	fs := files(t, dir, "journal-*")
	torn := fs[slices.IndexFunc(fs, func(f string) bool { return numberOf(t, f) > 40 })-1]
	b, err := os.ReadFile(torn)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(torn, append(b, `{"v":1,"se`...), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, fmt.Sprintf("journal-%020d.jsonl", 160)) // nothing came of a part
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := []journal.Span{{First: 1, Last: 40}, {First: 91, Last: 140}}
	if r := verify(t, a); !slices.Equal(r.Parts, want) {
		t.Errorf("got %+v, want the parts %v", r, want)
	}
	if _, r, err := journal.VerifyFiles(dir); err != nil || !slices.Equal(r.Parts, want) {
		t.Errorf("got %+v, %v, want the parts %v", r, err, want)
	}
	if err := os.Remove(fs[1]); err != nil {
		t.Fatal(err)
	}
	wrongWith(t, a, dir, fmt.Sprintf("%s: entry %d is missing", filepath.Base(fs[0]), numberOf(t, fs[1])))
}

// Retention deletes files while they are verified: that is no damage.
func TestVerifyBesideRetention(t *testing.T) {
	s, a, dir := inTurn(t, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for bytes := int64(150 << 10); bytes > 0; bytes -= 2 << 10 {
			if err := keeper(t, s, dir, noon, journal.Options{KeepBytes: bytes}).Prune(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		if _, _, err := journal.VerifyFiles(dir); err != nil {
			t.Error(err)
		}
		verify(t, a)
		select {
		case <-done:
			if left := files(t, dir, "journal-*"); len(left) != 1 {
				t.Errorf("left: %q", left)
			}
			return
		default:
		}
	}
}
