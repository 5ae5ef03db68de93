package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/policy"
)

// authority is the right to decide and act, during one term.
type authority struct {
	lead   store.Leadership
	ctx    context.Context // ends with the term
	cancel context.CancelCauseFunc
}

// lead acquires leadership again and again, and runs a term in each.
func (e *Engine) lead(ctx context.Context) {
	e.arrive(ctx)
	pause, failed := e.timing.Retry, false
	for ctx.Err() == nil {
		if !failed {
			pause = e.timing.Retry
		}
		lead, err := e.awaitLead(ctx, &pause, failed)
		if failed = err != nil; failed {
			e.metrics.loopFailed("lead")
			e.o.Log.Warn("not leading", "error", err, "again_in", pause)
			continue
		}
		failed = !e.terms(ctx, lead)
		if ctx.Err() != nil && e.o.HandOver != nil {
			e.handOver(ctx)
		}
		resign, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		if err := lead.Resign(resign); err != nil {
			e.o.Log.Info("leadership runs out by itself", "error", err)
		}
		cancel()
	}
}

// handOver lets the store prepare for the end of this process.
func (e *Engine) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := e.o.HandOver(ctx); err != nil {
		e.o.Log.Info("the store was not handed over: it elects another leader by itself", "error", err)
	}
}

// awaitLead waits until this process leads, first for the pause after a
// failure; meanwhile it stands by.
func (e *Engine) awaitLead(ctx context.Context, pause *time.Duration, failed bool) (store.Leadership, error) {
	waiting, led := context.WithCancel(ctx)
	var stands sync.WaitGroup
	stands.Go(func() { e.standBy(waiting) })
	defer stands.Wait()
	defer led()
	if failed {
		*pause = e.wait(ctx, *pause)
	}
	lead, err := e.contend(ctx)
	if err == nil {
		e.own.Store(int64(lead.Fence().Rev))
	}
	return lead, err
}

// terms runs terms as long as this process leads. It returns false where none
// can begin here: another replica may be able to.
func (e *Engine) terms(ctx context.Context, lead store.Leadership) bool {
	pause := e.timing.Retry
	for lead.Context().Err() == nil && ctx.Err() == nil {
		began, err := e.runTerm(ctx, lead)
		if began {
			pause = e.timing.Retry
		}
		if err != nil && ctx.Err() == nil {
			e.o.Log.Warn("term ended", "error", err, "again_in", pause)
			if !began && !errors.Is(err, store.ErrUnavailable) {
				return false
			}
			pause = e.wait(ctx, pause)
		}
	}
	return true
}

// wait pauses and returns the next, longer pause.
func (e *Engine) wait(ctx context.Context, pause time.Duration) time.Duration {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return min(2*pause, 32*e.timing.Retry)
}

// runTerm reads the state, gives it to the loop, and waits for the term's end.
func (e *Engine) runTerm(ctx context.Context, lead store.Leadership) (began bool, err error) {
	tctx, cancel := context.WithCancelCause(lead.Context())
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { cancel(ctx.Err()) })
	defer stop()
	state, rev, err := e.o.Journal.Load(tctx)
	if err != nil {
		return false, fmt.Errorf("load the state: %w", err)
	}
	if err := e.mayLead(tctx, state.Active.Hash); err != nil {
		return false, err
	}
	d, err := e.doubts(tctx, state)
	if err != nil {
		return false, fmt.Errorf("compare the store with its marks: %w", err)
	}
	a := &authority{lead: lead, ctx: tctx, cancel: cancel}
	if !e.post(tctx, func(l *loop) { l.begin(a, state, d.why) }) {
		return false, context.Cause(tctx)
	}
	defer e.post(context.WithoutCancel(ctx), func(l *loop) { l.end(a, context.Cause(tctx)) })
	for _, prefix := range []string{journal.InboxPrefix, signalbox.ControlsKey, signalbox.StoreKey} {
		changes, err := e.o.Store.Watch(tctx, prefix, rev)
		if err != nil {
			return true, fmt.Errorf("watch %s: %w", prefix, err)
		}
		go e.pump(a, changes)
	}
	<-tctx.Done()
	return true, context.Cause(tctx)
}

// pump mails what a watch says to the loop, and ends the term with the watch.
func (e *Engine) pump(a *authority, changes <-chan store.Batch) {
	for {
		select {
		case b, ok := <-changes:
			if !ok || b.Err != nil {
				a.cancel(errors.Join(errors.New("the watch broke"), b.Err))
				return
			}
			e.post(a.ctx, func(l *loop) { l.watched(a, b) })
		case <-a.ctx.Done():
			return
		}
	}
}

// begin installs a term: the state is the store's, and what was in flight is
// settled first.
func (l *loop) begin(a *authority, state *signalbox.State, why string) {
	if a.ctx.Err() != nil {
		return
	}
	anew := l.anew(state)
	l.standing, l.mirrors, l.otherAt = false, nil, time.Time{}
	l.e.metrics.standingBy.Set(0)
	l.auth, l.state = a, state
	l.index = newIndex(state)
	clear(l.shadowed)
	clear(l.looks)
	l.unlooked = nil
	l.nextClimb, l.nextLate, l.e.metrics.stale = time.Time{}, time.Time{}, true
	l.due.clear()
	l.last, l.retry = map[signalbox.IncidentID]*signalbox.Decision{}, map[string]retry{}
	l.recallPages()
	l.e.term.Store(a)
	l.e.metrics.leading.Set(1)
	l.e.metrics.loopDone("lead", l.now())
	l.e.o.Log.Info("term began", "incidents", len(state.Incidents), "actions", len(state.Actions))
	l.recall()
	if l.warmBy.IsZero() {
		l.warmBy = l.now().Add(l.e.timing.WarmUp)
	}
	// A store that can be read but not written is no store: a term counts once
	// something was written.
	for _, step := range []func(){
		func() { l.trust(why) },
		func() { l.beat(l.now()) }, l.reconfigured, l.storeBack, l.unpack, l.consume, func() { l.offerRestored(anew) }, l.killPage, l.resume,
	} {
		if step(); l.auth != a {
			return // the store failed in between: the term is over already
		}
	}
}

// resume makes every open incident due, and settles what was in flight.
func (l *loop) resume() {
	for id, inc := range l.state.Incidents {
		l.touchIncident(id)
		if !inc.Closed() {
			l.wantLook(inc)
		}
	}
	for _, act := range l.state.Actions {
		if act.InFlight() {
			l.follow(act, true)
		}
	}
}

// end takes the term away. What it knew stays for the direct pages only.
func (l *loop) end(a *authority, cause error) {
	if l.auth != a {
		return
	}
	l.e.term.Store(nil)
	l.e.metrics.leading.Set(0)
	l.e.o.Log.Warn("between terms: nothing is started", "cause", cause)
	l.auth = nil
	if l.goneSince.IsZero() {
		l.goneSince = l.now()
	}
	if l.wasState == nil {
		l.wasState = l.state
	}
	l.state = signalbox.NewState()
	l.confirmed = map[signalbox.IncidentID]confirmation{}
	l.due.clear()
}

// fail ends the term because the store did not do what it must.
func (l *loop) fail(err error) {
	if l.auth == nil {
		return
	}
	a := l.auth
	a.cancel(err)
	l.end(a, err)
}

// recall takes in when each detector's last good round was, whoever beat last.
func (l *loop) recall() {
	l.recalled = goodOf(l.state)
	for d, at := range l.recalled {
		if at.After(l.good[d]) {
			l.good[d] = at
		}
	}
	l.durable = maps.Clone(l.recalled)
	l.streaks = l.streaksOf(l.state)
}

// recallPages counts the pages made lately, so that a storm goes on as one.
func (l *loop) recallPages() {
	clear(l.made)
	for _, p := range l.state.Pages {
		if len(p.Incidents) == 1 && p.Of == "" && !p.MadeAt.IsZero() {
			l.made[p.Owner] = append(l.made[p.Owner], policy.Made{Detector: p.Detector, At: p.MadeAt})
		}
	}
}

// offerRestored tells what is open, to those who look for its end, where they
// can't know it. The inbox is consumed by then: a breach in it is open too.
func (l *loop) offerRestored(anew bool) {
	if l.terms > 1 && !anew {
		return
	}
	r := knownBy(l.state)
	r.Good, r.Streaks = l.recalled, l.streaks
	l.e.changeDuty(func(d *Duty) { *d = Duty{Beginning: d.Beginning + 1, Known: r, Anew: anew} })
}

// knownBy is what a state knows, for those who begin to ask.
func knownBy(s *signalbox.State) Restored {
	r := Restored{Good: goodOf(s)}
	for _, inc := range s.Incidents {
		if !inc.Closed() {
			r.Open = append(r.Open, inc.Reading)
		}
	}
	return r
}

// goodOf is when each detector's last good round was, whoever beat last.
func goodOf(s *signalbox.State) map[string]time.Time {
	good := map[string]time.Time{}
	for _, b := range s.Beats {
		for d, at := range b.Good {
			if at.After(good[d]) {
				good[d] = at
			}
		}
	}
	return good
}
