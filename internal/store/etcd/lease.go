package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/signalbox/signalbox/internal/store"
)

// leadership is a held lease. Its keepalives are our own and not the client's,
// because what counts is when each was sent.
type leadership struct {
	s      *Store
	lease  clientv3.LeaseID
	fence  store.Cond
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when no keepalive will be sent any more

	mu    sync.Mutex
	until time.Duration // on the store's clock; nothing starts past it
}

// Causes of a lost leadership, to be read by context.Cause.
var (
	errDeadline = errors.New("etcd: no keepalive was answered within two thirds of the lease's TTL")
	errRevoked  = errors.New("etcd: the lease is gone")
	errDeposed  = errors.New("etcd: the leader's key was deleted or taken")
	errResigned = errors.New("etcd: resigned")
)

// hold begins the leadership of a lease that was asked for at sent.
func (s *Store) hold(ctx context.Context, id clientv3.LeaseID, fence store.Cond, sent time.Duration) (*leadership, error) {
	l := &leadership{s: s, lease: id, fence: fence, done: make(chan struct{}), until: sent + s.usable()}
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		l.cancel(errClosed)
		return nil, errClosed
	}
	s.held[l] = struct{}{}
	go l.keep()
	return l, nil
}

// usable is the part of a lease that its holder counts on.
func (s *Store) usable() time.Duration { return s.ttl * 2 / 3 }

// Context implements store.Leadership; context.Cause says why it ended.
func (l *leadership) Context() context.Context { return l.ctx }

// Fence implements store.Leadership.
func (l *leadership) Fence() store.Cond { return l.fence }

// Deadline implements store.Leadership. It is reckoned anew at each call, from
// what the boot-time clock leaves.
func (l *leadership) Deadline() time.Time { return time.Now().Add(l.left()) }

// left is below zero past the deadline, and once the leadership is lost.
func (l *leadership) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until - l.s.clock()
}

// Resign implements store.Leadership.
func (l *leadership) Resign(ctx context.Context) error {
	l.lose(errResigned)
	<-l.done
	ctx, cancel := l.s.bound(ctx)
	defer cancel()
	client, err := l.s.current()
	if err != nil {
		return fmt.Errorf("resign: %w", err)
	}
	if _, err := client.Revoke(ctx, l.lease); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("resign: %w", mapped(ctx, err))
	}
	return nil
}

// lose ends the leadership in this process; the first cause stands.
func (l *leadership) lose(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = min(l.until, l.s.clock()-1)
	l.cancel(cause)
}

// keep sends a keepalive each sixth of the TTL, until one says that the lease
// is gone or none was answered for too long. The lease is not revoked at the
// deadline: its last third is the margin for what began before.
func (l *leadership) keep() {
	defer close(l.done)
	defer l.forget()
	tick := time.NewTicker(l.s.ttl / 6)
	defer tick.Stop()
	watchdog := time.AfterFunc(l.left(), l.bark)
	defer watchdog.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		if l.left() <= 0 { // also after the machine was suspended: no timer counted that
			l.lose(errDeadline)
			return
		}
		if cause := l.renew(); cause != nil {
			l.lose(cause)
			return
		}
		watchdog.Reset(max(l.left(), 0))
	}
}

// bark is called at what was the deadline when it was set.
func (l *leadership) bark() {
	if l.left() <= 0 {
		l.lose(errDeadline)
	}
}

func (l *leadership) forget() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	delete(l.s.held, l)
	l.s.log.Info("leadership ended", "key", l.fence.Key, "cause", context.Cause(l.ctx))
}

// renew sends one keepalive, and looks whether the leader's key is still ours.
// It returns why the leadership is lost, or nil: then it is renewed, or the
// store did not answer.
func (l *leadership) renew() error {
	ctx, cancel := context.WithTimeout(l.ctx, l.s.ttl/3)
	defer cancel()
	sent := l.s.clock()
	if err := l.keepalive(ctx); errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return errRevoked
	} else if err != nil {
		l.s.log.Warn("a keepalive was not answered", "key", l.fence.Key, "left", l.left(), "error", err)
		return nil
	}
	l.extend(sent)
	if kv, ok, err := l.s.Get(ctx, l.fence.Key); err == nil && (!ok || kv.Create != l.fence.Rev) {
		return errDeposed
	}
	return nil
}

// extend counts from when the keepalive was sent. A late answer does not undo
// what lose did.
func (l *leadership) extend(sent time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() == nil {
		l.until = max(l.until, sent+l.s.usable())
	}
}

// keepalive sends one and reads its answer. The client's KeepAliveOnce tries
// again without a pause while the store is down.
func (l *leadership) keepalive(ctx context.Context) error {
	client, err := l.s.current()
	if err != nil {
		return err
	}
	stream, err := pb.NewLeaseClient(client.ActiveConnection()).LeaseKeepAlive(ctx)
	if err != nil {
		return mapped(ctx, err)
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(l.lease)}); err != nil {
		return mapped(ctx, err)
	}
	answer, err := stream.Recv()
	if err != nil {
		return mapped(ctx, err)
	}
	_ = stream.CloseSend()
	if answer.TTL <= 0 {
		return rpctypes.ErrLeaseNotFound
	}
	return nil
}
