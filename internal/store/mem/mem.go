// Package mem is a store.Store in memory, for tests and for replay: nothing of
// it is durable. It passes the same conformance suite as store/etcd, works in
// testing/synctest bubbles, and can be broken on purpose:
//
//   - Break and Mend: every call returns store.ErrUnavailable, watches end, and
//     keepalives go unanswered, as when the member is gone.
//   - BeforeCommit and AfterCommit: stop at a step, or lose an answer.
//   - Compact: forget history. Expire: end a lease from the outside.
//
// It has no goroutine of its own but one for each running Watch; the leases
// need timers only while the store is broken.
package mem

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signalbox/signalbox/internal/store"
)

// Store implements store.Store. Make it with New.
type Store struct {
	// TTL is how long a lease lasts without a keepalive; 5 s when zero. Set it
	// before the first Lead.
	TTL time.Duration

	mu        sync.Mutex
	rev       store.Revision
	values    map[string]store.KV
	keys      []string       // those of values, sorted
	history   []store.Batch  // one for each revision after compacted
	compacted store.Revision // history before it is gone
	changed   chan struct{}  // closed, and replaced, at each change of anything
	broken    error
	closed    bool
	held      map[string]*leadership
	before    func(store.Txn) error
	after     func(store.Txn, store.Revision) error
}

// New returns an empty store at revision 1, as etcd's first is.
func New() *Store {
	return &Store{
		rev:     1,
		values:  map[string]store.KV{},
		changed: make(chan struct{}),
		held:    map[string]*leadership{},
	}
}

// Break makes every call return an error that matches store.ErrUnavailable and
// err, until Mend. Running watches end with it.
func (s *Store) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		err = store.ErrUnavailable
	}
	s.broken = err
	for _, l := range s.held {
		l.unanswered()
	}
	s.signal()
}

// Mend ends what Break began.
func (s *Store) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = nil
	s.signal()
}

// BeforeCommit has f called by each Commit before anything is done; its error
// is returned, and nothing is written. Nil takes it away.
func (s *Store) BeforeCommit(f func(store.Txn) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// AfterCommit has f called by each Commit that was done, before it returns; its
// error is returned instead of the revision, as when an answer is lost. Nil
// takes it away.
func (s *Store) AfterCommit(f func(store.Txn, store.Revision) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = f
}

// Compact forgets the history before rev.
func (s *Store) Compact(_ context.Context, rev store.Revision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rev <= s.compacted || rev > s.rev {
		return fmt.Errorf("%w: compact: needs a revision in (%d, %d], got %d", store.ErrInvalid, s.compacted, s.rev, rev)
	}
	s.compacted = rev
	s.history = slices.Clone(slices.DeleteFunc(s.history, func(b store.Batch) bool { return b.Rev < rev }))
	s.signal()
	return nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]store.KV, store.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, 0, err
	}
	var kvs []store.KV
	from, _ := slices.BinarySearch(s.keys, prefix)
	for _, key := range s.keys[from:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		kvs = append(kvs, clone(s.values[key]))
	}
	return kvs, s.rev, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.KV, bool, error) {
	if err := store.CheckKey("key", key); err != nil {
		return store.KV{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return store.KV{}, false, err
	}
	kv, ok := s.values[key]
	return clone(kv), ok, nil
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, t store.Txn) (store.Revision, error) {
	if err := t.Check(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if err := before(t); err != nil {
			return 0, err
		}
	}
	rev, err := s.commit(ctx, t)
	if err == nil && after != nil {
		if err := after(t, rev); err != nil {
			return 0, err
		}
	}
	return rev, err
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, l := range s.held {
		l.lose()
	}
	clear(s.held)
	s.signal()
	return nil
}

func (s *Store) commit(ctx context.Context, t store.Txn) (store.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	for i, c := range t.Ifs {
		if !s.holds(c) {
			return 0, fmt.Errorf("%w: ifs[%d] %q", store.ErrConflict, i, c.Key)
		}
	}
	s.write(t)
	return s.rev, nil
}

func (s *Store) holds(c store.Cond) bool {
	kv := s.values[c.Key] // absent: both revisions are zero
	if c.OnCreate {
		return kv.Create == c.Rev
	}
	return kv.Mod == c.Rev
}

// write does the puts and deletes of t at the next revision, if they change
// anything.
func (s *Store) write(t store.Txn) {
	next := s.rev + 1
	var events []store.Event
	for _, p := range t.Puts {
		kv := store.KV{Key: p.Key, Value: slices.Clone(p.Value), Create: next, Mod: next}
		if was, ok := s.values[p.Key]; ok {
			kv.Create = was.Create
		} else {
			at, _ := slices.BinarySearch(s.keys, p.Key)
			s.keys = slices.Insert(s.keys, at, p.Key)
		}
		s.values[p.Key] = kv
		events = append(events, store.Event{KV: kv})
	}
	for _, key := range t.Deletes {
		if _, ok := s.values[key]; !ok {
			continue
		}
		delete(s.values, key)
		at, _ := slices.BinarySearch(s.keys, key)
		s.keys = slices.Delete(s.keys, at, at+1)
		events = append(events, store.Event{KV: store.KV{Key: key, Mod: next}, Deleted: true})
	}
	if len(events) == 0 {
		return
	}
	s.rev = next
	s.history = append(s.history, store.Batch{Rev: next, Events: events})
	s.signal()
}

// signal wakes all who wait for a change; the lock is held.
func (s *Store) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// usable returns why no call can be answered now; the lock is held.
func (s *Store) usable(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	case s.closed:
		return fmt.Errorf("%w: it is closed", store.ErrUnavailable)
	case s.broken != nil:
		return fmt.Errorf("%w: %w", store.ErrUnavailable, s.broken)
	}
	return nil
}

func clone(kv store.KV) store.KV {
	kv.Value = slices.Clone(kv.Value)
	return kv
}
