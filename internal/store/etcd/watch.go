package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/signalbox/signalbox/internal/store"
)

// Watch implements store.Store. It ends too when the member that serves it
// sees no leader of the cluster, since it would then be silent for long.
func (s *Store) Watch(ctx context.Context, prefix string, from store.Revision) (<-chan store.Batch, error) {
	client, err := s.current()
	if err != nil {
		return nil, fmt.Errorf("watch %q: %w", prefix, err)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("watch %q: %w", prefix, mapped(ctx, ctx.Err()))
	}
	inner, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	answers := client.Watch(inner, prefix, clientv3.WithPrefix(), clientv3.WithRev(int64(from)+1))
	out := make(chan store.Batch)
	go func() {
		defer close(out)
		defer cancel()
		feed(ctx, from, answers, out)
	}()
	return out, nil
}

// feed passes the answers of a watch on, until one is the last.
func feed(ctx context.Context, from store.Revision, answers <-chan clientv3.WatchResponse, out chan<- store.Batch) {
	for {
		var batch store.Batch
		answer, ok := <-answers // closed by the client when ctx ends
		switch err := answer.Err(); {
		case ctx.Err() != nil:
			return
		case !ok:
			batch = store.Batch{Rev: from, Err: fmt.Errorf("watch: %w: the client was closed", store.ErrUnavailable)}
		case errors.Is(err, rpctypes.ErrCompacted):
			batch = store.Batch{Rev: from, Err: fmt.Errorf("watch: %w before revision %d", store.ErrCompacted, answer.CompactRevision)}
		case err != nil:
			batch = store.Batch{Rev: from, Err: fmt.Errorf("watch: %w", mapped(ctx, err))}
		case len(answer.Events) == 0:
			continue // news of the watch itself
		default:
			batch = fromEvents(answer.Events)
			from = batch.Rev
		}
		select {
		case out <- batch:
		case <-ctx.Done():
			return
		}
		if batch.Err != nil {
			return
		}
	}
}

// fromEvents takes Rev from the last event, not from the header of the answer:
// that one may be ahead of events that are still to come.
func fromEvents(events []*clientv3.Event) store.Batch {
	batch := store.Batch{Events: make([]store.Event, len(events))}
	for i, e := range events {
		batch.Events[i] = store.Event{KV: fromEtcd(e.Kv), Deleted: e.Type == mvccpb.DELETE}
		batch.Rev = store.Revision(e.Kv.ModRevision)
	}
	return batch
}
