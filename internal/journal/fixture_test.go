package journal_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at() time.Time { return noon }

// fataler is what tests, benchmarks and rapid's checks share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func open(t fataler, s store.Store, dir string) *journal.Journal {
	t.Helper()
	return openSized(t, s, dir, 4<<10)
}

func openSized(t fataler, s store.Store, dir string, fileBytes int64) *journal.Journal {
	t.Helper()
	j, err := journal.Open(context.Background(), s, journal.Options{Now: at, Dir: dir, FileBytes: fileBytes})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return j
}

func write(t fataler, j *journal.Journal, recs ...journal.Record) store.Revision {
	t.Helper()
	rev, err := j.Write(context.Background(), nil, nil, recs, nil)
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	return rev
}

func incident(n int) *signalbox.Incident {
	return &signalbox.Incident{
		ID: signalbox.IncidentID(fmt.Sprintf("%016x", n)), DedupKey: fmt.Sprintf("signalbox-%d", n), Owner: "backend", OpenedAt: noon,
		Reading: signalbox.Reading{
			Detector: "replication-lag", Series: fmt.Sprint(n), Subject: "db/eu", Labels: map[string]string{"cluster": "eu", "env": "prod"},
			Condition: signalbox.Breached, Value: 1.5, HasValue: true, Unit: signalbox.Seconds, At: noon, SampleAt: noon, Summary: "lag <1.5s> & rising",
		},
	}
}

func opened(n int) journal.Record {
	i := incident(n)
	return journal.Record{Kind: journal.IncidentOpened, Incident: i.ID, Put: []journal.Change{journal.PutIncident(i)}}
}

// fill writes n entries, one incident each.
func fill(t fataler, j *journal.Journal, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		write(t, j, opened(n))
	}
}

func all(t fataler, entries iter.Seq2[journal.Entry, error]) []journal.Entry {
	t.Helper()
	var es []journal.Entry
	for e, err := range entries {
		if err != nil {
			t.Fatalf("after %d entries: %v", len(es), err)
		}
		es = append(es, e)
	}
	return es
}

func verify(t fataler, j *journal.Journal) journal.Report {
	t.Helper()
	r, err := j.Verify(context.Background())
	if err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

// whole checks that entries 1 to last are there, each once, and verify.
func whole(t fataler, j *journal.Journal, last int) {
	t.Helper()
	es := all(t, j.Read(context.Background(), 0, 0))
	for i, e := range es {
		if e.Seq != uint64(i+1) {
			t.Fatalf("entry %d is %d", i+1, e.Seq)
		}
	}
	if len(es) != last {
		t.Fatalf("%d entries are left, want %d", len(es), last)
	}
	if r := verify(t, j); r.Base != 0 || r.Last != uint64(last) {
		t.Fatalf("verified %+v, want all %d", r, last)
	}
}

func inStore(t fataler, s store.Store) int {
	t.Helper()
	kvs, _, err := s.List(context.Background(), "entry/")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return len(kvs)
}

// someRecord draws a record that changes a few of a few keys.
func someRecord(rt *rapid.T) journal.Record {
	text := rapid.SampledFrom([]string{"", "a", "..", "x/y%", "ä\x00<b>", "\xff broken", "configmap core/core-env KEY"})
	n := rapid.IntRange(0, 3).Draw(rt, "n")
	r := journal.Record{
		Kind:     rapid.SampledFrom([]journal.Kind{journal.Decision, journal.Housekeeping, journal.Intent}).Draw(rt, "kind"),
		Incident: incident(n).ID, Who: text.Draw(rt, "who"), Data: text.Draw(rt, "data"),
	}
	for range rapid.IntRange(0, 4).Draw(rt, "changes") {
		r.Put = append(r.Put, somePut(rt, text.Draw(rt, "text"), n))
	}
	if rapid.Bool().Draw(rt, "deletes") {
		r.Delete = []signalbox.Key{signalbox.IncidentKey(incident(9).ID), signalbox.PageKey("gone/%")}
	}
	return r
}

func somePut(rt *rapid.T, text string, n int) journal.Change {
	when := noon.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(rt, "when")))
	valid := fmt.Sprintf("%q", text)
	switch rapid.IntRange(0, 8).Draw(rt, "what") {
	case 0:
		i := incident(n)
		i.Reading.Summary, i.ClearAt = text, when
		return journal.PutIncident(i)
	case 1:
		return journal.PutAction(&signalbox.Action{ID: signalbox.ActionID(fmt.Sprint("act", n)), Reason: text, ClaimedAt: when, Stage: signalbox.Claimed})
	case 2:
		return journal.PutTarget(&signalbox.TargetState{Target: signalbox.Target(valid), Acted: []time.Time{when}})
	case 3:
		return journal.PutSpend(&signalbox.Spend{Scope: valid, Times: []time.Time{when}})
	case 4:
		return journal.PutPolicy(&signalbox.PolicyState{Name: valid, ActivatedAt: when})
	case 5:
		return journal.PutPage(&signalbox.Page{Key: valid, Why: text, Due: when})
	case 6:
		return journal.PutControls(signalbox.Controls{Killed: &signalbox.Control{Kind: signalbox.Kill, Reason: text, At: when}})
	case 7:
		return journal.PutHeartbeat(&signalbox.Heartbeat{Replica: valid, At: when})
	default:
		return journal.PutActive(signalbox.ActiveConfig{Hash: text, Seq: int64(n), At: when})
	}
}

func newStore(t *testing.T) *mem.Store {
	t.Helper()
	s := mem.New()
	t.Cleanup(func() { _ = s.Close() })
	return s
}
