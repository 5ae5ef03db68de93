package journal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// Options are what a Journal needs beside its store.
type Options struct {
	Now func() time.Time // wall time; needed
	Log *slog.Logger     // nil: nothing is logged
	// Dir is where Archive keeps its files; empty: there is no archive, and
	// all entries stay in the store.
	Dir string
	// FileBytes is the size at which an archive file is ended; 64 MiB when
	// zero.
	FileBytes int64
	// KeepFor and KeepBytes bound the archive by age and size: its oldest files
	// are deleted beyond either. Zero: none is ever deleted.
	KeepFor   time.Duration
	KeepBytes int64
}

// Journal writes and reads the journal of one store. All methods are safe for
// concurrent use, in one process and in several on one store; Dir belongs to
// one process that archives.
type Journal struct {
	store  store.Store
	o      Options
	writer string // this process, in inbox keys

	// lock is held by a Write: a channel, so that waiting for it ends with its
	// context.
	lock chan struct{}
	last headAt // under lock

	written atomic.Pointer[Mark]
	arrived arrival
	archive archive
}

// headAt is the journal's head, and the revision that put it.
type headAt struct {
	position
	mod   store.Revision // 0: there is no head
	known bool           // false: read it first
}

// Open returns the Journal of s. It reads the head, so that an unusable journal
// is known at once; a store that is away is no error, and is asked again at the
// first Write. The store stays the caller's to close.
func Open(ctx context.Context, s store.Store, o Options) (*Journal, error) {
	if o.Now == nil {
		return nil, errors.New("journal: Options.Now is needed")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FileBytes == 0 {
		o.FileBytes = 64 << 20
	}
	id := make([]byte, 6)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{store: s, o: o, writer: hex.EncodeToString(id), lock: make(chan struct{}, 1)}
	j.archive.lock = make(chan struct{}, 1)
	h, err := j.readHead(ctx)
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	j.last = h // not known yet when the store is away: the first Write reads it
	return j, nil
}

func (j *Journal) readHead(ctx context.Context) (headAt, error) {
	kv, ok, err := j.store.Get(ctx, headKey)
	if err != nil || !ok {
		return headAt{known: err == nil}, err
	}
	h, err := decodeHead(kv.Value)
	if err != nil {
		return headAt{}, err
	}
	return headAt{position: h.position, mod: kv.Mod, known: true}, nil
}

// hold takes a lock, or returns why ctx ended first.
func hold(ctx context.Context, lock chan struct{}) error {
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
}

// Load reads the State that the store holds, with the mod revision of each of
// its keys in Rev. What changes after the returned revision can be watched
// from it. An unknown version or a record that can't be decoded is an error
// that names its key.
func (j *Journal) Load(ctx context.Context) (*signalbox.State, store.Revision, error) {
	var s *signalbox.State
	_, rev, err := j.still(ctx, func() (rev store.Revision, err error) {
		s, rev, err = j.loadParts(ctx)
		return rev, err
	})
	if err != nil {
		return nil, 0, err
	}
	return s, rev, nil
}

// LoadToFollow is Load for one that then applies the changes after the returned
// revision: what is written while it reads may be in the State or not, and comes
// again. So it ends also beside one that writes without a pause.
func (j *Journal) LoadToFollow(ctx context.Context) (*signalbox.State, store.Revision, error) {
	for {
		s, rev, err := j.loadParts(ctx)
		if !errors.Is(err, store.ErrCompacted) {
			return s, rev, err
		}
	}
}

// LoadStore reads of the State what tells one store from another, and who has led
// it: the store's record, then the heartbeats. It costs the same however much is
// open.
func (j *Journal) LoadStore(ctx context.Context) (*signalbox.State, error) {
	kv, ok, err := j.store.Get(ctx, signalbox.StoreKey)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", signalbox.StoreKey, err)
	}
	kvs, _, err := j.store.List(ctx, signalbox.BeatPrefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", signalbox.BeatPrefix, err)
	}
	if ok {
		kvs = append(kvs, kv)
	}
	s := signalbox.NewState()
	for _, kv := range kvs {
		if err := take(s, kv); err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
	}
	return s, nil
}

// loadParts reads the State in parts that are decoded while the next is read, on
// all processors: a State can be large, and nothing is decided until it is
// there. It is not known whether all of it belongs together.
func (j *Journal) loadParts(ctx context.Context) (*signalbox.State, store.Revision, error) {
	d := newDecoders()
	rev, err := j.listParts(ctx, d.take)
	s, wrong := d.end()
	switch {
	case wrong != nil:
		return nil, 0, fmt.Errorf("load: %w", wrong)
	case err != nil:
		return nil, 0, err
	}
	return s, rev, nil
}

// snapshots bounds how often a snapshot is tried while others write.
const snapshots = 100

// snapshot returns the state's keys and the head that belongs to them.
func (j *Journal) snapshot(ctx context.Context) (kvs []store.KV, h headAt, rev store.Revision, err error) {
	h, rev, err = j.still(ctx, func() (store.Revision, error) {
		kvs = nil
		return j.listParts(ctx, func(part []store.KV) error {
			kvs = append(kvs, part...)
			return nil
		})
	})
	return kvs, h, rev, err
}

// still reads the state's keys until they belong together, and returns the head
// that they belong to. The keys are listed prefix by prefix, so that neither
// entries nor inbox are read; they belong together when the head, which every
// audited change moves, stood still. The revision is one before which all of it
// was written.
func (j *Journal) still(ctx context.Context, read func() (store.Revision, error)) (headAt, store.Revision, error) {
	for range snapshots {
		before, err := j.readHead(ctx)
		if err != nil {
			return headAt{}, 0, err
		}
		rev, err := read()
		if errors.Is(err, store.ErrCompacted) {
			continue
		}
		if err != nil {
			return headAt{}, 0, err
		}
		after, err := j.readHead(ctx)
		if err != nil {
			return headAt{}, 0, err
		}
		if before == after {
			return before, rev, nil
		}
	}
	return headAt{}, 0, fmt.Errorf("%w: the state changed during each of %d readings", store.ErrUnavailable, snapshots)
}

// listParts gives f the keys of all records of State, and returns the revision of
// the first listing: a watch from there misses nothing.
func (j *Journal) listParts(ctx context.Context, f func([]store.KV) error) (first store.Revision, err error) {
	for i, prefix := range statePrefixes() {
		rev, err := store.ListParts(ctx, j.store, prefix, f)
		if err != nil {
			return 0, fmt.Errorf("list %s: %w", prefix, err)
		}
		if i == 0 {
			first = rev
		}
	}
	return first, nil
}

// Controls reads the controls that are in force at this moment, past any copy.
func (j *Journal) Controls(ctx context.Context) (signalbox.Controls, error) {
	kv, ok, err := j.store.Get(ctx, signalbox.ControlsKey)
	if err != nil || !ok {
		return signalbox.Controls{}, err
	}
	c, err := open[signalbox.Controls](kv.Key, kv.Value)
	if err != nil {
		return signalbox.Controls{}, err
	}
	return *c, nil
}

// Active reads which configuration is in force at this moment; the zero value:
// none is yet.
func (j *Journal) Active(ctx context.Context) (signalbox.ActiveConfig, error) {
	kv, ok, err := j.store.Get(ctx, signalbox.ActiveKey)
	if err != nil || !ok {
		return signalbox.ActiveConfig{}, err
	}
	c, err := open[signalbox.ActiveConfig](kv.Key, kv.Value)
	if err != nil {
		return signalbox.ActiveConfig{}, err
	}
	return *c, nil
}

// PageOf reads an incident and its page from the store; nil: there is none.
func (j *Journal) PageOf(ctx context.Context, id signalbox.IncidentID) (*signalbox.Incident, *signalbox.Page, error) {
	inc, err := get[signalbox.Incident](ctx, j, signalbox.IncidentKey(id))
	if err != nil || inc == nil || inc.Page == "" {
		return inc, nil, err
	}
	page, err := get[signalbox.Page](ctx, j, signalbox.PageKey(inc.Page))
	return inc, page, err
}

func get[T any](ctx context.Context, j *Journal, key signalbox.Key) (*T, error) {
	kv, ok, err := j.store.Get(ctx, string(key))
	if err != nil || !ok {
		return nil, err
	}
	return open[T](kv.Key, kv.Value)
}
