package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox/signalbox/internal/store"
)

// testModel does random transactions on the store and on a plain map, and
// compares every answer.
func testModel(t *testing.T, s store.Store) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		prefix := fmt.Sprintf("%d/", round)
		model := map[string]store.KV{}
		key := rapid.Map(rapid.IntRange(0, 4), func(i int) string { return prefix + strconv.Itoa(i) })
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			txn := drawTxn(rt, key, model)
			rev, err := s.Commit(within(t), txn)
			if holds := allHold(model, txn.Ifs); holds != (err == nil) || !holds && !errors.Is(err, store.ErrConflict) {
				rt.Fatalf("Commit(%+v) = %v, in the model its conditions hold: %t", txn, err, holds)
			}
			if err == nil {
				apply(model, txn, rev)
			}
			compare(rt, t, s, prefix, model)
		}
	})
}

func drawTxn(rt *rapid.T, key *rapid.Generator[string], model map[string]store.KV) store.Txn {
	var txn store.Txn
	for range rapid.IntRange(0, 3).Draw(rt, "ifs") {
		c := store.Cond{Key: key.Draw(rt, "if"), OnCreate: rapid.Bool().Draw(rt, "on create")}
		c.Rev = model[c.Key].Mod
		if c.OnCreate {
			c.Rev = model[c.Key].Create
		}
		if rapid.IntRange(0, 5).Draw(rt, "wrong") == 0 {
			c.Rev = rapid.SampledFrom([]store.Revision{0, model[c.Key].Create, 1 << 40}).Draw(rt, "rev")
		}
		txn.Ifs = append(txn.Ifs, c)
	}
	for _, k := range rapid.SliceOfNDistinct(key, 0, 4, rapid.ID).Draw(rt, "writes") {
		if rapid.Bool().Draw(rt, "put") {
			txn.Puts = append(txn.Puts, store.Put{Key: k, Value: []byte(rapid.String().Draw(rt, "value"))})
		} else {
			txn.Deletes = append(txn.Deletes, k)
		}
	}
	return txn
}

func allHold(model map[string]store.KV, ifs []store.Cond) bool {
	for _, c := range ifs {
		if c.OnCreate && model[c.Key].Create != c.Rev || !c.OnCreate && model[c.Key].Mod != c.Rev {
			return false
		}
	}
	return true
}

func apply(model map[string]store.KV, txn store.Txn, rev store.Revision) {
	for _, p := range txn.Puts {
		kv := store.KV{Key: p.Key, Value: p.Value, Create: rev, Mod: rev}
		if was, ok := model[p.Key]; ok {
			kv.Create = was.Create
		}
		model[p.Key] = kv
	}
	for _, k := range txn.Deletes {
		delete(model, k)
	}
}

func compare(rt *rapid.T, t *testing.T, s store.Store, prefix string, model map[string]store.KV) {
	kvs, _ := mustList(t, s, prefix)
	keys := slices.Sorted(maps.Keys(model))
	if len(kvs) != len(keys) {
		rt.Fatalf("List has %v, the model %v", kvs, model)
	}
	for i, k := range keys {
		if text(kvs[i]) != text(model[k]) {
			rt.Fatalf("List has %s, the model %s", text(kvs[i]), text(model[k]))
		}
	}
}

const writers = 16

// testCounter adds one from many goroutines by compare and set. Each value
// must be written once, and by rising revisions: a history in which some
// increment saw a stale value, or was lost, has a gap or a double.
func testCounter(t *testing.T, s store.Store) {
	const each = 15
	var mu sync.Mutex
	written := map[int]store.Revision{}
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range each {
				n, rev := increment(t, s, "counter")
				mu.Lock()
				if written[n] != 0 {
					t.Errorf("%d was written at %d and at %d", n, written[n], rev)
				}
				written[n] = rev
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for n := 1; n <= writers*each; n++ {
		if written[n] == 0 || written[n] <= written[n-1] {
			t.Errorf("%d was written at %d, after %d at %d", n, written[n], n-1, written[n-1])
		}
	}
}

func increment(t *testing.T, s store.Store, key string) (int, store.Revision) {
	for ctx := within(t); ctx.Err() == nil; {
		kv, _, err := s.Get(ctx, key)
		if err != nil {
			t.Errorf("Get = %v", err)
			return 0, 0
		}
		n, _ := strconv.Atoi(string(kv.Value))
		rev, err := s.Commit(ctx, store.Txn{
			Ifs:  []store.Cond{{Key: key, Rev: kv.Mod}},
			Puts: []store.Put{{Key: key, Value: []byte(strconv.Itoa(n + 1))}},
		})
		if err == nil {
			return n + 1, rev
		}
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("Commit = %v", err)
			return 0, 0
		}
	}
	t.Error("an increment did not get through")
	return 0, 0
}

func testClaim(t *testing.T, s store.Store) {
	for round := range 20 {
		key := fmt.Sprint("claim/", round)
		won := make(chan string, writers)
		var group sync.WaitGroup
		for i := range writers {
			group.Go(func() {
				_, err := s.Commit(within(t), store.Txn{Ifs: []store.Cond{{Key: key}}, Puts: []store.Put{{Key: key, Value: []byte(strconv.Itoa(i))}}})
				if err == nil {
					won <- strconv.Itoa(i)
				} else if !errors.Is(err, store.ErrConflict) {
					t.Errorf("Commit = %v", err)
				}
			})
		}
		group.Wait()
		if len(won) != 1 {
			t.Fatalf("%d claims of %s were granted, want 1", len(won), key)
		}
		if kv, _ := mustGet(t, s, key); string(kv.Value) != <-won {
			t.Fatalf("%s is held by %s, who was refused", key, kv.Value)
		}
	}
}
