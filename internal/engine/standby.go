package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

// # Standing by
//
// Of several replicas on one store one leads, and the others stand by. A
// replica that stands by takes webhooks in, for whoever leads; it asks nothing,
// pages nothing, and follows the state, for those who ask it and for its own
// pages should the store go away. It stands by as long as it sees, by a
// linearizable read each second, that another holds the leadership: a leader
// whose lease ran out is not one. Once it has not seen that for
// Timing.StoreGone, and does not lead, it is alone: it asks for itself again,
// and pages straight what is ill.
//
// What a replica saw by itself before it stood by, the leader may have answered
// since. So it forgets that, and begins anew from what the store knows when it
// leads.

// role is what the engines of all replicas contend for.
const role = "engine"

// Duty is what is wanted of those who ask the sources.
type Duty struct {
	// StandsBy: another replica leads, and asks. Here nothing is to be asked.
	StandsBy bool
	// Beginning counts how often this process began to ask: to lead when it was
	// the first time, or another had led in between, or alone after it stood by.
	// Known is what the store knew then, as far as this process knows. With Anew
	// what was seen here before counts no more.
	Beginning int
	Known     Restored
	Anew      bool
}

// duties holds the present Duty.
type duties struct {
	mu      sync.Mutex
	now     Duty
	changed chan struct{} // closed when now is another
}

// Duty returns the present one, and what is closed once it is another.
func (e *Engine) Duty() (Duty, <-chan struct{}) {
	e.duties.mu.Lock()
	defer e.duties.mu.Unlock()
	return e.duties.now, e.duties.changed
}

func (e *Engine) changeDuty(change func(*Duty)) {
	e.duties.mu.Lock()
	defer e.duties.mu.Unlock()
	change(&e.duties.now)
	close(e.duties.changed)
	e.duties.changed = make(chan struct{})
}

// Restore waits until this process has begun to ask, or ctx ends, and returns
// what the store knew.
func (e *Engine) Restore(ctx context.Context) (Restored, error) {
	for {
		duty, changed := e.Duty()
		if duty.Beginning > 0 {
			return duty.Known, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Restored{}, ctx.Err()
		}
	}
}

// StandsBy says that another replica leads: what would change something must be
// asked there. It is an ErrNoTerm.
type StandsBy struct{ Leader string }

func (s *StandsBy) Error() string {
	return fmt.Sprintf("this replica stands by, and changes nothing: replica %q leads, ask it there", s.Leader)
}

// Unwrap makes it an ErrNoTerm.
func (s *StandsBy) Unwrap() error { return ErrNoTerm }

// Looks at who leads, and how often the state is read whole: a watch is a hint.
const (
	lookEvery = time.Second
	lookWait  = time.Second
	readEvery = time.Minute
)

// standBy tells the loop that another leads, as long as that is seen, and
// follows the state meanwhile. A leader is one that holds at two looks: the
// first may see the key that this process has just won. Nor is it another whose
// lease is this process's own, and has not run out yet.
func (e *Engine) standBy(ctx context.Context) {
	var follows sync.WaitGroup
	defer follows.Wait()
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	var before store.Revision
	following := false
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		at := e.o.Now()
		within, cancel := context.WithTimeout(ctx, lookWait)
		kv, led, err := e.o.Store.Get(within, store.LeadPrefix+role)
		cancel()
		if err != nil || !led || int64(kv.Create) == e.own.Load() {
			before = 0
			continue
		}
		if kv.Create != before {
			before = kv.Create
			continue
		}
		if !e.post(ctx, func(l *loop) { l.another(at); l.prune(ctx) }) {
			return
		}
		if !following {
			following = true
			follows.Go(func() { e.followState(ctx) })
		}
	}
}

// followState keeps the loop's copy of the state as the store has it.
func (e *Engine) followState(ctx context.Context) {
	pause := e.timing.Retry
	for ctx.Err() == nil {
		if err := e.followOnce(ctx); err != nil && ctx.Err() == nil {
			e.o.Log.Debug("the state is not followed", "error", err, "again_in", pause)
			pause = e.wait(ctx, pause)
			continue
		}
		pause = e.timing.Retry
	}
}

// followOnce reads the state, and then its changes until it is to be read
// again.
func (e *Engine) followOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	state, rev, err := e.o.Journal.LoadToFollow(ctx)
	if err != nil {
		return err
	}
	changes, err := e.o.Store.Watch(ctx, "", rev)
	if err != nil {
		return err
	}
	if !e.post(ctx, func(l *loop) { l.mirror(state) }) {
		return nil
	}
	again := time.NewTimer(readEvery)
	defer again.Stop()
	for {
		select {
		case b, ok := <-changes:
			if !ok || b.Err != nil {
				return b.Err
			}
			e.post(ctx, func(l *loop) { l.mirrored(state, b) })
		case <-again.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// mirror takes in the state as the leader has written it.
func (l *loop) mirror(state *signalbox.State) {
	if l.auth != nil {
		return
	}
	l.state, l.wasState, l.mirrors = state, state, state
	l.e.metrics.stale = true
	l.ownedUp(state)
}

// ownedUp notes what this process has claimed without having been told so: the
// answer to the commit was lost, and with it the term. It was never sent, and
// while another leads it is not claimed any more later.
func (l *loop) ownedUp(state *signalbox.State) {
	for _, a := range state.Actions {
		if a.InFlight() && a.By == l.e.o.Process {
			l.claimed = max(l.claimed, a.Token)
		}
	}
}

// mirrored takes in a change of it.
func (l *loop) mirrored(of *signalbox.State, b store.Batch) {
	if l.auth != nil || l.mirrors != of {
		return
	}
	l.e.metrics.stale = true
	if _, err := journal.ApplyEvents(of, b.Events); err != nil {
		l.mirrors = nil // until it is read again
		l.e.o.Log.Warn("the leader's state can't be read", "error", err)
	}
}

// another notes that another replica held the leadership at a moment.
func (l *loop) another(at time.Time) {
	if l.auth != nil {
		return
	}
	l.otherAt = at
	l.between(l.now())
}

// between is what comes around between terms: standing by, or, where nobody is
// known to lead, what is paged without a store.
func (l *loop) between(now time.Time) {
	if l.otherAt.IsZero() || now.Sub(l.otherAt).Abs() >= l.e.timing.StoreGone {
		l.alone()
		l.withoutStore(now)
		return
	}
	l.goneSince, l.pending = l.otherAt, nil // who was refused sends again; what was polled, the leader polls
	if !l.standing {
		l.standing = true
		l.forgetSeen()
		l.storeWell()
		l.e.metrics.standingBy.Set(1)
		l.e.o.Log.Info("standing by: another replica leads")
		l.e.changeDuty(func(d *Duty) { d.StandsBy = true })
	}
	if l.mirrors != nil {
		l.settleDirect(now)
		l.e.metrics.agrees(l.mirrors.Active.Hash == l.set().Hash)
		l.e.metrics.world(l.mirrors, now)
	}
}

// alone ends the standing by of a replica that sees nobody lead.
func (l *loop) alone() {
	if !l.standing {
		return
	}
	l.standing = false
	l.e.metrics.standingBy.Set(0)
	l.e.o.Log.Warn("neither leading nor standing by: the store does not answer, or nobody leads")
	var known Restored
	if l.mirrors != nil { // what was well when the leader last said so was not always ill
		known = knownBy(l.mirrors)
		known.Streaks = l.streaksOf(l.mirrors)
	}
	l.e.changeDuty(func(d *Duty) { *d = Duty{Beginning: d.Beginning + 1, Known: known, Anew: true} })
}

// forgetSeen forgets what this process saw by itself.
func (l *loop) forgetSeen() {
	l.facts.DropReadings(l.now().Add(1000 * time.Hour)) // all of them, also those of a clock that went back
	l.pending, l.inbox, l.taken = nil, nil, map[string]bool{}
	l.good, l.last = map[string]time.Time{}, map[signalbox.IncidentID]*signalbox.Decision{}
	l.warm, l.warmBy, l.seen = false, time.Time{}, map[string]bool{}
}

// anew reports whether another led since this process did, and forgets then
// what it saw before.
func (l *loop) anew(state *signalbox.State) bool {
	l.terms++
	if l.standing || l.terms > 1 && leaderOf(state) != l.e.o.Replica {
		l.forgetSeen()
		return true
	}
	return false
}

// leaderOf is the replica that led last: each term begins with its heartbeat.
func leaderOf(s *signalbox.State) (name string) {
	var newest int64
	for replica := range s.Beats {
		if rev := s.Rev[signalbox.BeatKey(replica)]; rev > newest {
			name, newest = replica, rev
		}
	}
	return name
}

// noTerm says why nothing can be changed here: nil in a term.
func (l *loop) noTerm() error {
	switch {
	case l.auth != nil:
		return nil
	case l.standing && l.mirrors != nil:
		return &StandsBy{Leader: leaderOf(l.mirrors)}
	}
	return ErrNoTerm
}

// unread says why nothing can be told here: nil in a term, and while standing
// by.
func (l *loop) unread() error {
	if l.standing && l.mirrors != nil {
		return nil
	}
	return l.noTerm()
}
