package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/signalbox/signalbox/internal/store"
)

const (
	// electionPause lies between two tries to lead while the store does not do
	// what it is asked for.
	electionPause = 250 * time.Millisecond
	// lookAgain bounds a wait for the predecessor's end: a watch is a hint.
	lookAgain = 15 * time.Second
)

// errTaken: another process leads, or this one lost the race.
var errTaken = errors.New("the role is taken")

// Lead implements store.Store.
func (s *Store) Lead(ctx context.Context, role string) (store.Leadership, error) {
	if err := store.CheckKey("role", role); err != nil {
		return nil, err
	}
	key := store.LeadPrefix + role
	for ctx.Err() == nil {
		l, err := s.campaign(ctx, key)
		switch {
		case err == nil:
			return l, nil
		case errors.Is(err, errClosed):
			return nil, fmt.Errorf("lead %q: %w", role, err)
		case errors.Is(err, errTaken):
			err = s.awaitDeletion(ctx, key)
		}
		if err != nil {
			s.log.Debug("can't lead yet", "role", role, "error", err)
			s.pauseWhileDown(ctx, electionPause)
		}
	}
	return nil, fmt.Errorf("lead %q: %w: %w", role, store.ErrUnavailable, ctx.Err())
}

// campaign puts key under a new lease if it does not exist.
func (s *Store) campaign(ctx context.Context, key string) (*leadership, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	client, err := s.current()
	if err != nil {
		return nil, err
	}
	if _, taken, err := s.Get(ctx, key); err != nil {
		return nil, err
	} else if taken {
		return nil, errTaken
	}
	sent := s.clock()
	lease, err := client.Grant(ctx, int64(s.ttl/time.Second))
	if err != nil {
		return nil, mapped(ctx, err)
	}
	s.mu.RLock()
	holder := s.holder
	s.mu.RUnlock()
	answer, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, holder, clientv3.WithLease(lease.ID))).Commit()
	if err != nil || !answer.Succeeded {
		s.revoke(context.WithoutCancel(ctx), lease.ID) // else it would run for a TTL, perhaps with the key
		if err != nil {
			return nil, mapped(ctx, err)
		}
		return nil, errTaken
	}
	fence := store.Cond{Key: key, Rev: store.Revision(answer.Header.Revision), OnCreate: true}
	return s.hold(ctx, lease.ID, fence, sent)
}

// awaitDeletion returns nil when key is gone, or when it is time to look again.
func (s *Store) awaitDeletion(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, lookAgain)
	defer cancel()
	kv, taken, err := s.Get(ctx, key)
	if err != nil || !taken {
		return err
	}
	batches, err := s.Watch(ctx, key, kv.Mod)
	if err != nil {
		return err
	}
	for b := range batches {
		if b.Err != nil {
			return b.Err
		}
		for _, e := range b.Events {
			if e.Key == key && e.Deleted {
				return nil
			}
		}
	}
	return nil
}

// revoke ends a lease and what is under it, as well as it can.
func (s *Store) revoke(ctx context.Context, id clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	client, err := s.current()
	if err == nil {
		_, err = client.Revoke(ctx, id)
	}
	if err != nil {
		s.log.Debug("a lease is left to run out", "lease", int64(id), "error", err)
	}
}
