package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// The window of the TSDB bounds its memory and its files: the head holds at
// most one and a half blocks, and blocks older than the retention are deleted.
const (
	blockRange = 10 * time.Minute
	retention  = time.Hour
)

// history is a TSDB in a directory of its own, which goes away with it. It is
// a storage.Queryable, and safe for concurrent use.
type history struct {
	db  *tsdb.DB
	dir string

	// use is held for reading while the TSDB is in use: a closed one unmaps
	// the files that its readers look at.
	use    sync.RWMutex
	closed bool
}

var errClosed = errors.New("metrics: the company has closed")

// openHistory makes an empty TSDB in a new temporary directory.
func openHistory() (*history, error) {
	dir, err := os.MkdirTemp("", "signalbox-sandbox-")
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	opts := tsdb.DefaultOptions()
	opts.WALSegmentSize = -1 // nothing of it outlives the process
	opts.MinBlockDuration, opts.MaxBlockDuration = blockRange.Milliseconds(), blockRange.Milliseconds()
	opts.RetentionDuration = retention.Milliseconds()
	opts.StripeSize = 64 // a few dozen series
	db, err := tsdb.Open(dir, promslog.NewNopLogger(), nil, opts, nil)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", errors.Join(err, os.RemoveAll(dir)))
	}
	return &history{db: db, dir: dir}, nil
}

// record stores one scrape, all of it or nothing.
func (h *history) record(ctx context.Context, at time.Time, samples []sample) error {
	h.use.RLock()
	defer h.use.RUnlock()
	if h.closed {
		return errClosed
	}
	a := h.db.Appender(ctx)
	for _, s := range samples {
		if _, err := a.Append(0, s.labels, timestamp.FromTime(at), s.value); err != nil {
			return fmt.Errorf("metrics: %s: %w", s.labels, errors.Join(err, a.Rollback()))
		}
	}
	if err := a.Commit(); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// Querier opens a view of the samples between two times, in milliseconds since
// the epoch. The TSDB does not close before the view is closed.
func (h *history) Querier(from, to int64) (storage.Querier, error) {
	h.use.RLock()
	if h.closed {
		h.use.RUnlock()
		return nil, errClosed
	}
	q, err := h.db.Querier(from, to)
	if err != nil {
		h.use.RUnlock()
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &view{Querier: q, done: sync.OnceFunc(h.use.RUnlock)}, nil
}

type view struct {
	storage.Querier
	done func()
}

// Close gives the view back.
func (v *view) Close() error {
	defer v.done()
	return v.Querier.Close()
}

// close waits for what is under way, ends the TSDB and removes its directory.
func (h *history) close() error {
	h.use.Lock()
	defer h.use.Unlock()
	h.closed = true
	return errors.Join(h.db.Close(), os.RemoveAll(h.dir))
}
