package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

func batch(readings int, each int) signalbox.Batch {
	b := signalbox.Batch{Source: "alerts", At: noon}
	for i := range readings {
		r := incident(i).Reading
		if each > 0 {
			r.Summary = strings.Repeat("x", each)
		}
		b.Readings = append(b.Readings, r)
	}
	return b
}

func TestInboxKeepsOrder(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	j := open(t, s, "")
	var keys []string
	for i := range 20 { // the clock stands still
		b := batch(1, 0)
		b.Readings[0].Series = fmt.Sprint(i)
		key, err := j.PutInbox(ctx, b)
		if err != nil || !journal.IsInbox(key) {
			t.Fatalf("%q: %v", key, err)
		}
		keys = append(keys, key)
	}
	items, err := j.Inbox(ctx)
	if err != nil || len(items) != 20 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for i, it := range items {
		if it.Err != nil || it.Key != keys[i] || it.Batch.Readings[0].Series != fmt.Sprint(i) {
			t.Fatalf("item %d is %+v", i, it)
		}
	}
	if _, err := j.Write(ctx, nil, nil, []journal.Record{opened(1)}, keys[:5]); err != nil {
		t.Fatal(err)
	}
	if items, _ := j.Inbox(ctx); len(items) != 15 || items[0].Key != keys[5] {
		t.Fatalf("%d items are left", len(items))
	}
	verify(t, j)
}

func TestInboxFromManyReplicas(t *testing.T) {
	s := newStore(t)
	var wg sync.WaitGroup
	for range 4 {
		j := open(t, s, "")
		for range 4 {
			wg.Go(func() {
				for range 10 {
					if _, err := j.PutInbox(context.Background(), batch(1, 0)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	if items, err := open(t, s, "").Inbox(context.Background()); err != nil || len(items) != 160 {
		t.Fatalf("%d items, want 160: %v", len(items), err)
	}
}

func TestInboxSplits(t *testing.T) {
	for _, c := range []struct {
		name     string
		readings int
		each     int
		synced   bool
		records  int
		want     error
	}{
		{"empty", 0, 0, false, 1, nil},
		{"fits", 1000, 0, false, 1, nil},
		{"fits, whole", 1000, 0, true, 1, nil},
		{"three times too large", 30, 100 << 10, false, 3, nil},
		{"whole and too large", 30, 100 << 10, true, 0, journal.ErrTooLarge},
		{"one reading too large", 1, journal.MaxReading, false, 0, journal.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := context.Background()
			s := newStore(t)
			j := open(t, s, "")
			b := batch(c.readings, c.each)
			b.Synced = c.synced
			if _, err := j.PutInbox(ctx, b); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			items, err := j.Inbox(ctx)
			if err != nil || len(items) != c.records {
				t.Fatalf("%d records, want %d: %v", len(items), c.records, err)
			}
			var got []string
			for _, it := range items {
				for _, r := range it.Batch.Readings {
					got = append(got, r.Series)
				}
			}
			for i, series := range got {
				if series != fmt.Sprint(i) {
					t.Fatalf("reading %d is %s", i, series)
				}
			}
			if c.want == nil && len(got) != c.readings {
				t.Fatalf("%d readings, want %d", len(got), c.readings)
			}
		})
	}
}

// A reading of the largest size becomes an incident that one Write takes.
func TestLargestReadingIsConsumed(t *testing.T) {
	s := newStore(t)
	j := open(t, s, "")
	b := batch(1, journal.MaxReading-2000)
	key, err := j.PutInbox(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	i := incident(1)
	i.Reading = b.Readings[0]
	rec := opened(1)
	rec.Put = []journal.Change{journal.PutIncident(i)}
	if _, err := j.Write(context.Background(), nil, nil, []journal.Record{rec}, []string{key}); err != nil {
		t.Fatal(err)
	}
}

func TestInboxNotDurableIsAnError(t *testing.T) {
	s := newStore(t)
	j := open(t, s, "")
	commits := 0
	s.BeforeCommit(func(store.Txn) error {
		if commits++; commits == 2 {
			return store.ErrUnavailable
		}
		return nil
	})
	if _, err := j.PutInbox(context.Background(), batch(30, 100<<10)); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
}

func TestInboxNamesWhatCantBeRead(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	if _, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: "inbox/1", Value: []byte("torn")}}}); err != nil {
		t.Fatal(err)
	}
	j := open(t, s, "")
	if _, err := j.PutInbox(ctx, batch(1, 0)); err != nil {
		t.Fatal(err)
	}
	items, err := j.Inbox(ctx)
	bad := slices.IndexFunc(items, func(it journal.InboxItem) bool { return it.Err != nil && strings.Contains(it.Err.Error(), "inbox/1") })
	if err != nil || len(items) != 2 || bad < 0 {
		t.Fatalf("%+v, %v", items, err)
	}
}
