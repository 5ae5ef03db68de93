package poll

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	signalbox "github.com/signalbox/signalbox"
)

// watched is a memory that says when it changes.
type watched struct {
	memory
	watches int
	broken  error // what Watch ends with at once; nil: it lasts
	changed chan []signalbox.Question
}

func (w *watched) Watch(ctx context.Context, changed func(...signalbox.Question)) error {
	w.mu.Lock()
	w.watches++
	broken := w.broken
	w.mu.Unlock()
	if broken != nil {
		return broken
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case qs := <-w.changed:
			changed(qs...)
		}
	}
}

func (w *watched) asks(query string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.asked {
		if q == query {
			n++
		}
	}
	return n
}

func TestAskedAtOnceWhenItChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := newBench(), &watched{changed: make(chan []signalbox.Question)}
		one, other := detector("one", "x", nil), detector("other", "y", nil)
		one.Asks, other.Asks = w, w
		one.Interval, other.Interval = time.Hour, time.Hour
		b.Set([]Detector{one, other})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.Watch(ctx, "metrics", w) }()
		w.set(1, nil)
		began := time.Now()
		w.changed <- []signalbox.Question{{Source: "metrics", Query: "x"}}
		synctest.Wait()
		if got := b.log.edges("one"); got != "b" || time.Since(began) != 0 {
			t.Errorf("edges %q after %s, want the breach at once", got, time.Since(began))
		}
		if n := w.asks("y"); n != 0 {
			t.Errorf("y was asked %d times, and did not change", n)
		}
		for range 50 { // a burst is asked for together
			w.changed <- nil
		}
		elapse(time.Second)
		if x, y := w.asks("x"), w.asks("y"); x != 2 || y != 1 {
			t.Errorf("after a burst x was asked %d times and y %d", x, y)
		}
		cancel()
		<-done
	})
}

func TestWatchIsBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := newBench(), &watched{changed: make(chan []signalbox.Question), broken: errors.New("refused")}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.Watch(ctx, "metrics", w) }()
		elapse(5 * time.Minute)
		w.mu.Lock()
		if n := w.watches; n < 10 || n > 20 {
			t.Errorf("begun %d times in 5m: want pauses that grow to %s", n, mostRetry)
		}
		w.mu.Unlock()
		cancel()
		<-done
	})
}

// reader follows a stream: it notes from where it was asked to read.
type reader struct {
	watch
	from []time.Time
}

func (r *reader) QuestionsSince(good time.Time) []signalbox.Question {
	r.from = append(r.from, good)
	return []signalbox.Question{{Source: "metrics", Query: r.query, From: good}}
}

func TestFollowerReadsOnFromItsLastGoodRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{}
		d, r := detector("logs", "x", m), &reader{watch: watch{"logs", "x"}}
		d.Detector = r
		b.Set([]Detector{d})
		durable := time.Now().Add(-time.Hour)
		b.Restore(nil, map[string]time.Time{"logs": durable})
		stop := b.run(t)
		elapse(2 * interval)
		m.set(0, refuse)
		elapse(3 * interval)
		m.set(0, nil)
		elapse(2 * interval)
		stop()
		rounds := b.log.of("logs")
		want := []time.Time{durable, rounds[0].At, rounds[1].At, rounds[1].At, rounds[1].At, rounds[1].At, rounds[5].At}
		if fmt.Sprint(r.from) != fmt.Sprint(want) {
			t.Errorf("read from\n%v, want\n%v", r.from, want)
		}
	})
}

// The store is away at the start: rounds begin without knowing how far a stream
// was read before. Once it is known, what lies between is read, also when that
// takes several rounds.
func TestFollowerGoesBackToWhatIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{}
		d, r := detector("logs", "x", m), &reader{watch: watch{"logs", "x"}}
		d.Detector = r
		b.Set([]Detector{d})
		durable := time.Now().Add(-time.Hour)
		b.Restore(nil, nil)
		stop := b.run(t)
		elapse(2 * interval)
		m.set(0, refuse)
		b.Restore(nil, map[string]time.Time{"logs": durable})
		elapse(2 * interval)
		m.set(0, nil)
		elapse(3 * interval)
		stop()
		rounds := b.log.of("logs")
		want := []time.Time{{}, rounds[0].At, durable, durable, durable, rounds[4].At, rounds[5].At}
		if fmt.Sprint(r.from) != fmt.Sprint(want) {
			t.Errorf("read from\n%v, want\n%v", r.from, want)
		}
	})
}

// skewed is a memory whose server has another clock.
type skewed struct {
	memory
	ahead time.Duration
}

func (s *skewed) Skew() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ahead, true
}

func TestClockOfASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &skewed{ahead: 9 * time.Second}
		d := detector("one", "x", nil)
		d.Asks = s
		b.Set([]Detector{d})
		stop := b.run(t)
		turn := func(to time.Duration) {
			s.mu.Lock()
			s.ahead = to
			s.mu.Unlock()
			elapse(5 * interval)
		}
		turn(9 * time.Second)
		if got := b.log.edges("source/metrics"); got != "" {
			t.Errorf("edges %q with a clock within the bound", got)
		}
		turn(-42 * time.Second)
		if got := b.log.edges("source/metrics"); got != "b" {
			t.Errorf("edges %q with a clock that is 42s behind", got)
		}
		if v := testutil.ToFloat64(b.metrics.skew.WithLabelValues("metrics")); v != -42 {
			t.Errorf("the metric says %v", v)
		}
		turn(0)
		if got := b.log.edges("source/metrics"); got != "bc" {
			t.Errorf("edges %q once the clock is right again", got)
		}
		stop()
	})
}

// What a clock that was ahead has stamped comes due later, and looks fresh.
func TestClockThatWasAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &skewed{ahead: 5 * time.Minute}
		d := detector("one", "x", nil)
		d.Asks = s
		b.Set([]Detector{d})
		stop := b.run(t)
		turn := func(to time.Duration) {
			s.mu.Lock()
			s.ahead = to
			s.mu.Unlock()
		}
		believed := func() bool {
			rounds := b.log.of("one")
			return rounds[len(rounds)-1].Good
		}
		elapse(2 * interval)
		if believed() {
			t.Error("believed while the clock is 5m ahead")
		}
		turn(0)
		elapse(4 * time.Minute)
		if believed() {
			t.Error("believed while samples of the future come due")
		}
		elapse(time.Minute + 2*interval)
		if !believed() {
			t.Error("not believed once they are past")
		}
		stop()
	})
}
