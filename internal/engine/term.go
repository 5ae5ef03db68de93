package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	pause := e.timing.Retry
	for ctx.Err() == nil {
		lead, err := e.o.Store.Lead(ctx, "engine")
		if err != nil {
			e.metrics.loopFailed("lead")
			e.o.Log.Warn("not leading", "error", err, "again_in", pause)
			pause = e.wait(ctx, pause)
			continue
		}
		pause = e.timing.Retry
		for lead.Context().Err() == nil && ctx.Err() == nil {
			began, err := e.runTerm(ctx, lead)
			if began {
				pause = e.timing.Retry
			}
			if err != nil && ctx.Err() == nil {
				e.o.Log.Warn("term ended", "error", err, "again_in", pause)
				pause = e.wait(ctx, pause)
			}
		}
		resign, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		if err := lead.Resign(resign); err != nil {
			e.o.Log.Info("leadership runs out by itself", "error", err)
		}
		cancel()
	}
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
	a := &authority{lead: lead, ctx: tctx, cancel: cancel}
	if !e.post(tctx, func(l *loop) { l.begin(a, state) }) {
		return false, context.Cause(tctx)
	}
	defer e.post(context.WithoutCancel(ctx), func(l *loop) { l.end(a, context.Cause(tctx)) })
	for _, prefix := range []string{journal.InboxPrefix, signalbox.ControlsKey} {
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
func (l *loop) begin(a *authority, state *signalbox.State) {
	if a.ctx.Err() != nil {
		return
	}
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
		func() { l.beat(l.now()) }, l.reconfigured, l.storeBack, l.unpack, l.consume, l.offerRestored, l.killPage, l.resume,
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
	l.recalled = map[string]time.Time{}
	for _, b := range l.state.Beats {
		for d, at := range b.Good {
			if at.After(l.recalled[d]) {
				l.recalled[d] = at
			}
			if at.After(l.good[d]) {
				l.good[d] = at
			}
		}
	}
	l.durable = maps.Clone(l.recalled)
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

// offerRestored tells what is open, to those who look for its end. The inbox
// is consumed by then: a breach in it is open too.
func (l *loop) offerRestored() {
	r := Restored{Good: l.recalled}
	for _, inc := range l.state.Incidents {
		if !inc.Closed() {
			r.Open = append(r.Open, inc.Reading)
		}
	}
	select {
	case l.e.restore <- r:
	default:
	}
}
