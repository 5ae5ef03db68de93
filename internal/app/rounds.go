package app

import (
	"context"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/poll"
)

// emit gives a round to the engine.
func (d *daemon) emit(ctx context.Context) func(poll.Round) {
	return func(r poll.Round) { d.engine.Observe(ctx, r.Detector, r.At, r.Good, r.Readings, r.Edges) }
}

// askNow asks detectors again, before something is thrown: those that are
// polled by their questions, those that post by the whole state of their
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
	return d.poller.AskNow(ctx, detectors...)
}

// startRounds begins polling and reconciling under the configuration in force;
// it ends what was begun under the one before.
func (d *daemon) startRounds(ctx context.Context) {
	d.roundsLock.Lock()
	defer d.roundsLock.Unlock()
	if d.endRounds != nil {
		d.endRounds()
	}
	ctx, d.endRounds = context.WithCancel(ctx)
	rt := d.current()
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
	d.startConditions(ctx, rt)
	d.startTelling(ctx, rt.tells)
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

// polling begins the rounds once the engine has restored what was open, or
// without it when the store does not come.
func (d *daemon) polling(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, d.options.RestoreWithin)
	restored, err := d.engine.Restore(within)
	cancel()
	if err != nil && ctx.Err() == nil {
		d.log.Warn("polling begins without the store: what is ill now is paged, not acted on")
		d.roundsAlive.Go(func() { d.restoreLate(ctx) })
	}
	d.startRounds(ctx)
	d.restore(restored)
	if err := d.poller.Run(ctx); err != nil && ctx.Err() == nil {
		d.log.Error("polling ended", "error", err)
	}
	d.roundsAlive.Wait()
}

// restoreLate gives the poller what the store knew, once it is there.
func (d *daemon) restoreLate(ctx context.Context) {
	var restored engine.Restored
	restored, err := d.engine.Restore(ctx)
	if err == nil {
		d.restore(restored)
	}
}
