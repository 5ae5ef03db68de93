package poll

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/track"
)

func refuse(context.Context) error { return errors.New("connection refused") }

func TestOneReadingForTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{}
		var ds []Detector
		for i := range 8 {
			ds = append(ds, detector(fmt.Sprint("d", i), fmt.Sprint("x", i), m))
		}
		b.Set(ds)
		stop := b.run(t)
		elapse(4 * interval)
		m.set(0, refuse)
		elapse(4 * time.Minute)
		if got := b.log.edges("source/metrics"); got != "" {
			t.Fatalf("edges %q before the bound", got)
		}
		elapse(20 * time.Minute)
		m.set(0, nil)
		elapse(2 * interval)
		stop()
		if got := b.log.edges("source/metrics"); got != "bc" {
			t.Fatalf("edges %q, want one breach and its end", got)
		}
		var first, last signalbox.Reading
		for _, r := range b.log.of("source/metrics") {
			for _, e := range r.Edges {
				if first, last = last, e; e.Condition == signalbox.Breached {
					first = e
				}
			}
		}
		if took := first.At.Sub(first.OnsetAt); took < 5*time.Minute || took > 5*time.Minute+interval {
			t.Errorf("breached after %s, want the bound of 5m and at most an interval", took)
		}
		if first.WellAt.IsZero() || first.WellAt.After(first.OnsetAt) || !last.OnsetAt.Equal(first.OnsetAt) {
			t.Errorf("well at %s, onset %s and then %s", first.WellAt, first.OnsetAt, last.OnsetAt)
		}
		for _, want := range []string{"source/metrics: 1 of 8 detectors unknown for too long", "connection refused"} {
			if !strings.Contains(first.Summary, want) {
				t.Errorf("summary %q, want %q in it", first.Summary, want)
			}
		}
	})
}

// One detector alone that stays Unknown is told by its source's reading too,
// and a pause shorter than the bound by nobody.
func TestOneDetectorAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, well, ill := newBench(), &memory{}, &memory{before: refuse}
		lone := detector("gone", "y", ill)
		lone.UnknownAfter = time.Minute
		b.Set([]Detector{detector("one", "x", well), lone})
		stop := b.run(t)
		for range 5 {
			elapse(50 * time.Second)
			ill.set(0, nil)
			elapse(2 * interval)
			ill.set(0, refuse)
		}
		if got := b.log.edges("source/metrics"); got != "" {
			t.Errorf("edges %q, though it was never unknown for a minute", got)
		}
		elapse(2 * time.Minute)
		rounds := b.log.of("source/metrics")
		last := rounds[len(rounds)-1].Readings[0]
		if last.Condition != signalbox.Breached || !strings.Contains(last.Summary, "1 of 2 detectors unknown for too long (gone)") {
			t.Errorf("got %+v", last)
		}
		b.Set([]Detector{detector("one", "x", well)})
		elapse(2 * interval)
		stop()
		if got := b.log.edges("source/metrics"); got != "bc" {
			t.Errorf("edges %q, want an end when the detector is no longer configured", got)
		}
	})
}

func TestRestoredSourceStaysOpenUntilAllAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, well, ill := newBench(), &memory{}, &memory{before: refuse}
		b.Set([]Detector{detector("one", "x", well), detector("two", "y", ill)})
		onset := time.Now().Add(-time.Hour)
		b.Restore([]signalbox.Reading{{Detector: "source/metrics", Series: "metrics", Condition: signalbox.Breached, OnsetAt: onset}}, nil)
		if err := b.AskNow(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		if r := b.log.of("source/metrics"); len(r) != 1 || r[0].Readings[0].Condition != signalbox.Breached || len(r[0].Edges) != 0 {
			t.Fatalf("got %+v, want it still open while one was not heard", r)
		}
		elapse(tellEvery)
		ill.set(0, nil)
		if b.AskNow(t.Context(), "two") != nil || b.log.edges("source/metrics") != "c" {
			t.Errorf("edges %q, want c", b.log.edges("source/metrics"))
		}
		if e := b.log.of("source/metrics")[1].Edges; !e[0].OnsetAt.Equal(onset) {
			t.Errorf("its end has the onset %s, want the restored %s", e[0].OnsetAt, onset)
		}
	})
}

func TestSetKeepsWhatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{value: 1}
		same, other, leaves := detector("same", "x", m), detector("other", "x", m), detector("leaves", "x", m)
		for _, d := range []*Detector{&same, &other, &leaves} {
			d.Timing = track.Timing{For: interval, ClearFor: interval}
		}
		b.Set([]Detector{same, other, leaves})
		stop := b.run(t)
		elapse(3 * interval)
		changed := other
		changed.Hash, changed.Timing = "another", track.Timing{}
		b.Set([]Detector{same, changed})
		elapse(2 * interval)
		m.set(0, nil)
		elapse(3 * interval)
		stop()
		if s, o, l := b.log.edges("same"), b.log.edges("other"), b.log.edges("leaves"); s != "bc" || o != "bc" || l != "b" {
			t.Errorf("edges %q, %q and %q, want bc of both that stay, and b of the one that left", s, o, l)
		}
		if n := len(b.log.of("leaves")); n != 3 {
			t.Errorf("%d rounds of a detector that left, want the 3 before", n)
		}
	})
}

func TestSetWhileARoundIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		m := &memory{before: func(context.Context) error { elapse(time.Second); return nil }}
		b.Set([]Detector{detector("one", "x", m)})
		done := make(chan error, 1)
		go func() { done <- b.AskNow(t.Context(), "one") }()
		synctest.Wait()
		b.Set(nil)
		if err := <-done; err != nil || len(b.log.rounds) != 0 {
			t.Errorf("%v, %+v: want a round of a detector that is gone to be dropped", err, b.log.rounds)
		}
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{}
		b.Set([]Detector{detector("one", "x", m)})
		count := func(result string) float64 {
			return testutil.ToFloat64(b.metrics.rounds.WithLabelValues("metrics", result))
		}
		if n, err := testutil.GatherAndCount(b.registry, "signalbox_poll_rounds_total"); err != nil || n != 3 {
			t.Errorf("%d series before the first round, %v; want 3 zeros", n, err)
		}
		if b.AskNow(t.Context(), "one") != nil || count(resultGood) != 1 ||
			testutil.ToFloat64(b.metrics.lastGood.WithLabelValues("metrics")) != float64(time.Now().Unix()) {
			t.Error("a good round was not counted")
		}
		m.set(0, refuse)
		if b.AskNow(t.Context(), "one") != nil || count(resultUnknown) != 1 || testutil.ToFloat64(b.metrics.questions.WithLabelValues("metrics")) != 2 {
			t.Error("an unknown round was not counted")
		}
		b.Set(nil)
		if n, _ := testutil.GatherAndCount(b.registry, "signalbox_poll_rounds_total"); n != 0 {
			t.Errorf("%d series of a source that is gone", n)
		}
		problems, err := testutil.GatherAndLint(b.registry)
		if err != nil || len(problems) > 0 {
			t.Error(err, problems)
		}
	})
}

// What is emitted slowly delays no other detector, and its own next round is
// late rather than doubled.
func TestSlowEmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{}
		emit := b.log.emit
		b.Poller.o.Emit = func(r Round) {
			if r.Detector == "slow" {
				elapse(2*interval + time.Second)
			}
			emit(r)
		}
		other := detector("other", "y", m)
		other.Source = "another"
		b.Set([]Detector{detector("slow", "x", m), other})
		stop := b.run(t)
		elapse(12*interval + time.Millisecond)
		stop()
		if n := len(b.log.of("other")); n != 12 {
			t.Errorf("the other detector had %d rounds in 12 intervals", n)
		}
		if n := testutil.ToFloat64(b.metrics.rounds.WithLabelValues("metrics", resultLate)); n < 6 {
			t.Errorf("%v late rounds", n)
		}
	})
}

func TestManyDetectorsNeedNoGoroutineEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{}
		ds := make([]Detector, 10_000)
		for i := range ds {
			ds[i] = detector(fmt.Sprint("d", i), fmt.Sprint("x", i), m)
		}
		before := runtime.NumGoroutine()
		b.Set(ds)
		stop := b.run(t)
		elapse(2*interval + time.Millisecond)
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 10 {
			t.Errorf("%d goroutines wait for 10,000 detectors", n)
		}
		stop()
		if n := len(m.asked); n < 20_000 || n > 20_010 { // the last millisecond is of a third interval
			t.Errorf("%d questions in two intervals, want 20,000", n)
		}
		if n := len(b.log.of("source/metrics")); n > 40 {
			t.Errorf("the source's reading was told %d times in 30s", n)
		}
	})
}
