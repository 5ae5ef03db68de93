package marks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/marks"
)

func mark(store string, epoch int64, seq uint64) marks.Marks {
	return marks.Marks{Store: store, Epoch: epoch, Seq: seq, Hash: "h", Revision: int64(seq) + 10, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

// Within one store and epoch the marks only grow; another store's replace them,
// and so does a later epoch.
func TestAdvanceNeverGoesBack(t *testing.T) {
	dir := t.TempDir()
	f := marks.In(dir)
	if m, err := f.Read(); err != nil || m != nil {
		t.Fatalf("without a file: got %+v, %v", m, err)
	}
	for _, c := range []struct{ put, want marks.Marks }{
		{mark("one", 0, 5), mark("one", 0, 5)},
		{mark("one", 0, 4), mark("one", 0, 5)},
		{mark("one", 0, 9), mark("one", 0, 9)},
		{mark("one", 1, 3), mark("one", 1, 3)},
		{mark("one", 0, 99), mark("one", 1, 3)},
		{mark("two", 0, 1), mark("two", 0, 1)},
	} {
		if err := f.Advance(c.put); err != nil {
			t.Fatal(err)
		}
		got, err := marks.In(dir).Read() // as the next process reads it
		if err != nil {
			t.Fatal(err)
		}
		c.want.V = 1
		if *got != c.want {
			t.Errorf("after %+v: got %+v, want %+v", c.put, *got, c.want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, marks.Name)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode: %v, %v", info, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("something is left beside it: %v", files)
	}
}

// What can't be understood is an error, never a first start.
func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:        "EOF",
		`{"v":2}`: "version must be 1, got 2",
		`{"v":1}`: "must be given",
		`{"v":1,"store":"a","seq":1,"hash":"h","revision":3,"more":1}`: "unknown field",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, marks.Name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := marks.In(dir).Read(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v, want an error with %q", text, m, err, want)
		}
	}
}

// A failed write is an error, and leaves the marks that were there.
func TestAdvanceThatFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f := marks.In(dir)
	if err := f.Advance(mark("one", 0, 1)); err == nil {
		t.Fatal("marks were written to a directory that is not there")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Advance(mark("one", 0, 1)); err != nil {
		t.Fatalf("after a failure they are not written any more: %v", err)
	}
}

// That a store was restored by hand is kept beside what the marks say, also where
// they say nothing, and goes with the next marks.
func TestMarkRestored(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, had := range map[string]*marks.Marks{"none": nil, "some": new(mark("one", 2, 7))} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := marks.In(dir)
			if had != nil {
				if err := f.Advance(*had); err != nil {
					t.Fatal(err)
				}
			}
			if err := marks.In(dir).MarkRestored(at); err != nil {
				t.Fatal(err)
			}
			m, err := f.Read()
			if err != nil || !m.Restored.Equal(at) || had != nil && (m.Seq != had.Seq || m.Epoch != had.Epoch || m.Hash != had.Hash) {
				t.Fatalf("read %+v, %v", m, err)
			}
			if err := f.Advance(mark("one", 2, 7)); err != nil {
				t.Fatal(err)
			}
			if m, err = f.Read(); err != nil || !m.Restored.IsZero() || m.Seq != 7 {
				t.Errorf("after the next marks: %+v, %v", m, err)
			}
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, marks.Name), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := marks.In(dir).MarkRestored(at); err == nil {
		t.Error("marks that can't be read were overwritten")
	}
}
