package mem

import (
	"context"
	"fmt"
	"time"

	"github.com/signalbox/signalbox/internal/store"
)

// leadership is both sides of a lease: the holder's, which gives up at
// deadline, and the store's, which deletes the key at expiry. The Store's lock
// guards its fields. While the store answers, each keepalive does nothing but
// renew: then no timer runs, and catchUp reckons what they did.
type leadership struct {
	s        *Store
	role     string
	ctx      context.Context
	cancel   context.CancelFunc
	fence    store.Cond
	deadline time.Time
	expiry   time.Time
	renewed  time.Time   // last keepalive that is reckoned
	timer    *time.Timer // nil: each keepalive is answered
	over     bool        // the holder has lost it
}

// Lead implements store.Store.
func (s *Store) Lead(ctx context.Context, role string) (store.Leadership, error) {
	if err := store.CheckKey("role", role); err != nil {
		return nil, err
	}
	for {
		l, changed, err := s.campaign(ctx, role)
		if err != nil {
			return nil, fmt.Errorf("lead %q: %w", role, err)
		}
		if l != nil {
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// Expire ends the lease of role as if the store had not heard of its holder
// for a TTL, so that another can lead at once.
func (s *Store) Expire(role string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.held[role]; l != nil {
		l.end()
	}
}

// campaign takes role when it is free, else returns what to wait on.
func (s *Store) campaign(ctx context.Context, role string) (*leadership, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.usable(ctx)
	if err != nil && (s.closed || ctx.Err() != nil) {
		return nil, nil, err
	}
	if err != nil || s.held[role] != nil {
		return nil, s.changed, nil
	}
	key := store.LeadPrefix + role
	s.write(store.Txn{Puts: []store.Put{{Key: key, Value: []byte("mem")}}})
	l := &leadership{s: s, role: role, fence: store.Cond{Key: key, Rev: s.rev, OnCreate: true}}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.renew(time.Now())
	s.held[role] = l
	return l, nil, nil
}

func (s *Store) ttl() time.Duration {
	if s.TTL == 0 {
		return 5 * time.Second
	}
	return s.TTL
}

// Context implements store.Leadership.
func (l *leadership) Context() context.Context { return l.ctx }

// Fence implements store.Leadership.
func (l *leadership) Fence() store.Cond { return l.fence }

// Deadline implements store.Leadership.
func (l *leadership) Deadline() time.Time {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.catchUp()
	return l.deadline
}

// Resign implements store.Leadership.
func (l *leadership) Resign(ctx context.Context) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.lose()
	if l.s.held[l.role] != l {
		return nil
	}
	if err := l.s.usable(ctx); err != nil {
		l.expireLater()
		return fmt.Errorf("resign %q: %w", l.role, err)
	}
	l.end()
	return nil
}

// tick is one keepalive, or the passing of a deadline without one.
func (l *leadership) tick() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.held[l.role] != l {
		return
	}
	now := time.Now()
	switch {
	case !now.Before(l.expiry):
		l.end()
		return
	case l.over:
	case !now.Before(l.deadline):
		l.lose()
	case l.s.broken == nil:
		l.renew(now)
		l.stop() // each one after it is answered too
		return
	}
	if l.over {
		l.expireLater()
		return
	}
	l.after(min(l.s.ttl()/6, l.deadline.Sub(now)))
}

func (l *leadership) renew(at time.Time) {
	l.renewed = at
	l.deadline = at.Add(l.s.ttl() * 2 / 3)
	l.expiry = at.Add(l.s.ttl())
}

// catchUp reckons the keepalives that were answered up to now.
func (l *leadership) catchUp() {
	if l.timer != nil || l.over {
		return
	}
	between := l.s.ttl() / 6
	if gone := time.Since(l.renewed).Truncate(between); gone > 0 {
		l.renew(l.renewed.Add(gone))
	}
}

// unanswered has the next keepalive looked at when it comes: the store has just
// stopped to answer.
func (l *leadership) unanswered() {
	if l.timer != nil || l.over {
		return
	}
	l.catchUp()
	l.after(time.Until(l.renewed.Add(l.s.ttl() / 6)))
}

func (l *leadership) after(d time.Duration) {
	l.stop()
	l.timer = time.AfterFunc(d, l.tick)
}

func (l *leadership) stop() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// expireLater leaves the lease to the store, which ends it at its expiry.
func (l *leadership) expireLater() { l.after(time.Until(l.expiry)) }

// lose is the holder's end of it.
func (l *leadership) lose() {
	l.catchUp()
	l.over = true
	if now := time.Now(); l.deadline.After(now) {
		l.deadline = now
	}
	l.cancel()
	if l.s.closed {
		l.stop()
	}
}

// end is the store's end of it: the key goes, and a successor may come.
func (l *leadership) end() {
	l.lose()
	l.stop()
	delete(l.s.held, l.role)
	l.s.write(store.Txn{Deletes: []string{l.fence.Key}})
}
