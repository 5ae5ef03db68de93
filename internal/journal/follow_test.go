package journal_test

import (
	"context"
	"errors"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

// busy is a store in which somebody opens an incident beside each listing.
type busy struct {
	store.Store
	write func()
}

func (b *busy) List(ctx context.Context, prefix string) ([]store.KV, store.Revision, error) {
	kvs, rev, err := b.Store.List(ctx, prefix)
	b.write()
	return kvs, rev, err
}

// Beside one that writes without a pause the state is never still. Who follows it
// reads it all the same, and has the whole of it with the changes that come after.
func TestLoadToFollowBesideAWriter(t *testing.T) {
	under := newStore(t)
	writer := open(t, under, t.TempDir())
	n := 0
	reader := open(t, &busy{under, func() { n++; write(t, writer, opened(n)) }}, t.TempDir())
	if _, _, err := reader.Load(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a whole state was read while it changed: %v", err)
	}
	s, rev, err := reader.LoadToFollow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changes, err := under.Watch(t.Context(), "", rev)
	if err != nil {
		t.Fatal(err)
	}
	last := signalbox.IncidentKey(incident(n).ID)
	for s.Rev[last] == 0 {
		b := <-changes
		if b.Err != nil {
			t.Fatal(b.Err)
		}
		if _, err := journal.ApplyEvents(s, b.Events); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.Incidents) != n {
		t.Errorf("incidents: got %d, want %d", len(s.Incidents), n)
	}
}
