package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// alert is one message about one alert.
func alert(start time.Time, condition signalbox.Condition) signalbox.Reading {
	now := time.Now()
	r := signalbox.Reading{
		Detector: alerts, Series: "f1", Episode: start.Format(time.RFC3339Nano), Subject: "HighLatency/a", Condition: condition,
		At: now, SampleAt: now, OnsetAt: start, WellAt: start, Owner: "backend", Summary: "latency is high",
	}
	if condition == signalbox.Clear {
		r.EndedAt = now
	}
	return r
}

func (w *world) receive(rs ...signalbox.Reading) {
	w.t.Helper()
	if err := w.engine.Receive(w.t.Context(), signalbox.Batch{Source: alerts, At: time.Now(), Readings: rs}); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func TestDoubledLateAndReorderedAlertsAreOneIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		defer w.halt()
		start := time.Now()
		late := alert(start, signalbox.Breached)
		for range 3 {
			w.receive(alert(start, signalbox.Breached))
			w.after(time.Second)
		}
		expect(t, "pages", w.pager.log(), "trigger")
		w.receive(alert(start, signalbox.Clear))
		w.after(5 * time.Second)
		late.At = time.Now()
		w.receive(late)
		w.receive(alert(start, signalbox.Clear))
		w.after(time.Minute)
		expect(t, "pages", w.pager.log(), "trigger resolve")
		w.receive(alert(time.Now(), signalbox.Breached))
		w.after(10 * time.Second)
		expect(t, "pages: the next episode is another page", w.pager.log(), "trigger resolve trigger")
	})
}

func TestResolvedBeforeFiringOpensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		defer w.halt()
		start := time.Now()
		w.receive(alert(start, signalbox.Clear))
		w.receive(alert(start, signalbox.Breached))
		w.after(time.Minute)
		expect(t, "pages", w.pager.log(), "")
	})
}

func TestReconcileFindsLostResolveAndLostFiring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		defer w.halt()
		start := time.Now()
		w.receive(alert(start, signalbox.Breached))
		w.after(5 * time.Second)
		expect(t, "pages", w.pager.log(), "trigger")
		w.reconcile()
		w.after(time.Minute)
		expect(t, "pages: gone at its source", w.pager.log(), "trigger resolve")
		again := alert(start, signalbox.Breached)
		again.Confirmed = true
		w.reconcile(again)
		w.after(time.Minute)
		expect(t, "pages: shown present again under its old onset", w.pager.log(), "trigger resolve trigger")
		w.reconcile(again)
		w.after(time.Minute)
		expect(t, "pages: once", w.pager.log(), "trigger resolve trigger")
	})
}

func TestSilencedAlertIsNotPagedUntilTheSilenceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		defer w.halt()
		r := alert(time.Now(), signalbox.Breached)
		r.Confirmed, r.Suppressed = true, "silence 1"
		w.reconcile(r)
		w.after(time.Minute)
		expect(t, "pages", w.pager.log(), "")
		r.Suppressed, r.At = "", time.Now()
		w.reconcile(r)
		w.after(time.Minute)
		expect(t, "pages", w.pager.log(), "trigger")
	})
}

func (w *world) reconcile(rs ...signalbox.Reading) {
	w.t.Helper()
	now := time.Now()
	for i := range rs {
		rs[i].At = now
	}
	if err := w.engine.Reconcile(w.t.Context(), signalbox.Batch{Source: alerts, At: now, Readings: rs, Synced: true}); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}
