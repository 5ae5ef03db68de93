package app

import (
	"context"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/internal/share"
)

// emit gives a round to the engine.
func (d *daemon) emit(ctx context.Context) func(poll.Round) {
	return func(r poll.Round) { d.engine.Observe(ctx, r.Detector, r.At, r.Good, r.Readings, r.Edges) }
}

// askNow asks detectors again, before something is thrown, and does so itself,
// with no other replica between: those that are polled by their questions, those that post by the whole state of their
// source.
func (d *daemon) askNow(ctx context.Context, detectors []string) error {
	rt := d.current()
	for _, rec := range rt.receivers {
		for _, name := range detectors {
			if rt.set.Detectors[name].Source == rec.source && !rt.set.Detectors[name].Polled && rec.complete != nil {
				_ = d.reconcileOnce(ctx, rec) // told in the log; the decision then stands on what came in before
				break
			}
		}
	}
	return d.poller.AskNow(share.Here(ctx), detectors...)
}

// startRounds begins polling and reconciling under the configuration in force,
// where that is for this replica to do; it ends what was begun before.
func (d *daemon) startRounds(ctx context.Context) {
	d.roundsLock.Lock()
	defer d.roundsLock.Unlock()
	if d.endRounds != nil {
		d.endRounds()
	}
	ctx, d.endRounds = context.WithCancel(ctx)
	rt := d.current()
	if d.polls {
		d.ask(ctx, rt)
	} else {
		d.poller.Set(nil)
	}
	d.startConditions(ctx, rt)
	d.startTelling(ctx, rt.tells)
}

// ask begins to ask the sources of a configuration. The caller holds
// roundsLock, and ctx ends with the configuration.
func (d *daemon) ask(ctx context.Context, rt *runtime) {
	d.poller.Set(rt.polled)
	for name, w := range rt.watched {
		d.roundsAlive.Go(func() { d.poller.Watch(ctx, name, w) })
	}
	for _, rec := range rt.receivers {
		rec.health.begin(d.options.Now())
		if rec.health.watches() {
			d.roundsAlive.Go(func() { d.tellHealth(ctx, rec.health) })
		}
		if rec.health.reads {
			d.roundsAlive.Go(func() { d.reconcile(ctx, rec) })
		}
	}
}

// reconcile reads a source's whole present state from time to time.
func (d *daemon) reconcile(ctx context.Context, rec *receiver) {
	t := time.NewTicker(rec.every)
	defer t.Stop()
	for {
		_ = d.reconcileOnce(ctx, rec) // told in the log, and by the source's health
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *daemon) reconcileOnce(ctx context.Context, rec *receiver) error {
	within, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	at := d.options.Now()
	batch, err := rec.complete.Present(within, at)
	if ctx.Err() != nil {
		return err // that is not the source's fault
	}
	if err != nil {
		rec.health.looked(at, nil, err)
		d.log.Warn("reconcile", "source", rec.source, "error", err)
		return err
	}
	batch.Source = rec.source
	batch = rec.own(batch, at)
	rec.health.looked(at, whatIsUnknown(batch.Readings), nil)
	return d.engine.Reconcile(within, batch)
}

// tellHealth tells how a source is, whenever that changes.
func (d *daemon) tellHealth(ctx context.Context, h *sourceHealth) {
	told := context.WithoutCancel(ctx) // an edge is told once, also while a reload ends this loop
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-h.changed:
		case <-ctx.Done():
			return
		}
		at := d.options.Now()
		if r, edge := h.step(at); edge {
			d.log.Warn("source changed", "detector", r.Detector, "condition", r.Condition.String(), "says", r.Summary)
			d.engine.Observe(told, r.Detector, at, r.Condition == signalbox.Clear, []signalbox.Reading{r}, []signalbox.Reading{r})
		}
		t.Reset(h.wait(at))
	}
}

// polling asks while this replica is the one to do so: while it leads, or while
// it has no store and sees nobody lead. It begins once the engine has restored
// what was open, or without it when the store does not come.
func (d *daemon) polling(ctx context.Context) {
	var polls sync.WaitGroup
	defer d.roundsAlive.Wait()
	defer polls.Wait()
	polls.Go(func() {
		if err := d.poller.Run(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("polling ended", "error", err)
		}
	})
	late := time.NewTimer(d.options.RestoreWithin)
	defer late.Stop()
	begun, waits := 0, true
	for {
		duty, changed := d.engine.Duty()
		switch {
		case duty.StandsBy:
			waits = false
			d.askAnew(ctx, false, true)
		case duty.Beginning != begun:
			begun, waits = duty.Beginning, false
			d.askAnew(ctx, true, duty.Anew)
			d.restore(duty.Known)
		case !waits:
			d.askAnew(ctx, true, false)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-late.C:
			if waits {
				d.log.Warn("polling begins without the store: what is ill now is paged, not acted on")
			}
			waits = false
		}
	}
}

// askAnew begins to ask, or ends it. With anew what was seen before counts no
// more.
func (d *daemon) askAnew(ctx context.Context, asks, anew bool) {
	d.roundsLock.Lock()
	if d.polls == asks && d.endRounds != nil && !(asks && anew) {
		d.roundsLock.Unlock()
		return
	}
	d.polls = asks
	if anew {
		d.poller.Set(nil)
		d.restored = engine.Restored{}
		for _, rec := range d.current().receivers {
			rec.health.anew()
		}
	}
	d.roundsLock.Unlock()
	d.startRounds(ctx)
}

// heard takes in that another replica heard a source's watchdog.
func (d *daemon) heard(source string, at time.Time) {
	for _, rec := range d.current().receivers {
		if rec.source == source {
			rec.health.hear(at, d.options.Now())
		}
	}
}
