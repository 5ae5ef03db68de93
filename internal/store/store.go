// Package store is one small durable interface: keys with revisions, and
// transactions that hold or do not. store/etcd (embedded or external) and
// store/mem implement it, and one conformance suite, store/storetest, holds for
// both.
//
// What is promised, and by whom: a Commit is atomic, and durable before it
// returns; List, Get and Commit are linearizable; the Events of one revision
// are never split over two Batches. They are etcd's guarantees
// (https://etcd.io/docs/v3.6/learning/api_guarantees/). A lease is only a hint:
// its holder may be stopped for longer than it lasts. So the leader's Fence
// belongs into every one of its Txns, and nothing starts past its Deadline.
package store

import (
	"context"
	"errors"
	"time"
)

// Revision orders all commits of a store. The first is above zero.
type Revision int64

// KV is one key with its value. Create is the revision that made it, Mod the
// one that last changed it.
type KV struct {
	Key    string
	Value  []byte
	Create Revision
	Mod    Revision
}

// Cond is a condition of a transaction. A zero Rev means that the key must not
// exist; otherwise its mod revision must be Rev, or with OnCreate its create
// revision.
type Cond struct {
	Key      string
	Rev      Revision
	OnCreate bool
}

// Put writes one key.
type Put struct {
	Key   string
	Value []byte
}

// Txn is done whole when all Ifs hold, else not at all. MaxOps bounds the
// larger of conditions and writes. A key is written at most once in a Txn, and
// the keys under LeadPrefix are written by Lead alone; Check says so early.
type Txn struct {
	Ifs     []Cond
	Puts    []Put
	Deletes []string
}

// MaxOps is the greatest number of conditions, and of writes, in one Txn:
// etcd's default limit.
const MaxOps = 128

// MaxBytes bounds the size of one Txn, under etcd's request limit of 1.5 MiB.
const MaxBytes = 1 << 20

// LeadPrefix holds the keys of the leaders, one for each role.
const LeadPrefix = "lead/"

// ErrConflict: a condition of the Txn did not hold; nothing was written.
var ErrConflict = errors.New("store: a condition does not hold")

// ErrUnavailable: the store did not answer in time, or cannot. The Txn may or
// may not have been done.
var ErrUnavailable = errors.New("store: unavailable")

// ErrCompacted ends a Watch whose history is gone; list again.
var ErrCompacted = errors.New("store: history was compacted")

// ErrInvalid: no store takes this Txn, role or key; nothing was written, and
// to try again is of no use.
var ErrInvalid = errors.New("store: invalid request")

// Event is one change of one key; Deleted leaves only KV.Key and KV.Mod.
type Event struct {
	KV
	Deleted bool
}

// Batch is the changes of one revision or more, in order; Rev is that of the
// last. With Err not nil it is the last one and holds no Events, and the
// channel is closed after it.
type Batch struct {
	Rev    Revision
	Events []Event
	Err    error
}

// Store is a linearizable key-value store. All methods are safe for concurrent
// use; each honours ctx, and adds a deadline of its own where ctx has none.
// Errors match ErrConflict, ErrUnavailable, ErrCompacted or ErrInvalid by
// errors.Is; those of a ctx that ended match ErrUnavailable and ctx's own.
type Store interface {
	// List returns all keys under prefix in key order, at one revision.
	List(ctx context.Context, prefix string) ([]KV, Revision, error)
	// Get returns one key; ok is false where it does not exist.
	Get(ctx context.Context, key string) (kv KV, ok bool, err error)
	// Commit does t and returns its revision, which its keys then have. It is
	// sent at most once. A Txn that changes nothing has no revision of its
	// own: the store's present one is returned.
	Commit(ctx context.Context, t Txn) (Revision, error)
	// Watch sends the changes under prefix after revision from, until ctx
	// ends, which closes the channel with no last Batch. It has no deadline.
	// It ends with ErrUnavailable when the store goes away: watch again from
	// the last Batch.Rev. An idle channel proves nothing, so list from time to
	// time.
	Watch(ctx context.Context, prefix string, from Revision) (<-chan Batch, error)
	// Lead waits until this process leads role, or ctx ends; it outlasts
	// times when the store is unavailable. ctx bounds the wait alone, not the
	// Leadership.
	Lead(ctx context.Context, role string) (Leadership, error)
	// Close releases what the Store holds in this process. Its leaderships are
	// lost to it, and not resigned.
	Close() error
}

// Parts is a Store that gives a long listing in parts, so that its reader needs
// not hold all of it at once.
type Parts interface {
	// ListParts gives f all keys under prefix, in key order and at one revision,
	// until f returns an error. After ErrCompacted, when history was compacted
	// between two parts, what f got is of no use.
	ListParts(ctx context.Context, prefix string, f func([]KV) error) (Revision, error)
}

// ListParts lists in parts where s can, and else at once.
func ListParts(ctx context.Context, s Store, prefix string, f func([]KV) error) (Revision, error) {
	if parts, ok := s.(Parts); ok {
		return parts.ListParts(ctx, prefix, f)
	}
	kvs, rev, err := s.List(ctx, prefix)
	if err == nil {
		err = f(kvs)
	}
	return rev, err
}

// Starter is a Store that is not there from the first moment on.
type Starter interface {
	// Await waits until the Store is there, or ctx ends.
	Await(ctx context.Context) error
}

// Await waits for s where it has to be waited for, so that what needs it begins
// at once and not after a pause.
func Await(ctx context.Context, s Store) error {
	if starter, ok := s.(Starter); ok {
		return starter.Await(ctx)
	}
	return nil
}

// Leadership is the authority to act, under a lease. Its methods are safe for
// concurrent use.
type Leadership interface {
	// Context is cancelled when the lease is lost, or may be.
	Context() context.Context
	// Deadline moves with the keepalives, counted from before the last one
	// was sent; nothing starts past it. It is safe against a jump of the wall
	// clock and counts suspended time, both as of its call: compare it with
	// time.Now at once, and don't keep it.
	Deadline() time.Time
	// Fence goes into every Txn of the leader: it holds while the lease does.
	Fence() Cond
	// Resign ends the leadership at once, so that a successor need not wait.
	// Call it when nothing that was started under it still runs. A second
	// call does nothing.
	Resign(ctx context.Context) error
}
