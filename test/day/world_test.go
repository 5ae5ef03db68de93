package day

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/parity"
)

const (
	length   = 24 * time.Hour
	step     = 15 * time.Second // of scrapes and of rounds
	forTime  = time.Minute      // `for` of every detector
	clearFor = time.Minute
	rateOver = time.Minute
	maxAge   = 75 * time.Second // the kind's own default at this interval
)

// span is a part of the day, from its start.
type span struct{ from, to time.Duration }

func (s span) length() time.Duration { return s.to - s.from }

// overlap is how much of s lies within o.
func (s span) overlap(o span) time.Duration { return max(0, min(s.to, o.to)-max(s.from, o.from)) }

// trouble is what hides the truth of one target for a while.
type trouble struct {
	span
	what   string
	amount time.Duration // late: by how much; skew: how far the clock is ahead
}

// series is one that is ill in some spans.
type series struct {
	name    string
	counter bool
	ill     []span
	resets  []time.Duration
}

func (s *series) isIll(at time.Duration) bool {
	for _, i := range s.ill {
		if at >= i.from && at < i.to {
			return true
		}
	}
	return false
}

// target is an exporter with its series, scraped by one server.
type target struct {
	name     string
	offset   time.Duration // of its scrapes
	series   []*series
	troubles []trouble

	counts map[*series]float64
	before time.Duration // the scrape before
}

func (g *target) in(what string, at time.Duration) (trouble, bool) {
	for _, t := range g.troubles {
		if t.what == what && at >= t.from && at < t.to {
			return t, true
		}
	}
	return trouble{}, false
}

// between draws a length of time.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// newTarget draws a target's day: its series flap, some for seconds and some for
// minutes, and a trouble comes about every half an hour.
func newTarget(r *rand.Rand, number, gauges, counters int) *target {
	g := &target{name: fmt.Sprintf("app-%d", number), offset: between(r, 0, step), counts: map[*series]float64{}}
	for i := range gauges + counters {
		s := &series{name: fmt.Sprintf("%s-%d", g.name, i), counter: i >= gauges}
		at := between(r, time.Minute, 10*time.Minute)
		for at < length {
			ill := between(r, 5*time.Second, 2*forTime)
			if r.IntN(3) == 0 {
				ill = between(r, 2*forTime, 10*time.Minute)
			}
			s.ill = append(s.ill, span{at, min(at+ill, length)})
			at += ill + between(r, 5*time.Second, 6*time.Minute)
		}
		for reset := between(r, 0, time.Hour); s.counter && reset < length; reset += between(r, 10*time.Minute, 2*time.Hour) {
			s.resets = append(s.resets, reset)
		}
		g.series = append(g.series, s)
	}
	kinds := []string{"gap", "stall", "late", "skew", "fails", "partial"}
	for at := between(r, 10*time.Minute, 40*time.Minute); at < length; at += between(r, 20*time.Minute, 50*time.Minute) {
		t := trouble{span: span{at, at + between(r, 20*time.Second, 8*time.Minute)}, what: kinds[r.IntN(len(kinds))]}
		switch t.what {
		case "stall":
			t.from = g.lastBad(g.series[r.IntN(gauges)], at)
			t.to = t.from + between(r, time.Minute, 8*time.Minute)
		case "late":
			t.amount = between(r, 5*time.Second, 2*time.Minute)
		case "skew":
			t.amount = between(r, -10*time.Minute, 10*time.Minute)
		}
		g.troubles = append(g.troubles, t)
		at = t.to
	}
	return g
}

// lastBad is just after the first bad sample of a short illness, so that one bad
// sample is the last for a while.
func (g *target) lastBad(s *series, after time.Duration) time.Duration {
	for _, ill := range s.ill {
		scrape := (ill.from-g.offset+step-1)/step*step + g.offset
		if ill.from >= after && ill.length() < forTime-slack && scrape < ill.to {
			return scrape + time.Second
		}
	}
	return after
}

// sample is one that a scrape took, and when it can be seen.
type sample struct {
	labels labels.Labels
	stamp  time.Time
	value  float64
}

// scrape takes the target's samples, and says when they can be seen.
func (g *target) scrape(began time.Time, at time.Duration) (out []sample, seen time.Duration) {
	if _, stalled := g.in("stall", at); stalled { // the server does not scrape, and knows of no end
		return nil, at
	}
	stamp, seen := began.Add(at), at
	if t, ok := g.in("skew", at); ok {
		stamp = stamp.Add(t.amount)
	}
	if t, ok := g.in("late", at); ok {
		seen += t.amount
	}
	_, down := g.in("gap", at)
	for _, s := range g.series {
		g.count(s, at)
		v := g.value(s, at)
		if down {
			v = math.Float64frombits(value.StaleNaN)
		}
		out = append(out, sample{s.labels(g), stamp, v})
	}
	g.before = at
	return out, seen
}

func (s *series) labels(g *target) labels.Labels {
	name := "load"
	if s.counter {
		name = "errors_total"
	}
	return labels.FromStrings("__name__", name, "instance", g.name, "series", s.name)
}

// Values on both sides of the thresholds.
const (
	wellLoad, illLoad = 1.0, 9.0 // against 5
	illRate           = 4.0      // a second, against half of it: so a rate is ill for as long as its counter, half a window later
)

// count moves a counter on to now: by what is true since the last scrape.
func (g *target) count(s *series, at time.Duration) {
	if !s.counter {
		return
	}
	for _, reset := range s.resets {
		if reset > g.before && reset <= at {
			g.counts[s] = 0
		}
	}
	for _, i := range s.ill {
		g.counts[s] += illRate * i.overlap(span{g.before, at}).Seconds()
	}
}

func (g *target) value(s *series, at time.Duration) float64 {
	switch {
	case s.counter:
		return g.counts[s]
	case s.isIll(at):
		return illLoad
	}
	return wellLoad
}

// server is one target's metrics server: the storage and engine, and an API
// that fails at times.
type server struct {
	*parity.Engine
	target *target
	began  time.Time
	mu     sync.Mutex
}

// Skew is how far the server's clock is ahead, as its answers' dates tell.
func (s *server) Skew() (time.Duration, bool) {
	t, _ := s.target.in("skew", time.Since(s.began))
	return t.amount, true
}

var errDown = errors.New("the server is down")

// Ask evaluates, at times with an error or a warning.
func (s *server) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := at.Sub(s.began)
	_, fails := s.target.in("fails", since)
	_, partial := s.target.in("partial", since)
	answers := s.Engine.Ask(ctx, qs, at)
	for i := range answers {
		switch {
		case fails:
			answers[i] = signalbox.Answer{Question: qs[i], At: at, Err: errDown}
		case partial:
			answers[i].Samples, answers[i].Warnings = nil, []string{"a store did not answer"}
		}
	}
	return answers
}

// add appends samples as a scrape's commit does: those that are out of order
// are lost, as in Prometheus.
func (s *server) add(ctx context.Context, all []sample) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	app := s.Storage.Appender(ctx)
	for _, x := range all {
		_, _ = app.Append(0, x.labels, x.stamp.UnixMilli(), x.value) // out of order: lost
	}
	return app.Commit()
}
