// Package poll is the schedule of asking: it asks sources what their detectors
// want to know, each detector once an interval, and hands what was judged on.
//
//	schedule.go   one heap of what is due, and one timer
//	round.go      one round: ask once for all that is due, judge, track, emit
//	health.go     what is Unknown for too long, or has another clock, is one reading for its source
//	clock.go      how far a source's clock is from ours, and that nothing is believed while it is too far
//	watch.go      a source that watches says what changed, and is asked at once
//
// A detector's rounds are spread over its interval by the hash of what it
// asks, so that sources are asked evenly, and detectors that ask the same fall
// due together and are asked for once. A round has a deadline, the detector's
// timeout and at most nine tenths of its interval; what is not answered by then
// is Unknown. Each source has its own bound of rounds at once, so a slow one
// delays only its own detectors.
package poll

import (
	"container/heap"
	"context"
	"hash/fnv"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/track"
)

// Detector is one detector and how it is asked for.
type Detector struct {
	Name     string
	Detector signalbox.Detector
	Source   string           // its name
	Asks     signalbox.Source // the source itself
	// Group: detectors of one source are asked together only within a group,
	// and all of a group ask through the same Asks. Empty: the source itself.
	Group    string
	Interval time.Duration
	Timeout  time.Duration // of one round; 0: only the interval bounds it
	// UnknownAfter: not wholly known for longer is told by its source's reading.
	UnknownAfter time.Duration
	Timing       track.Timing
	// Hash identifies the definition: at a reload what was seen is kept for a
	// detector whose hash is the same.
	Hash string
}

// Round is what came of asking for one detector once.
type Round struct {
	Detector string
	At       time.Time
	Readings []signalbox.Reading // with Since, OnsetAt and WellAt
	Edges    []signalbox.Reading // those of Readings that must become durable
	Good     bool                // no series is Unknown
}

// Options is what a Poller is made of.
type Options struct {
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
	// Emit takes each round, in order for each detector. It may wait, which
	// delays that detector and its source, and must not call the Poller.
	Emit func(Round)
}

// Poller asks. Its methods are safe for concurrent use.
type Poller struct {
	o       Options
	metrics *metrics
	changed chan struct{} // the schedule has

	mu        sync.Mutex
	detectors map[string]*entry
	sources   map[string]*source
	due       dueHeap
}

// entry is one detector under way. Locks are taken in the order of Poller.mu
// (never while something is emitted), entry.turn, entry.mu, source.mu.
type entry struct {
	offset time.Duration // into its interval

	turn    sync.Mutex // held while a round is judged and emitted
	tracker *track.Tracker
	told    uint64 // the newest round that was emitted
	gone    bool   // no longer configured

	mu      sync.Mutex // never held for long
	def     Detector
	asked   uint64    // rounds begun
	good    time.Time // the last good round, as the tracker has it
	durable time.Time // where a stream is to be read on from, when rounds began without knowing it
	running bool      // a round of the schedule is under way
}

// New returns a poller that asks nothing yet.
func New(o Options) *Poller {
	return &Poller{
		o: o, metrics: newMetrics(o.Registerer), changed: make(chan struct{}, 1),
		detectors: map[string]*entry{}, sources: map[string]*source{},
	}
}

// Set replaces the detectors. What was seen is kept for those whose Hash is the
// same; of the others, what is open stays open until it is clear. Rounds under
// way of a detector that is gone or has another definition are dropped, once
// what they emit now is taken.
func (p *Poller) Set(detectors []Detector) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.detectors
	p.detectors, p.due = make(map[string]*entry, len(detectors)), nil
	now := p.o.Now()
	for _, d := range detectors {
		e := old[d.Name]
		if e == nil || !e.redefine(d) {
			e = newEntry(d, e)
		} else {
			delete(old, d.Name)
		}
		p.detectors[d.Name] = e
		p.due = append(p.due, due{e.next(d.Interval, now), e})
	}
	for _, e := range old {
		e.retire()
	}
	heap.Init(&p.due)
	p.setSources(detectors)
	p.metrics.detectors.Set(float64(len(p.detectors)))
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// redefine gives the entry another source, owner or bound; false when the
// definition itself is another.
func (e *entry) redefine(d Detector) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.def.Hash != d.Hash || e.def.Source != d.Source || e.def.Interval != d.Interval {
		return false
	}
	e.def = d
	return true
}

// retire drops the rounds under way, and returns what it knows.
func (e *entry) retire() (open []signalbox.Reading, good time.Time) {
	e.turn.Lock()
	defer e.turn.Unlock()
	e.gone = true
	return e.tracker.Open(), e.tracker.Good()
}

// aligned is a Detector that says itself when in its interval it is asked: how
// far into it, from the epoch, at least 0 and less than the interval.
type aligned interface{ Offset() time.Duration }

// newEntry begins with a detector; was is its entry under another definition.
func newEntry(d Detector, was *entry) *entry {
	h := fnv.New64a()
	h.Write([]byte(d.Source + "\x00" + d.Interval.String()))
	for _, q := range d.Detector.Questions() {
		h.Write([]byte("\x00" + q.Query))
	}
	e := &entry{
		def: d, tracker: track.New(d.Timing, 2*d.Interval+time.Second),
		offset: time.Duration(h.Sum64() % uint64(d.Interval)),
	}
	if a, ok := d.Detector.(aligned); ok {
		e.offset = a.Offset()
	}
	if was != nil {
		e.tracker.Restore(was.retire())
		e.knows()
	}
	return e
}

// knows notes how far the detector has read. The caller holds turn.
func (e *entry) knows() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.good = e.tracker.Good()
}

// readFrom sends the reader of a stream back to where it had come to before it
// began anew without knowing that: what lies between was never read. The caller
// holds turn.
func (e *entry) readFrom(durable time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !durable.IsZero() && durable.Before(e.good) {
		e.durable = durable
	}
}

// next is when the detector is due first after now: on a grid from the epoch,
// so that a restart changes nothing.
func (e *entry) next(interval time.Duration, now time.Time) time.Time {
	phase := time.Duration(now.UnixNano()) % interval
	wait := e.offset - phase
	if wait <= 0 {
		wait += interval
	}
	return now.Add(wait)
}

// Restore takes in what is durably known: the readings of open incidents, and
// when each detector's last good round was. Call it after Set; it may be late.
func (p *Poller) Restore(open []signalbox.Reading, good map[string]time.Time) {
	byDetector := map[string][]signalbox.Reading{}
	for _, r := range open {
		byDetector[r.Detector] = append(byDetector[r.Detector], r)
	}
	p.mu.Lock()
	detectors, sources := maps.Clone(p.detectors), maps.Clone(p.sources)
	p.mu.Unlock()
	for name, e := range detectors {
		e.turn.Lock()
		e.tracker.Restore(byDetector[name], good[name])
		e.knows()
		e.readFrom(good[name])
		e.turn.Unlock()
	}
	for name, s := range sources {
		s.restore(byDetector[SourceDetector(name)])
	}
}

// Resume takes in how long breaches were counted by who asked before. Call it
// after Set; of what was asked since it says nothing.
func (p *Poller) Resume(streaks []signalbox.Streak) {
	by := map[string][]signalbox.Streak{}
	for _, k := range streaks {
		by[k.Detector] = append(by[k.Detector], k)
	}
	p.mu.Lock()
	detectors := maps.Clone(p.detectors)
	p.mu.Unlock()
	for name, list := range by {
		if e := detectors[name]; e != nil {
			e.turn.Lock()
			e.tracker.Resume(list)
			e.turn.Unlock()
		}
	}
}

// Run asks until ctx ends; then it waits for the rounds under way, which end
// with it and are dropped.
func (p *Poller) Run(ctx context.Context) error {
	var rounds sync.WaitGroup
	defer rounds.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.changed:
		case <-timer.C:
		}
		batches, wait := p.take()
		for _, b := range batches {
			rounds.Go(func() { p.scheduled(ctx, b) })
		}
		timer.Reset(wait)
	}
}
