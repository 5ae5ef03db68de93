package journal_test

import (
	"context"
	"fmt"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
)

// forgetful is a store that keeps no history, so that a benchmark does not
// measure one that grows.
type forgetful struct {
	*mem.Store
}

func (f forgetful) Commit(ctx context.Context, t store.Txn) (store.Revision, error) {
	rev, err := f.Store.Commit(ctx, t)
	if err == nil && rev%1000 == 0 {
		err = f.Compact(ctx, rev)
	}
	return rev, err
}

func BenchmarkWrite(b *testing.B) {
	s := forgetful{mem.New()}
	j := open(b, s, "")
	ctx, i := context.Background(), incident(1)
	act := &signalbox.Action{ID: "a", Incident: i.ID, Stage: signalbox.Claimed, ClaimedAt: noon}
	target := &signalbox.TargetState{Target: "configmap core/core-env KEY", Holder: "a"}
	b.ReportAllocs()
	for b.Loop() {
		recs := []journal.Record{{
			Kind: journal.Intent, Incident: i.ID, Action: "a", Data: act,
			Put: []journal.Change{journal.PutIncident(i), journal.PutAction(act), journal.PutTarget(target)},
		}}
		if _, err := j.Write(ctx, nil, nil, recs, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFold folds b.N entries of one file-sized history again and again;
// -benchtime 1000000x folds a million.
func BenchmarkFold(b *testing.B) {
	dir := b.TempDir()
	s := mem.New()
	j, err := journal.Open(context.Background(), s, journal.Options{Now: at, Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	for n := range b.N {
		rec := opened(n % 10_000)
		if _, err := j.Write(context.Background(), nil, nil, []journal.Record{rec}, nil); err != nil {
			b.Fatal(err)
		}
		if n%5000 == 4999 || n == b.N-1 {
			if err := j.Archive(context.Background(), 0); err != nil {
				b.Fatal(err)
			}
			kv, _, err := s.Get(context.Background(), "journal/head")
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Compact(context.Background(), kv.Mod); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	b.StartTimer()
	c, err := journal.Fold(journal.Checkpoint{}, j.Read(context.Background(), 1, 0))
	b.StopTimer()
	if err != nil || c.Seq != uint64(b.N) {
		b.Fatalf("folded %d of %d: %v", c.Seq, b.N, err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkLoad reads a state of 10,000 incidents in parts.
func BenchmarkLoad(b *testing.B) {
	s := &parted{Store: mem.New(), each: 2000}
	j := open(b, s, "")
	fill(b, j, 1, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := j.Load(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPutInbox(b *testing.B) {
	for _, readings := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(readings), func(b *testing.B) {
			s := forgetful{mem.New()}
			j := open(b, s, "")
			in := batch(readings, 0)
			b.ReportAllocs()
			for b.Loop() {
				key, err := j.PutInbox(context.Background(), in)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := j.Write(context.Background(), nil, nil, nil, []string{key}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(readings)*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
		})
	}
}
