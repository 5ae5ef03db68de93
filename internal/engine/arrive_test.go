package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/store"
)

// late is a Store that is not there from the first moment on.
type late struct {
	store.Store
	up chan struct{}
}

func (l *late) Await(ctx context.Context) error {
	select {
	case <-l.up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A daemon begins its work when its store is there, not some pause later: while
// it waits nobody acts.
func TestArrivesWithItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		up := make(chan struct{})
		w.options = func(o *engine.Options) { o.Store = &late{Store: o.Store, up: up} }
		var first atomic.Int64 // after began; 0: not yet
		began := time.Now()
		w.commit = func(ctx context.Context, txn store.Txn) (store.Revision, error) {
			select {
			case <-up:
			default:
				return 0, store.ErrUnavailable
			}
			first.CompareAndSwap(0, int64(time.Since(began)))
			return w.store.Commit(ctx, txn)
		}
		const comes = 1234 * time.Millisecond
		time.AfterFunc(comes, func() { close(up) })
		w.start()
		w.after(10 * time.Second)
		if took := time.Duration(first.Load()); took != comes {
			t.Errorf("the store came after %v and was first written to after %v", comes, took)
		}
	})
}
