package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/store"
)

func testRead(t *testing.T, s store.Store) {
	if kv, ok := mustGet(t, s, "a"); ok {
		t.Fatalf("Get of an empty store = %s", text(kv))
	}
	_, empty := mustList(t, s, "")
	if empty < 1 {
		t.Fatalf("the first revision = %d, want above zero", empty)
	}
	made := mustCommit(t, s, put("a", "1"))
	if made <= empty {
		t.Fatalf("revision of a commit = %d, want above %d", made, empty)
	}
	changed := mustCommit(t, s, put("a", "2"))
	kv, ok := mustGet(t, s, "a")
	if !ok || kv.Key != "a" || string(kv.Value) != "2" || kv.Create != made || kv.Mod != changed {
		t.Fatalf("Get = %s, %t, want a=2 create %d mod %d", text(kv), ok, made, changed)
	}
	kvs, rev := mustList(t, s, "")
	if len(kvs) != 1 || text(kvs[0]) != text(kv) || rev != changed {
		t.Fatalf("List = %v at %d, want that key at %d", kvs, rev, changed)
	}
	gone := mustCommit(t, s, store.Txn{Deletes: []string{"a"}})
	if kv, ok := mustGet(t, s, "a"); ok || gone <= changed {
		t.Fatalf("Get of a deleted key = %s at %d", text(kv), gone)
	}
	again := mustCommit(t, s, put("a", ""))
	if kv, ok := mustGet(t, s, "a"); !ok || len(kv.Value) != 0 || kv.Create != again {
		t.Fatalf("Get of a key made again = %s, %t, want an empty value, create %d", text(kv), ok, again)
	}
	_, _, err := s.Get(within(t), "")
	wantErr(t, "Get of an empty key", err, store.ErrInvalid)
}

func testOrder(t *testing.T, s store.Store) {
	for _, key := range []string{"x/b", "x/a/2", "w", "x/", "x0", "x/a", "x/ä", "X/a", "x"} {
		mustCommit(t, s, put(key, key))
	}
	kvs, _ := mustList(t, s, "x/")
	var got []string
	for _, kv := range kvs {
		got = append(got, kv.Key)
	}
	if want := "x/ x/a x/a/2 x/b x/ä"; strings.Join(got, " ") != want {
		t.Fatalf("List(x/) = %q, want %q", got, want)
	}
	if kvs, _ := mustList(t, s, "y"); len(kvs) != 0 {
		t.Fatalf("List(y) = %v, want none", kvs)
	}
}

// testLongList is longer than a page of any implementation. Keys that begin with
// the key before them, wherever a page ends, are easily left out.
func testLongList(t *testing.T, s store.Store) {
	const txns = 40
	key := func(i, j int) string { return fmt.Sprintf("k/%03d/%03d", i, j/3) + strings.Repeat("!", j%3) }
	for i := range txns {
		var txn store.Txn
		for j := range store.MaxOps {
			txn.Puts = append(txn.Puts, store.Put{Key: key(i, j)})
		}
		mustCommit(t, s, txn)
	}
	kvs, _ := mustList(t, s, "k/")
	if len(kvs) != txns*store.MaxOps {
		t.Fatalf("List has %d keys, want %d", len(kvs), txns*store.MaxOps)
	}
	for i, kv := range kvs {
		if want := key(i/store.MaxOps, i%store.MaxOps); kv.Key != want {
			t.Fatalf("List()[%d] = %s, want %s", i, kv.Key, want)
		}
	}
	inParts(t, s, kvs)
}

// inParts lists in parts what List gave at once, also while others write, and
// ends with its reader.
func inParts(t *testing.T, s store.Store, all []store.KV) {
	t.Helper()
	var got []store.KV
	var last store.Revision
	rev, err := store.ListParts(within(t), s, "k/", func(part []store.KV) error {
		got = append(got, part...)
		last = mustCommit(t, s, put(fmt.Sprintf("k/%03d", len(got)), "not there yet"))
		return nil
	})
	if err != nil || rev >= last || len(got) != len(all) {
		t.Fatalf("in parts there are %d keys at revision %d, %v; want %d before %d", len(got), rev, err, len(all), last)
	}
	for i := range all {
		if got[i].Key != all[i].Key || got[i].Mod != all[i].Mod {
			t.Fatalf("in parts [%d] is %s, want %s", i, got[i].Key, all[i].Key)
		}
	}
	enough, calls := errors.New("enough"), 0
	_, err = store.ListParts(within(t), s, "k/", func([]store.KV) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("a reader that has enough was called %d times: %v", calls, err)
	}
}

func testConditions(t *testing.T, s store.Store) {
	made := mustCommit(t, s, put("a", "1"))
	mod := mustCommit(t, s, put("a", "2"))
	for _, tt := range []struct {
		name string
		cond store.Cond
		ok   bool
	}{
		{"absent holds", store.Cond{Key: "b"}, true},
		{"absent by creation holds", store.Cond{Key: "b", OnCreate: true}, true},
		{"absent of a present key", store.Cond{Key: "a"}, false},
		{"absent by creation of a present key", store.Cond{Key: "a", OnCreate: true}, false},
		{"mod holds", store.Cond{Key: "a", Rev: mod}, true},
		{"mod is old", store.Cond{Key: "a", Rev: made}, false},
		{"mod of an absent key", store.Cond{Key: "b", Rev: mod}, false},
		{"create holds", store.Cond{Key: "a", Rev: made, OnCreate: true}, true},
		{"create is another", store.Cond{Key: "a", Rev: mod, OnCreate: true}, false},
	} {
		_, err := s.Commit(within(t), store.Txn{Ifs: []store.Cond{tt.cond}, Puts: []store.Put{{Key: "witness/" + tt.name}}})
		if tt.ok && err != nil {
			t.Errorf("%s: Commit = %v", tt.name, err)
		}
		if !tt.ok && !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: Commit = %v, want ErrConflict", tt.name, err)
		}
		if _, written := mustGet(t, s, "witness/"+tt.name); written != tt.ok {
			t.Errorf("%s: written is %t, want %t", tt.name, written, tt.ok)
		}
	}
}

func testConflict(t *testing.T, s store.Store) {
	mustCommit(t, s, store.Txn{Puts: []store.Put{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("1")}}})
	before, rev := mustList(t, s, "")
	_, err := s.Commit(within(t), store.Txn{
		Ifs:     []store.Cond{{Key: "absent"}, {Key: "a", Rev: rev}, {Key: "b"}},
		Puts:    []store.Put{{Key: "a", Value: []byte("2")}, {Key: "c"}},
		Deletes: []string{"b"},
	})
	wantErr(t, "Commit", err, store.ErrConflict)
	after, now := mustList(t, s, "")
	if now != rev || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Fatalf("after a conflict: %v at %d, want %v at %d", after, now, before, rev)
	}
}

func testOneRevision(t *testing.T, s store.Store) {
	mustCommit(t, s, put("gone", ""))
	rev := mustCommit(t, s, store.Txn{
		Ifs:     []store.Cond{{Key: "a"}},
		Puts:    []store.Put{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("2")}},
		Deletes: []string{"gone", "never"},
	})
	kvs, at := mustList(t, s, "")
	if len(kvs) != 2 || kvs[0].Mod != rev || kvs[1].Mod != rev || kvs[0].Create != rev || at != rev {
		t.Fatalf("List = %v at %d, want a and b at %d", kvs, at, rev)
	}
}

func testNoEffect(t *testing.T, s store.Store) {
	rev := mustCommit(t, s, put("a", "1"))
	for name, txn := range map[string]store.Txn{
		"empty":            {},
		"conditions alone": {Ifs: []store.Cond{{Key: "a", Rev: rev}}},
		"deletes nothing":  {Deletes: []string{"b"}},
	} {
		if got := mustCommit(t, s, txn); got != rev {
			t.Errorf("%s: revision %d, want the present one, %d", name, got, rev)
		}
	}
}

func testLimits(t *testing.T, s store.Store) {
	var most store.Txn
	for i := range store.MaxOps {
		most.Ifs = append(most.Ifs, store.Cond{Key: fmt.Sprint("c/", i)})
		most.Puts = append(most.Puts, store.Put{Key: fmt.Sprint("p/", i), Value: make([]byte, 512)})
	}
	mustCommit(t, s, most)
	biggest := store.Txn{Puts: []store.Put{{Key: "big", Value: bytes.Repeat([]byte("x"), store.MaxBytes-3)}}}
	mustCommit(t, s, biggest)
	if kv, _ := mustGet(t, s, "big"); len(kv.Value) != store.MaxBytes-3 {
		t.Fatalf("the biggest value comes back with %d bytes", len(kv.Value))
	}
	_, rev := mustList(t, s, "")
	for name, txn := range map[string]store.Txn{
		"conditions": {Ifs: append(most.Ifs, store.Cond{Key: "one more"})},
		"writes":     {Puts: most.Puts, Deletes: []string{"one more"}},
		"bytes":      {Puts: append(biggest.Puts, store.Put{Key: "k"})},
		"twice":      {Puts: []store.Put{{Key: "k"}, {Key: "k"}}},
		"leader":     put(store.LeadPrefix+"x", ""),
	} {
		_, err := s.Commit(within(t), txn)
		wantErr(t, name, err, store.ErrInvalid)
	}
	if _, now := mustList(t, s, ""); now != rev {
		t.Fatalf("a refused txn moved the revision from %d to %d", rev, now)
	}
}

func testNotShared(t *testing.T, s store.Store) {
	value := []byte("abc")
	mustCommit(t, s, store.Txn{Puts: []store.Put{{Key: "a", Value: value}}})
	value[0] = 'X'
	kv, _ := mustGet(t, s, "a")
	kv.Value[1] = 'X'
	kvs, _ := mustList(t, s, "a")
	kvs[0].Value[2] = 'X'
	if kv, _ := mustGet(t, s, "a"); string(kv.Value) != "abc" {
		t.Fatalf("the value was changed from outside: %s", kv.Value)
	}
}

func testEndedContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.Get(ctx, "a")
	wantErr(t, "Get", err, store.ErrUnavailable, context.Canceled)
	_, _, err = s.List(ctx, "a")
	wantErr(t, "List", err, store.ErrUnavailable, context.Canceled)
	_, err = s.Commit(ctx, put("a", "1"))
	wantErr(t, "Commit", err, store.ErrUnavailable, context.Canceled)
	_, err = s.Lead(ctx, "a")
	wantErr(t, "Lead", err, store.ErrUnavailable, context.Canceled)
}

func testClosed(t *testing.T, s store.Store) {
	l, err := s.Lead(within(t), "engine")
	if err != nil {
		t.Fatal(err)
	}
	_, from := mustList(t, s, "")
	batches := mustWatch(t, s, "", from)
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	lost(t, l)
	for b := range batches {
		if b.Err != nil {
			wantErr(t, "last batch of a closed store", b.Err, store.ErrUnavailable)
		}
	}
	_, err = s.Commit(within(t), put("a", "1"))
	wantErr(t, "Commit", err, store.ErrUnavailable)
	_, _, err = s.Get(within(t), "a")
	wantErr(t, "Get", err, store.ErrUnavailable)
	_, _, err = s.List(within(t), "a")
	wantErr(t, "List", err, store.ErrUnavailable)
	_, err = s.Lead(within(t), "engine")
	wantErr(t, "Lead", err, store.ErrUnavailable)
	if err := s.Close(); err != nil {
		t.Fatalf("second Close() = %v", err)
	}
}
