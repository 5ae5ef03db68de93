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
	for _, rec := range rt.receivers {
		if rec.complete != nil && rec.every > 0 {
			d.roundsAlive.Go(func() { d.reconcile(ctx, rec) })
		}
	}
}

// reconcile reads a source's whole present state from time to time.
func (d *daemon) reconcile(ctx context.Context, rec *receiver) {
	health := sourceHealth{rec: rec, good: d.options.Now()}
	t := time.NewTicker(rec.every)
	defer t.Stop()
	for {
		at := d.options.Now()
		err := d.reconcileOnce(ctx, rec)
		if ctx.Err() != nil {
			return
		}
		if r, edge := health.step(err, at); edge {
			d.engine.Observe(ctx, r.Detector, at, err == nil, []signalbox.Reading{r}, []signalbox.Reading{r})
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *daemon) reconcileOnce(ctx context.Context, rec *receiver) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	batch, err := rec.complete.Present(ctx, d.options.Now())
	if err == nil {
		batch.Source = rec.source
		err = d.engine.Reconcile(ctx, rec.assign(batch))
	}
	if err != nil && ctx.Err() == nil {
		d.log.Warn("reconcile", "source", rec.source, "error", err)
	}
	return err
}

// sourceHealth turns the failures of a source that is reconciled with into an
// incident of the source, as the poller does for those that are polled.
type sourceHealth struct {
	rec   *receiver
	good  time.Time // the last good look, or the start
	onset time.Time // of the breach; zero: well
	told  bool      // that it is well
}

func (h *sourceHealth) step(err error, at time.Time) (signalbox.Reading, bool) {
	r := signalbox.Reading{
		Detector: poll.SourceDetector(h.rec.source), Series: h.rec.source, Subject: "source/" + h.rec.source, Condition: signalbox.Clear,
		At: at, SampleAt: at, Origin: h.rec.source, Summary: "it can be read",
	}
	switch {
	case err == nil:
		// The first good look is told too: its incident may be open since
		// before the start, or before this configuration.
		edge := !h.told || !h.onset.IsZero()
		h.good, h.onset, h.told = at, time.Time{}, true
		return r, edge
	case h.onset.IsZero() && at.Sub(h.good) >= h.rec.unknownAfter:
		h.onset = at
		r.Condition, r.OnsetAt, r.WellAt = signalbox.Breached, at, h.good
		r.Summary = "it can't be read since " + h.good.UTC().Format(time.RFC3339) + ": " + err.Error()
		return r, true
	}
	return r, false
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
	d.poller.Restore(restored.Open, restored.Good)
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
		d.poller.Restore(restored.Open, restored.Good)
	}
}
