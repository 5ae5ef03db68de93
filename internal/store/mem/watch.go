package mem

import (
	"context"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/internal/store"
)

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, from store.Revision) (<-chan store.Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	out := make(chan store.Batch)
	go s.feed(ctx, prefix, from, out)
	return out, nil
}

// feed sends what comes after revision from, until there is no more.
func (s *Store) feed(ctx context.Context, prefix string, from store.Revision, out chan<- store.Batch) {
	defer close(out)
	for {
		batch, changed := s.next(ctx, prefix, from)
		if batch.Err == nil && len(batch.Events) == 0 {
			from = max(from, batch.Rev) // what it has seen is not looked through again
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case out <- batch:
		case <-ctx.Done():
			return
		}
		if batch.Err != nil {
			return
		}
		from = batch.Rev
	}
}

// next returns the first Batch after revision from, and what to wait on when
// there is none yet: then it has no events, and Rev is up to where it looked.
func (s *Store) next(ctx context.Context, prefix string, from store.Revision) (store.Batch, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return store.Batch{}, s.changed
	}
	if err := s.usable(ctx); err != nil {
		return store.Batch{Rev: from, Err: err}, s.changed
	}
	if from+1 < s.compacted {
		return store.Batch{Rev: from, Err: store.ErrCompacted}, s.changed
	}
	at, _ := slices.BinarySearchFunc(s.history, from+1, func(b store.Batch, rev store.Revision) int { return int(b.Rev - rev) })
	for _, b := range s.history[at:] {
		var events []store.Event
		for _, e := range b.Events {
			if strings.HasPrefix(e.Key, prefix) {
				e.KV = clone(e.KV)
				events = append(events, e)
			}
		}
		if len(events) > 0 {
			return store.Batch{Rev: b.Rev, Events: events}, s.changed
		}
	}
	return store.Batch{Rev: s.rev}, s.changed
}
