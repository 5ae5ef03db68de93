package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

// stream is a detector of a stream, whose rounds a test tells.
const stream = "stream"

// found is a reading of a stream: ids, or none where it is well.
func found(ids ...string) signalbox.Reading {
	now := time.Now()
	r := signalbox.Reading{
		Detector: stream, Series: "ids", Subject: "psp", Condition: signalbox.Breached, Items: ids, At: now, SampleAt: now,
		OnsetAt: now, WellAt: now.Add(-time.Minute), Owner: "backend", Summary: "webhooks failed", Confirmed: true,
	}
	if len(ids) == 0 {
		r.Condition, r.OnsetAt = signalbox.Clear, time.Time{}
	}
	return r
}

func (w *world) items() (items []string) {
	for _, inc := range w.state().Incidents {
		if inc.Reading.Series == "ids" {
			items = inc.Reading.Items
		}
	}
	return items
}

// A series that was well in between lists anew; in one incident all is kept,
// in its order, once.
func TestItemsOfAnIncidentOnlyBecomeMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		defer w.halt()
		for _, edges := range [][]signalbox.Reading{{found("a", "b"), found(), found("c")}, {found("c", strings.Repeat("x", 200<<10), "b", "d")}, {found()}} {
			w.engine.Observe(t.Context(), stream, time.Now(), true, edges[len(edges)-1:], edges)
			synctest.Wait()
		}
		if got := strings.Join(w.items(), " "); got != "a b c d" {
			t.Errorf("items %.40q, want those four that fit into a record", got)
		}
	})
}

// What a stream told and what is not yet on record is read again after a crash:
// the moment up to which it was read waits for it, also when the next term
// begins with a heartbeat.
func TestGoodMomentWaitsForItsEdges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		var told []string // what was put, in order
		w.commit = func(ctx context.Context, txn store.Txn) (store.Revision, error) {
			rev, err := w.store.Commit(ctx, txn)
			mu.Lock()
			defer mu.Unlock()
			for _, p := range txn.Puts {
				var beat struct {
					Record signalbox.Heartbeat `json:"r"`
				}
				switch {
				case err != nil:
				case strings.HasPrefix(p.Key, journal.InboxPrefix) && strings.Contains(string(p.Value), "webhooks failed"):
					told = append(told, "edge")
				case strings.HasPrefix(p.Key, signalbox.BeatPrefix) && json.Unmarshal(p.Value, &beat) == nil && !beat.Record.Good[stream].IsZero():
					told = append(told, beat.Record.Good[stream].Format("15:04:05"))
				}
			}
			return rev, err
		}
		w.start()
		defer w.halt()
		w.after(time.Second)
		first := time.Now()
		w.engine.Observe(t.Context(), stream, first, true, nil, nil)
		w.after(30 * time.Second) // heartbeats
		w.store.Break(errors.New("disk full"))
		w.after(time.Second)
		r := found("a")
		w.engine.Observe(t.Context(), stream, r.At, true, []signalbox.Reading{r}, []signalbox.Reading{r})
		w.after(time.Second)
		w.store.Mend()
		w.after(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		before, after := first.Format("15:04:05"), r.At.Format("15:04:05")
		if got := strings.Join(slices.Compact(told), " "); got != before+" edge "+after {
			t.Errorf("recorded %s, want %s, the edge, %s", got, before, after)
		}
	})
}
