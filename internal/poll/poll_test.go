package poll

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/track"
)

const interval = 15 * time.Second

// watch is a detector of one series, "a", that is ill when its answer is not 0.
type watch struct {
	name  string
	query string
}

func (w watch) Questions() []signalbox.Question {
	return []signalbox.Question{{Source: "metrics", Query: w.query}}
}

func (w watch) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	r := signalbox.Reading{Detector: w.name, Series: "a", At: at, Condition: signalbox.Clear, HasValue: true}
	switch {
	case answers[0].Err != nil:
		r.Condition, r.HasValue, r.Reason = signalbox.Unknown, false, answers[0].Err.Error()
		if len(was) == 0 {
			r.Series = ""
		}
	case answers[0].Samples[0].Value != 0:
		r.Condition = signalbox.Breached
	}
	return []signalbox.Reading{r}
}

// memory is a source without a network. before, where set, is called first in
// each Ask, and an error of it is the answer.
type memory struct {
	mu     sync.Mutex
	value  float64
	before func(ctx context.Context) error
	asked  []string    // every query, in order
	times  []time.Time // of each Ask
}

func (m *memory) set(value float64, before func(context.Context) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.value, m.before = value, before
}

func (m *memory) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	m.mu.Lock()
	m.times = append(m.times, at)
	for _, q := range qs {
		m.asked = append(m.asked, q.Query)
	}
	value, before := m.value, m.before
	m.mu.Unlock()
	var err error
	if before != nil {
		err = before(ctx)
	}
	out := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		out[i] = signalbox.Answer{Question: q, At: at, Err: err}
		if err == nil {
			out[i].Samples = []signalbox.Sample{{Value: value, At: at}}
		}
	}
	return out
}

func hang(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// log keeps what was emitted.
type log struct {
	mu     sync.Mutex
	rounds []Round
}

func (l *log) emit(r Round) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rounds = append(l.rounds, r)
}

// of returns the rounds of a detector.
func (l *log) of(name string) (rounds []Round) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.rounds {
		if r.Detector == name {
			rounds = append(rounds, r)
		}
	}
	return rounds
}

// edges tells the edges of a detector: "b" breached, "c" clear, "u" unknown.
func (l *log) edges(name string) (told string) {
	for _, r := range l.of(name) {
		for _, e := range r.Edges {
			told += e.Condition.String()[:1]
		}
	}
	return told
}

type bench struct {
	*Poller
	log      *log
	registry *prometheus.Registry
}

// elapse lets the bubble's time go on.
func elapse(d time.Duration) { <-time.After(d) }

func newBench() *bench {
	b := &bench{log: &log{}, registry: prometheus.NewRegistry()}
	b.Poller = New(Options{Now: time.Now, Log: slog.New(slog.DiscardHandler), Registerer: b.registry, Emit: b.log.emit})
	return b
}

// run runs the poller until the returned function is called.
func (b *bench) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return func() { cancel(); <-done }
}

func detector(name, query string, m *memory) Detector {
	return Detector{
		Name: name, Detector: watch{name, query}, Source: "metrics", Asks: m, Interval: interval,
		Timeout: 10 * time.Second, UnknownAfter: 5 * time.Minute, Hash: name + query,
	}
}

func TestAskedOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{}
		b.Set([]Detector{detector("one", "x", m), detector("same", "x", m), detector("other", "y", m)})
		stop := b.run(t)
		elapse(10*interval + time.Millisecond)
		stop()
		slices.Sort(m.asked)
		if got := slices.Compact(slices.Clone(m.asked)); len(m.asked) != 20 || len(got) != 2 {
			t.Errorf("asked %q: want x and y ten times each, x once for two detectors", m.asked)
		}
		for _, name := range []string{"one", "same", "other"} {
			rounds := b.log.of(name)
			if len(rounds) != 10 {
				t.Fatalf("%s: %d rounds in ten intervals", name, len(rounds))
			}
			for i := 1; i < len(rounds); i++ {
				if d := rounds[i].At.Sub(rounds[i-1].At); d != interval {
					t.Errorf("%s: round %d came after %s", name, i, d)
				}
			}
		}
		if x, y := b.log.of("one")[0].At, b.log.of("other")[0].At; x.Equal(y) {
			t.Error("rounds of different questions are not spread over the interval")
		}
	})
}

// The grid hangs on the epoch: a restart asks at the same moments.
func TestRestartKeepsTheGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var phases []time.Duration
		for range 3 {
			b, m := newBench(), &memory{}
			b.Set([]Detector{detector("one", "x", m)})
			stop := b.run(t)
			elapse(interval)
			stop()
			phases = append(phases, time.Duration(b.log.of("one")[0].At.UnixNano())%interval)
			elapse(4 * time.Second)
		}
		if phases[0] != phases[1] || phases[1] != phases[2] {
			t.Errorf("phases %v", phases)
		}
	})
}

func TestSlowSourceDelaysOnlyItsOwn(t *testing.T) {
	never := make(chan struct{})
	for name, before := range map[string]func(context.Context) error{
		"honours its deadline": hang,
		"does not":             func(context.Context) error { <-never; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				block := before
				if name == "does not" {
					block = func(context.Context) error { <-release; return nil }
				}
				b, slow, quick := newBench(), &memory{before: block}, &memory{}
				d := detector("slow", "x", slow)
				d.Source = "slow"
				b.Set([]Detector{d, detector("quick", "x", quick)})
				stop := b.run(t)
				elapse(20*interval + time.Millisecond)
				stop()
				close(release)
				synctest.Wait()
				if got := b.log.of("quick"); len(got) != 20 || slices.ContainsFunc(got, func(r Round) bool { return !r.Good }) {
					t.Errorf("the quick source had %d rounds: %+v", len(got), got)
				}
				got := b.log.of("slow")
				if len(got) < 19 || slices.ContainsFunc(got, func(r Round) bool { return r.Good || r.Readings[0].Condition != signalbox.Unknown }) {
					t.Errorf("the slow source had %d rounds, want each Unknown: %+v", len(got), got)
				}
			})
		})
	}
}

// A source that never returns holds at most its bound of calls.
func TestHangingCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m := &memory{before: func(context.Context) error { <-release; return nil }}
		b := newBench()
		b.Set([]Detector{detector("one", "x", m), detector("two", "y", m)})
		stop := b.run(t)
		elapse(100 * interval)
		stop()
		m.mu.Lock()
		calls := len(m.times)
		m.mu.Unlock()
		close(release)
		synctest.Wait()
		if calls != roundsAtOnce {
			t.Errorf("%d calls are hanging, want %d", calls, roundsAtOnce)
		}
		if n := len(b.log.of("one")); n < 98 {
			t.Errorf("%d rounds in 100 intervals were told as unknown", n)
		}
	})
}

func TestSourceBreaksItsPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, bad := range []answering{
			func([]signalbox.Question) []signalbox.Answer { return nil },
			func(qs []signalbox.Question) []signalbox.Answer {
				return []signalbox.Answer{{Question: signalbox.Question{Query: "another"}, Samples: []signalbox.Sample{{}}}}
			},
		} {
			b := newBench()
			d := detector("one", "x", nil)
			d.Asks = bad
			b.Set([]Detector{d})
			if err := b.AskNow(t.Context(), "one"); err != nil {
				t.Fatal(err)
			}
			if got := b.log.of("one"); len(got) != 1 || got[0].Good {
				t.Errorf("got %+v, want Unknown", got)
			}
		}
	})
}

type answering func([]signalbox.Question) []signalbox.Answer

func (a answering) Ask(_ context.Context, qs []signalbox.Question, _ time.Time) []signalbox.Answer {
	return a(qs)
}

func TestEdgesAndRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{value: 1}
		d := detector("one", "x", m)
		d.Timing = track.Timing{For: 2 * interval}
		b.Set([]Detector{d})
		well := time.Now().Add(-time.Minute)
		b.Restore(nil, map[string]time.Time{"one": well})
		stop := b.run(t)
		elapse(5 * interval)
		m.set(0, nil)
		elapse(interval)
		stop()
		if got := b.log.edges("one"); got != "bc" {
			t.Fatalf("edges %q, want bc", got)
		}
		rounds := b.log.of("one")
		if e := rounds[2].Edges; len(e) != 1 || !e[0].OnsetAt.Equal(rounds[0].At) || !e[0].WellAt.Equal(well) {
			t.Errorf("the third round has edges %+v", e)
		}
		again := newBench()
		again.Set([]Detector{d})
		again.Restore(rounds[2].Edges, nil)
		if again.AskNow(t.Context(), "one") != nil || again.log.edges("one") != "c" {
			t.Errorf("after a restart: edges %q, want c", again.log.edges("one"))
		}
	})
}

func TestAskNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{}
		b.Set([]Detector{detector("one", "x", m), detector("two", "x", m), detector("three", "y", m)})
		if err := b.AskNow(t.Context(), "one", "nobody", "two", "one"); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(m.asked, []string{"x"}) || len(b.log.of("one")) != 1 || len(b.log.of("two")) != 1 || len(b.log.of("three")) != 0 {
			t.Errorf("asked %q, told %+v", m.asked, b.log.rounds)
		}
		if err := b.AskNow(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// An answer that comes after a newer one was told is dropped.
func TestOlderRoundIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{}
		b.Set([]Detector{detector("one", "x", m)})
		m.set(1, func(context.Context) error { elapse(5 * time.Second); return nil })
		slow := make(chan error, 1)
		go func() { slow <- b.AskNow(t.Context(), "one") }()
		synctest.Wait()
		m.set(0, nil)
		if err := b.AskNow(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		if err := <-slow; err != nil {
			t.Fatal(err)
		}
		if got := b.log.of("one"); len(got) != 1 || got[0].Readings[0].Condition != signalbox.Clear {
			t.Errorf("got %+v, want the newer round alone", got)
		}
	})
}

func TestDeadlineAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(), &memory{before: hang}
		b.Set([]Detector{detector("one", "x", m)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.AskNow(ctx, "one"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if got := b.log.of("one"); len(got) != 1 || got[0].Good {
			t.Errorf("after its deadline: %+v, want one Unknown round", got)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := b.AskNow(ctx, "one"); !errors.Is(err, context.Canceled) || len(b.log.of("one")) != 1 {
			t.Errorf("cancelled: %v, %+v; want no further round", err, b.log.of("one"))
		}
	})
}
