package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
)

// The state that the loop keeps by Apply, the state that a successor loads, and
// the state that the entries fold to, are one; whatever was archived meanwhile.
func TestStateIsOne(t *testing.T) {
	root := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		s := mem.New()
		defer s.Close()
		runs++
		j := open(rt, s, fmt.Sprintf("%s/%d", root, runs))
		kept := signalbox.NewState()
		for range rapid.IntRange(1, 20).Draw(rt, "writes") {
			recs := rapid.SliceOfN(rapid.Custom(someRecord), 1, 3).Draw(rt, "records")
			rev, err := j.Write(context.Background(), nil, nil, recs, nil)
			if err != nil {
				rt.Fatalf("write: %v", err)
			}
			for i := range recs {
				if _, err := j.Apply(kept, recs[i].Changes(), rev); err != nil {
					rt.Fatalf("apply: %v", err)
				}
			}
			if rapid.IntRange(0, 4).Draw(rt, "archive") == 0 {
				if err := j.Archive(context.Background(), rapid.IntRange(0, 5).Draw(rt, "keep")); err != nil {
					rt.Fatalf("%v", err)
				}
			}
		}
		loaded, _, err := j.Load(context.Background())
		if err != nil {
			rt.Fatalf("load: %v", err)
		}
		if !reflect.DeepEqual(kept, loaded) {
			rt.Fatalf("applied:\n%+v\nloaded:\n%+v", kept, loaded)
		}
		verify(rt, j)
	})
}

func TestTokenIsTheCreateRevision(t *testing.T) {
	s := newStore(t)
	j := open(t, s, "")
	st := signalbox.NewState()
	act := signalbox.Action{ID: "a1", Stage: signalbox.Claimed}
	var first store.Revision
	for i, stage := range []signalbox.Stage{signalbox.Claimed, signalbox.Started, signalbox.Done} {
		act.Stage = stage
		rec := journal.Record{Kind: journal.Intent, Action: "a1", Put: []journal.Change{journal.PutAction(&act)}}
		rev := write(t, j, rec)
		if i == 0 {
			first = rev
		}
		if _, err := j.Apply(st, rec.Changes(), rev); err != nil {
			t.Fatal(err)
		}
		if got := st.Actions["a1"]; got.Token != signalbox.Token(first) || got.Stage != stage || st.Rev["action/a1"] != int64(rev) {
			t.Fatalf("%s: token %d at %d, want %d at %d", got.Stage, got.Token, st.Rev["action/a1"], first, rev)
		}
	}
}

func TestWriteConflicts(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	a, b := open(t, s, ""), open(t, s, "")
	rev := write(t, a, opened(1))
	if got := write(t, b, opened(2)); got <= rev { // b's head is stale: it tries again by itself
		t.Fatalf("revision %d, want more than %d", got, rev)
	}
	gone := store.Cond{Key: "lead/engine", Rev: 99, OnCreate: true}
	for name, try := range map[string]func() error{
		"fence": func() error { _, err := a.Write(ctx, &gone, nil, []journal.Record{opened(3)}, nil); return err },
		"ifs": func() error {
			_, err := a.Write(ctx, nil, []store.Cond{{Key: string(signalbox.IncidentKey(incident(1).ID))}}, []journal.Record{opened(3)}, nil)
			return err
		},
		"fence of a heartbeat": func() error {
			_, err := a.Write(ctx, &gone, nil, []journal.Record{{Kind: journal.Housekeeping, Put: []journal.Change{journal.PutHeartbeat(&signalbox.Heartbeat{Replica: "r"})}}}, nil)
			return err
		},
	} {
		if err := try(); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: got %v, want ErrConflict", name, err)
		}
	}
	write(t, a, opened(4))
	whole(t, a, 3)
}

func TestWriteAfterALostAnswer(t *testing.T) {
	s := newStore(t)
	j := open(t, s, "")
	s.AfterCommit(func(store.Txn, store.Revision) error { return store.ErrUnavailable })
	if _, err := j.Write(context.Background(), nil, nil, []journal.Record{opened(1)}, nil); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	s.AfterCommit(nil)
	write(t, j, opened(2))
	whole(t, j, 2)
}

func TestConcurrentWriters(t *testing.T) {
	s := newStore(t)
	const writers, each = 8, 25
	var wg sync.WaitGroup
	one, other := open(t, s, t.TempDir()), open(t, s, "")
	for w := range writers {
		j := []*journal.Journal{one, other}[w%2]
		wg.Go(func() {
			for i := range each {
				if _, err := j.Write(context.Background(), nil, nil, []journal.Record{opened(w*each + i)}, nil); err != nil {
					t.Error(err)
				}
				if i%5 == 0 {
					if err := one.Archive(context.Background(), 10); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	whole(t, one, writers*each)
}

func TestHeartbeatMakesNoEntry(t *testing.T) {
	s := newStore(t)
	j := open(t, s, "")
	write(t, j, journal.Record{Kind: journal.Housekeeping, Put: []journal.Change{journal.PutHeartbeat(&signalbox.Heartbeat{Replica: "r1", At: noon})}})
	if n := inStore(t, s); n != 0 {
		t.Fatalf("%d entries, want none", n)
	}
	st, _, err := j.Load(context.Background())
	if err != nil || st.Beats["r1"] == nil {
		t.Fatalf("the heartbeat is not loaded: %v, %v", st, err)
	}
	verify(t, j)
}

func TestWriteRefuses(t *testing.T) {
	big := incident(1)
	big.Reading.Summary = strings.Repeat("x", store.MaxBytes)
	nan := journal.Record{Kind: journal.Decision, Data: math.NaN()}
	many, conds := []journal.Change{}, []store.Cond{}
	for i := range store.MaxOps {
		many = append(many, journal.PutIncident(incident(i)))
		conds = append(conds, store.Cond{Key: fmt.Sprint("k", i)})
	}
	for _, c := range []struct {
		name string
		rec  journal.Record
		ifs  []store.Cond
		also []string
		want string
	}{
		{"bytes", journal.Record{Kind: journal.Decision, Put: []journal.Change{journal.PutIncident(big)}}, nil, nil, "at most 1048576 bytes, got"},
		{"writes", journal.Record{Kind: journal.Decision, Put: many}, nil, nil, "at most 128 writes, got 130"},
		{"conditions", opened(1), conds, nil, "at most 128 conditions, got 129"},
		{"no kind", journal.Record{}, nil, nil, "needs a kind"},
		{"data", nan, nil, nil, "encode the data"},
		{"a time out of range", journal.Record{Kind: journal.Config, Put: []journal.Change{journal.PutActive(signalbox.ActiveConfig{At: noon.AddDate(10000, 0, 0)})}}, nil, nil, "encode config/active"},
		{"foreign key", journal.Record{Kind: journal.Config, Delete: []signalbox.Key{"journal/head"}}, nil, nil, `"journal/head" is not a key of the state`},
		{"broken name", journal.Record{Kind: journal.PageWanted, Put: []journal.Change{journal.PutPage(&signalbox.Page{Key: "\xff"})}}, nil, nil, "page/%FF: a name must be valid UTF-8"},
		{"empty name", journal.Record{Kind: journal.Config, Delete: []signalbox.Key{"incident/"}}, nil, nil, `"incident/" is not a key of the state`},
		{"no inbox", opened(1), nil, []string{"entry/1"}, `only keys of the inbox are deleted beside the records, got "entry/1"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			_, err := open(t, s, "").Write(context.Background(), nil, c.ifs, []journal.Record{c.rec}, c.also)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if large := strings.Contains(c.want, "at most"); large != errors.Is(err, journal.ErrTooLarge) {
				t.Errorf("ErrTooLarge: %v, want %v", !large, large)
			}
		})
	}
}

func TestDeletedAndPutAgain(t *testing.T) {
	j := open(t, newStore(t), "")
	recs := []journal.Record{{Kind: journal.IncidentForgotten, Delete: []signalbox.Key{signalbox.IncidentKey(incident(1).ID)}}, opened(1)}
	_, err := j.Write(context.Background(), nil, nil, recs, nil)
	if err == nil || !strings.Contains(err.Error(), "deleted and put again in one transaction") {
		t.Fatalf("got %v", err)
	}
}
