// Package store is one small durable interface: keys with revisions, and
// transactions that hold or do not. store/etcd (embedded or external) and
// store/mem implement it, and one conformance suite holds for both.
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
// larger of conditions and writes.
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

// ErrConflict: a condition of the Txn did not hold; nothing was written.
var ErrConflict = errors.New("store: a condition does not hold")

// ErrUnavailable: the store did not answer in time, or cannot. The Txn may or
// may not have been done.
var ErrUnavailable = errors.New("store: unavailable")

// ErrCompacted ends a Watch whose history is gone; list again.
var ErrCompacted = errors.New("store: history was compacted")

// Event is one change of one key; Deleted leaves only KV.Key and KV.Mod.
type Event struct {
	KV
	Deleted bool
}

// Batch is the changes of one revision or more, in order. With Err not nil it
// is the last one, and the channel is closed after it.
type Batch struct {
	Rev    Revision
	Events []Event
	Err    error
}

// Store is a linearizable key-value store. All methods are safe for concurrent
// use; each honours ctx, and adds a deadline of its own where ctx has none.
// Errors match ErrConflict, ErrUnavailable or ErrCompacted by errors.Is.
type Store interface {
	// List returns all keys under prefix in key order, at one revision.
	List(ctx context.Context, prefix string) ([]KV, Revision, error)
	// Get returns one key; ok is false where it does not exist.
	Get(ctx context.Context, key string) (kv KV, ok bool, err error)
	Commit(ctx context.Context, t Txn) (Revision, error)
	// Watch sends the changes under prefix after revision from, until ctx ends.
	Watch(ctx context.Context, prefix string, from Revision) (<-chan Batch, error)
	// Lead waits until this process leads role, or ctx ends.
	Lead(ctx context.Context, role string) (Leadership, error)
	// Close releases what the Store holds in this process.
	Close() error
}

// Leadership is the authority to act, under a lease.
type Leadership interface {
	// Context is cancelled when the lease is lost, or may be.
	Context() context.Context
	// Deadline moves with the keepalives, counted from before the last one
	// was sent; nothing starts past it. It is safe against a jump of the wall
	// clock and counts suspended time.
	Deadline() time.Time
	// Fence goes into every Txn of the leader: it holds while the lease does.
	Fence() Cond
	// Resign ends the leadership at once, so that a successor need not wait.
	Resign(ctx context.Context) error
}
