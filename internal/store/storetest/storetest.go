// Package storetest is the conformance suite of store.Store: what the journal
// and the engine rely on, whoever keeps the keys.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
)

// Open returns an empty store whose leases last a few seconds, and has the test
// close it.
type Open func(t *testing.T) store.Store

// Compacter is implemented by stores whose history can be forgotten; the cases
// of ErrCompacted are skipped for others.
type Compacter interface {
	Compact(ctx context.Context, rev store.Revision) error
}

// Expirer is implemented by stores whose leases can be ended from the outside,
// as when they run out; the cases of a lost lease are skipped for others.
type Expirer interface {
	Expire(role string)
}

// patience bounds every wait; no test passes by reaching it.
const patience = 30 * time.Second

// Run holds the stores that open returns to the promises of store.Store.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"get and list", testRead},
		{"order of list", testOrder},
		{"long list", testLongList},
		{"conditions", testConditions},
		{"conflict writes nothing", testConflict},
		{"txn is one revision", testOneRevision},
		{"txn without effect", testNoEffect},
		{"limits", testLimits},
		{"values are not shared", testNotShared},
		{"ended context", testEndedContext},
		{"closed", testClosed},
		{"random txns against a model", testModel},
		{"counter of many writers", testCounter},
		{"one claim of many", testClaim},
		{"watch in order", testWatchOrder},
		{"watch from a revision", testWatchFrom},
		{"watch keeps revisions whole", testWatchWhole},
		{"watch ends with its context", testWatchEnds},
		{"watch of compacted history", testWatchCompacted},
		{"one leader at a time", testLeadOne},
		{"leaders of two roles", testLeadRoles},
		{"resign hands over", testLeadResign},
		{"fence", testLeadFence},
		{"waiting ends with its context", testLeadContext},
		{"deadline moves", testLeadDeadline},
		{"expired lease", testLeadExpired},
		{"many contenders", testLeadMany},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func put(key, value string) store.Txn {
	return store.Txn{Puts: []store.Put{{Key: key, Value: []byte(value)}}}
}

func mustCommit(t testing.TB, s store.Store, txn store.Txn) store.Revision {
	t.Helper()
	rev, err := s.Commit(within(t), txn)
	if err != nil {
		t.Fatalf("Commit(%+v) = %v", txn, err)
	}
	return rev
}

func mustGet(t testing.TB, s store.Store, key string) (store.KV, bool) {
	t.Helper()
	kv, ok, err := s.Get(within(t), key)
	if err != nil {
		t.Fatalf("Get(%q) = %v", key, err)
	}
	return kv, ok
}

func mustList(t testing.TB, s store.Store, prefix string) ([]store.KV, store.Revision) {
	t.Helper()
	kvs, rev, err := s.List(within(t), prefix)
	if err != nil {
		t.Fatalf("List(%q) = %v", prefix, err)
	}
	return kvs, rev
}

func wantErr(t testing.TB, what string, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Fatalf("%s = %v, want an error that matches %q", what, err, w)
		}
	}
}

func text(kv store.KV) string {
	return fmt.Sprintf("%s=%s create %d mod %d", kv.Key, kv.Value, kv.Create, kv.Mod)
}
