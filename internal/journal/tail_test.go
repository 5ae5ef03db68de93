package journal_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/signalbox/signalbox/internal/store/mem"
)

// The bytes that are read are those that the chain is made of, whether they are
// in the store or in the archive.
func TestLinesAreAsStored(t *testing.T) {
	s := mem.New()
	j := open(t, s, t.TempDir())
	if head, err := j.Head(t.Context()); err != nil || head != 0 {
		t.Errorf("head of an empty journal: %d, %v", head, err)
	}
	if oldest, err := j.Oldest(t.Context()); err != nil || oldest != 1 {
		t.Errorf("oldest of an empty journal: %d, %v", oldest, err)
	}
	fill(t, j, 1, 230)
	if err := j.Archive(t.Context(), 30); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, n uint64 }{{1, 0, 230}, {1, 230, 230}, {201, 0, 30}, {190, 210, 21}, {230, 0, 1}, {231, 0, 0}} {
		n, prev := uint64(0), ""
		for l, err := range j.Lines(t.Context(), c.from, c.to) {
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(l.Stored)
			if l.Seq != c.from+n || hex.EncodeToString(sum[:]) != l.Hash() || prev != "" && l.Prev != prev {
				t.Fatalf("from %d to %d: entry %d (%s) after %s: %s", c.from, c.to, l.Seq, l.Hash(), prev, l.Stored)
			}
			n, prev = n+1, l.Hash()
		}
		if n != c.n {
			t.Errorf("from %d to %d: %d entries, want %d", c.from, c.to, n, c.n)
		}
	}
	if head, err := j.Head(t.Context()); err != nil || head != 230 {
		t.Errorf("head %d, %v", head, err)
	}
	// Another replica has only what is in the store.
	other := open(t, s, t.TempDir())
	if oldest, err := other.Oldest(t.Context()); err != nil || oldest != 201 {
		t.Errorf("oldest of another replica: %d, %v, want 201", oldest, err)
	}
	for _, err := range other.Lines(context.Background(), 200, 0) {
		if err == nil {
			t.Error("an entry that is in another replica's archive was read")
		}
		break
	}
}
