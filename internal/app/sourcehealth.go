package app

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// sourceHealth turns what is wrong with a source that posts into one incident
// of the source, whatever the cause: one illness is one page.
//
//   - it can't be read for unknownAfter
//   - its watchdog does not come for within
//   - rules of it are Unknown for unknownAfter
//
// What was heard before the start is not known, so at the start each bound is
// counted from there. An incident that was open before is ended only by proof:
// a good look where it is read, and the watchdog where there is one.
type sourceHealth struct {
	name    string // of its detector
	reads   bool
	changed chan struct{} // step may say something else

	mu           sync.Mutex
	unknownAfter time.Duration
	within       time.Duration // of the watchdog; 0: there is none
	good         time.Time     // the last good look, or the start
	err          error         // of the last look
	seen         bool          // there was a good look
	heard        time.Time     // the watchdog, or the start
	arrived      bool          // the watchdog did
	unknown      []signalbox.Reading
	onset        time.Time // of the breach; zero: well
	told         bool      // that it is well
}

func newSourceHealth(name string, unknownAfter, within time.Duration, reads bool) *sourceHealth {
	return &sourceHealth{name: name, unknownAfter: unknownAfter, within: within, reads: reads, changed: make(chan struct{}, 1)}
}

// begin starts the clocks, once.
func (h *sourceHealth) begin(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.good.IsZero() {
		h.good, h.heard = at, at
	}
}

// anew forgets what was seen: another replica watched in between.
func (h *sourceHealth) anew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.good, h.heard, h.onset = time.Time{}, time.Time{}, time.Time{}
	h.err, h.unknown = nil, nil
	h.seen, h.arrived, h.told = false, false, false
}

// redefine takes the bounds of another configuration.
func (h *sourceHealth) redefine(unknownAfter, within time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unknownAfter, h.within = unknownAfter, within
	h.poke()
}

// watches reports whether there is anything to tell of the source.
func (h *sourceHealth) watches() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reads || h.within > 0
}

func (h *sourceHealth) poke() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// looked notes how reading the present state went.
func (h *sourceHealth) looked(at time.Time, unknown []signalbox.Reading, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err = err; err == nil {
		h.good, h.seen, h.unknown = at, true, unknown
	}
	h.poke()
}

// hear notes that the watchdog is known to have fired at a moment; zero: it is
// not. at is now: a moment is not believed to lie ahead.
func (h *sourceHealth) hear(moment, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if moment.IsZero() || h.within == 0 || at.Sub(moment) >= h.within {
		return
	}
	if moment = earlier(moment, at); !h.arrived || moment.After(h.heard) {
		h.heard, h.arrived = moment, true
		h.poke()
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// fault is one thing that is wrong with the source, and since when.
type fault struct {
	since time.Time
	says  string
}

// faults lists what is wrong for longer than its bound, the longest first.
func (h *sourceHealth) faults(at time.Time) (list []fault) {
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	if h.err != nil && at.Sub(h.good) >= h.unknownAfter {
		list = append(list, fault{h.good, "it can't be read since " + stamp(h.good) + ": " + h.err.Error()})
	}
	if h.within > 0 && at.Sub(h.heard) >= h.within {
		list = append(list, fault{h.heard, fmt.Sprintf("its watchdog did not come since %s, and must within %s: other alerts would not come either", stamp(h.heard), h.within)})
	}
	var lost []signalbox.Reading
	for _, r := range h.unknown {
		if at.Sub(r.Since) >= h.unknownAfter {
			lost = append(lost, r)
		}
	}
	if len(lost) > 0 {
		first := lost[0]
		says := fmt.Sprintf("%s is unknown since %s: %s", first.Subject, stamp(first.Since), first.Reason)
		if more := len(lost) - 1; more > 0 {
			says += fmt.Sprintf("; and %d more", more)
		}
		list = append(list, fault{first.Since, says})
	}
	slices.SortStableFunc(list, func(a, b fault) int { return a.since.Compare(b.since) })
	return list
}

// well reports whether it is proved that nothing is wrong.
func (h *sourceHealth) well() bool {
	return (!h.reads || h.seen && h.err == nil) && (h.within == 0 || h.arrived)
}

// step returns the source's reading and whether it must become durable: it is
// ill, or well again, or well for the first time, since an incident of it may
// be open since before the start.
func (h *sourceHealth) step(at time.Time) (r signalbox.Reading, edge bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r = signalbox.Reading{
		Detector: h.name, Series: strings.TrimPrefix(h.name, "source/"), Subject: h.name, Condition: signalbox.Clear,
		At: at, SampleAt: at, Origin: "signalbox", Summary: "it can be read, and what must come does",
	}
	h.good, h.heard = earlier(h.good, at), earlier(h.heard, at) // the clock may have been set back
	faults := h.faults(at)
	switch {
	case len(faults) > 0:
		edge = h.onset.IsZero()
		if edge {
			h.onset = at
		}
		r.Condition, r.OnsetAt, r.WellAt = signalbox.Breached, h.onset, faults[0].since
		r.Summary = faults[0].says
		for _, f := range faults[1:] {
			r.Summary += "; " + f.says
		}
	case h.well():
		edge = !h.told || !h.onset.IsZero()
		h.onset, h.told = time.Time{}, true
	}
	return r, edge
}

// idle is how long tellHealth waits when nothing but news changes anything.
const idle = time.Hour

// wait is how long after at step may say something else by itself.
func (h *sourceHealth) wait(at time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := idle
	until := func(t time.Time) {
		if d := t.Sub(at); d > 0 {
			next = min(next, d)
		}
	}
	if h.err != nil {
		until(h.good.Add(h.unknownAfter))
	}
	if h.within > 0 {
		until(h.heard.Add(h.within))
	}
	for _, r := range h.unknown {
		until(r.Since.Add(h.unknownAfter))
	}
	return next
}

// whatIsUnknown are the readings that say that a rule can't be judged, the
// longest first. One without Since is unknown only for the moment, and one that
// is suppressed is known to people.
func whatIsUnknown(readings []signalbox.Reading) (unknown []signalbox.Reading) {
	for _, r := range readings {
		if r.Condition == signalbox.Unknown && !r.Since.IsZero() && r.Suppressed == "" {
			unknown = append(unknown, r)
		}
	}
	slices.SortStableFunc(unknown, func(a, b signalbox.Reading) int { return a.Since.Compare(b.Since) })
	return unknown
}
