package journal_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
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

// replace puts another value under a key, behind the journal's back; nil
// deletes it.
func replace(t fataler, s store.Store, key string, value []byte) {
	t.Helper()
	txn := store.Txn{Puts: []store.Put{{Key: key, Value: value}}}
	if value == nil {
		txn = store.Txn{Deletes: []string{key}}
	}
	if _, err := s.Commit(context.Background(), txn); err != nil {
		t.Fatalf("%v", err)
	}
}

// archivedJournal is a journal of 60 entries, half of them in files.
func archivedJournal(t fataler, dir string) (*mem.Store, *journal.Journal) {
	t.Helper()
	s := mem.New()
	j := open(t, s, dir)
	fill(t, j, 1, 60)
	if err := j.Archive(context.Background(), 30); err != nil {
		t.Fatalf("%v", err)
	}
	return s, j
}

// Any byte that changes, in any entry, file, record or checkpoint, is found,
// and what it stands in is named.
func TestVerifyNamesTheTamperedByte(t *testing.T) {
	dir := t.TempDir()
	s, j := archivedJournal(t, dir)
	verify(t, j)
	things := map[string][]byte{} // by what the error must name
	for _, f := range slices.Concat(files(t, dir, "journal-*"), files(t, dir, "checkpoint-*")) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		things[f] = b
	}
	for _, prefix := range []string{"entry/", "incident/", "journal/head"} {
		kvs, _, err := s.List(context.Background(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range kvs {
			things[kv.Key] = kv.Value
		}
	}
	names := slices.Sorted(maps.Keys(things))
	for i := range things["journal/head"] { // all of it: it is small, and the end of the chain
		for mask := 1; mask < 256; mask <<= 1 {
			tamper(t, s, j, "journal/head", things["journal/head"], i, byte(mask))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(names).Draw(rt, "name")
		i := rapid.IntRange(0, len(things[name])-1).Draw(rt, "byte")
		tamper(rt, s, j, name, things[name], i, byte(rapid.IntRange(1, 255).Draw(rt, "mask")))
	})
	verify(t, j)
}

// tamper changes a byte of a key or file, checks that Verify names it, and puts
// it back.
func tamper(t fataler, s store.Store, j *journal.Journal, name string, good []byte, i int, mask byte) {
	t.Helper()
	set := func(b []byte) {
		if !filepath.IsAbs(name) {
			replace(t, s, name, b)
		} else if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatalf("%v", err)
		}
	}
	bad := bytes.Clone(good)
	bad[i] ^= mask
	set(bad)
	_, err := j.Verify(context.Background())
	set(good)
	if err == nil {
		t.Fatalf("%s: byte %d changed from %q to %q, and nobody saw it", name, i, good[i], bad[i])
	}
	if !named(err.Error(), name, good, i) {
		t.Fatalf("%s: byte %d changed, and the error names something else: %v", name, i, err)
	}
}

// named reports whether an error names what was changed: the key, the file, or
// the entry.
func named(msg, name string, good []byte, i int) bool {
	base := filepath.Base(name)
	if !filepath.IsAbs(name) {
		base = name
	}
	var seq int
	switch {
	case strings.HasPrefix(base, "journal-"):
		if _, err := fmt.Sscanf(base, "journal-%d", &seq); err != nil {
			return false
		}
		seq += bytes.Count(good[:i], []byte("\n"))
	case strings.HasPrefix(name, "entry/"):
		if _, err := fmt.Sscanf(name, "entry/%d", &seq); err != nil {
			return false
		}
	default:
		return strings.Contains(msg, base)
	}
	return strings.Contains(msg, fmt.Sprintf("entry %d", seq))
}

func TestVerifyNamesWhatIsMissingOrTooMuch(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func(t *testing.T, s *mem.Store, dir string)
		want   string
	}{
		{"an entry of the store", func(t *testing.T, s *mem.Store, _ string) { replace(t, s, fmt.Sprintf("entry/%020d", 45), nil) }, "entry 45 is missing"},
		{"the last entry", func(t *testing.T, s *mem.Store, _ string) { replace(t, s, fmt.Sprintf("entry/%020d", 60), nil) }, "entry 60 is missing"},
		{"the head", func(t *testing.T, s *mem.Store, _ string) { replace(t, s, "journal/head", nil) }, "journal/head is at 0"},
		{"a record", func(t *testing.T, s *mem.Store, _ string) { replace(t, s, "incident/"+string(incident(3).ID), nil) }, "incident/0000000000000003: it is not there"},
		{"a record too much", func(t *testing.T, s *mem.Store, _ string) {
			replace(t, s, "page/x", []byte(`{"v":1,"r":{"key":"x"}}`))
		}, "page/x: it is there"},
		{"an archive file", func(t *testing.T, _ *mem.Store, dir string) {
			if err := os.Remove(files(t, dir, "journal-*")[1]); err != nil {
				t.Fatal(err)
			}
		}, "is missing: the file ends with entry"},
		{"the newest file", func(t *testing.T, _ *mem.Store, dir string) {
			fs := files(t, dir, "journal-*")
			if err := os.Remove(fs[len(fs)-1]); err != nil {
				t.Fatal(err)
			}
		}, "but 30 were exported to it"},
		{"entries and state rewritten together", func(t *testing.T, s *mem.Store, _ string) {
			kv, _, _ := s.Get(context.Background(), fmt.Sprintf("entry/%020d", 45))
			replace(t, s, kv.Key, bytes.Replace(kv.Value, []byte("backend"), []byte("nobody!"), 1))
			kv, _, _ = s.Get(context.Background(), "incident/"+string(incident(45).ID))
			replace(t, s, kv.Key, bytes.Replace(kv.Value, []byte("backend"), []byte("nobody!"), 1))
		}, "entry 45 was changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s, j := archivedJournal(t, dir)
			c.tamper(t, s, dir)
			_, err := j.Verify(context.Background())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestVerifyBesideWriters(t *testing.T) {
	s, dir := newStore(t), t.TempDir()
	j := open(t, s, dir)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; n <= 300; n++ {
			if _, err := j.Write(context.Background(), nil, nil, []journal.Record{opened(n)}, nil); err != nil {
				t.Error(err)
			}
			if err := j.Archive(context.Background(), n%7); err != nil {
				t.Error(err)
			}
		}
	}()
	auditor := open(t, s, dir) // as the operator's tool would
	for {
		select {
		case <-done:
			whole(t, auditor, 300)
			return
		default:
			verify(t, auditor)
		}
	}
}
