package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/store"
)

func mustWatch(t testing.TB, s store.Store, prefix string, from store.Revision) <-chan store.Batch {
	t.Helper()
	batches, err := s.Watch(within(t), prefix, from)
	if err != nil {
		t.Fatalf("Watch(%q, %d) = %v", prefix, from, err)
	}
	return batches
}

// collect reads until n events came, and checks that the batches are in order.
func collect(t testing.TB, batches <-chan store.Batch, n int) []store.Event {
	t.Helper()
	var events []store.Event
	var last store.Revision
	for ctx := within(t); len(events) < n; {
		select {
		case b, ok := <-batches:
			if !ok || b.Err != nil {
				t.Fatalf("the watch ended after %d events of %d: %v", len(events), n, b.Err)
			}
			for _, e := range b.Events {
				if e.Mod < last {
					t.Fatalf("event of revision %d after %d", e.Mod, last)
				}
				last = e.Mod
			}
			if len(b.Events) == 0 || b.Rev != last {
				t.Fatalf("batch %+v, want events, and the revision of the last", b)
			}
			events = append(events, b.Events...)
		case <-ctx.Done():
			t.Fatalf("only %d events of %d came", len(events), n)
		}
	}
	return events
}

// wantEnd reads until the channel is closed, and returns the last batch's error.
func wantEnd(t testing.TB, batches <-chan store.Batch) error {
	t.Helper()
	var err error
	for ctx := within(t); ; {
		select {
		case b, ok := <-batches:
			if !ok {
				return err
			}
			if err != nil {
				t.Fatalf("a batch after the one with an error: %+v", b)
			}
			err = b.Err
		case <-ctx.Done():
			t.Fatal("the watch did not end")
		}
	}
}

func describe(events []store.Event) string {
	var b strings.Builder
	for _, e := range events {
		if e.Deleted {
			fmt.Fprintf(&b, "-%s ", e.Key)
		} else {
			fmt.Fprintf(&b, "%s=%s ", e.Key, e.Value)
		}
	}
	return strings.TrimSpace(b.String())
}

func testWatchOrder(t *testing.T, s store.Store) {
	_, from := mustList(t, s, "")
	batches := mustWatch(t, s, "a/", from)
	made := mustCommit(t, s, put("a/1", "x"))
	mustCommit(t, s, put("b/1", "another prefix"))
	mod := mustCommit(t, s, put("a/1", "y"))
	gone := mustCommit(t, s, store.Txn{Deletes: []string{"a/1"}})
	mustCommit(t, s, put("a/2", "z"))
	events := collect(t, batches, 4)
	if got, want := describe(events), "a/1=x a/1=y -a/1 a/2=z"; got != want {
		t.Fatalf("events %q, want %q", got, want)
	}
	if e := events[1]; e.Create != made || e.Mod != mod {
		t.Fatalf("a change is %s, want create %d mod %d", text(e.KV), made, mod)
	}
	if e := events[2]; e.Mod != gone || e.Create != 0 || len(e.Value) != 0 {
		t.Fatalf("a deletion is %s, want the key and mod %d alone", text(e.KV), gone)
	}
}

func testWatchFrom(t *testing.T, s store.Store) {
	var revs []store.Revision
	for i := range 50 {
		revs = append(revs, mustCommit(t, s, put("k", fmt.Sprint(i))))
	}
	for _, i := range []int{0, 30, 48} {
		events := collect(t, mustWatch(t, s, "", revs[i]), 49-i)
		if e := events[0]; string(e.Value) != fmt.Sprint(i+1) || len(events) != 49-i {
			t.Fatalf("a watch after revision %d began with %s and had %d events, want %d", revs[i], e.Value, len(events), 49-i)
		}
	}
	batches := mustWatch(t, s, "", revs[49])
	mustCommit(t, s, put("k", "new"))
	if got := describe(collect(t, batches, 1)); got != "k=new" {
		t.Fatalf("a watch from the present revision began with %s", got)
	}
}

func testWatchWhole(t *testing.T, s store.Store) {
	_, from := mustList(t, s, "")
	for i := range 30 {
		var txn store.Txn
		for j := range 20 {
			txn.Puts = append(txn.Puts, store.Put{Key: fmt.Sprintf("k/%d", j), Value: []byte(fmt.Sprint(i))})
		}
		mustCommit(t, s, txn)
	}
	seen := 0
	for b := range mustWatch(t, s, "k/", from) {
		if b.Err != nil {
			t.Fatal(b.Err)
		}
		of := map[store.Revision]int{}
		for _, e := range b.Events {
			of[e.Mod]++
		}
		for rev, n := range of {
			if n != 20 {
				t.Fatalf("revision %d came with %d events of 20", rev, n)
			}
		}
		if seen += len(b.Events); seen == 600 {
			return
		}
	}
	t.Fatalf("the watch ended after %d events", seen)
}

func testWatchEnds(t *testing.T, s store.Store) {
	_, from := mustList(t, s, "")
	ctx, cancel := context.WithCancel(within(t))
	read, err := s.Watch(ctx, "", from)
	if err != nil {
		t.Fatal(err)
	}
	unread, err := s.Watch(ctx, "", from)
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, put("a", "1"))
	collect(t, read, 1)
	cancel()
	for _, batches := range []<-chan store.Batch{read, unread} {
		if err := wantEnd(t, batches); err != nil {
			t.Fatalf("a watch whose context ended has a last batch with %v, want none", err)
		}
	}
}

func testWatchCompacted(t *testing.T, s store.Store) {
	c, ok := s.(Compacter)
	if !ok {
		t.Skip("the store can't be compacted from here")
	}
	_, from := mustList(t, s, "")
	var revs []store.Revision
	for i := range 10 {
		revs = append(revs, mustCommit(t, s, put("k", fmt.Sprint(i))))
	}
	if err := c.Compact(within(t), revs[8]); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "a watch of compacted history", wantEnd(t, mustWatch(t, s, "", from)), store.ErrCompacted)
	if got := describe(collect(t, mustWatch(t, s, "", revs[8]), 1)); got != "k=9" {
		t.Fatalf("a watch after the compacted revision began with %s, want k=9", got)
	}
	if kv, _ := mustGet(t, s, "k"); string(kv.Value) != "9" || kv.Create != revs[0] {
		t.Fatalf("after compaction: %s", text(kv))
	}
}
