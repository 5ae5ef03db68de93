package poll

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// SourceDetector is the name of the detector whose one series is a source's
// own health.
func SourceDetector(source string) string { return "source/" + source }

// source is one source, and what is known of its detectors.
type source struct {
	name  string
	slots chan struct{}

	turn sync.Mutex // held while a reading of it is emitted, so that they keep their order

	mu      sync.Mutex
	health  map[string]*health // by detector
	unknown map[string]*health // those of health that were not good in their last round
	unheard int                // those of health that had no round yet
	open    bool               // its reading is Breached
	onset   time.Time
	well    time.Time           // the last time when all were known
	since   time.Time           // of condition
	was     signalbox.Condition // told last
	told    time.Time

	clock     signalbox.Clock // nil: its clock can't be seen
	skew      time.Duration   // of its clock, ahead of ours
	skewSince time.Time       // since when it is too great; zero: it is not
	ahead     time.Time       // until then samples may have been stamped by a clock that was ahead
}

// health is how one detector of a source is.
type health struct {
	unknownAfter time.Duration
	heard        bool      // it had a round
	unknownSince time.Time // of the rounds that were not good
	reason       string
}

// setSources keeps the sources that the detectors name, with what is known.
func (p *Poller) setSources(detectors []Detector) {
	old := p.sources
	p.sources = map[string]*source{}
	named := map[string]map[string]Detector{}
	for _, d := range detectors {
		if named[d.Source] == nil {
			named[d.Source] = map[string]Detector{}
		}
		named[d.Source][d.Name] = d
	}
	for name, ds := range named {
		s := old[name]
		if s == nil {
			s = &source{name: name, slots: make(chan struct{}, roundsAtOnce), health: map[string]*health{}, unknown: map[string]*health{}}
		}
		delete(old, name)
		s.keep(ds)
		s.clock = nil
		for _, d := range ds {
			if c, ok := d.Asks.(signalbox.Clock); ok {
				s.clock = c
				break
			}
		}
		p.sources[name] = s
		p.metrics.with(name)
	}
	for name := range old {
		p.metrics.without(name)
	}
}

func (s *source) keep(ds map[string]Detector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make(map[string]*health, len(ds))
	s.unheard = 0
	for name, d := range ds {
		h := s.health[name]
		if h == nil {
			h = &health{}
		}
		h.unknownAfter = d.UnknownAfter
		kept[name] = h
		if !h.heard {
			s.unheard++
		}
	}
	s.health = kept
	maps.DeleteFunc(s.unknown, func(name string, _ *health) bool { return kept[name] == nil })
}

// restore takes in that the source's incident is open.
func (s *source) restore(open []signalbox.Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range open {
		if r.Condition != signalbox.Clear && !s.open {
			s.open, s.onset, s.well = true, r.OnsetAt, r.WellAt
		}
	}
}

// took notes how a detector's round went.
func (s *source) took(d Detector, r Round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.health[d.Name]
	if h == nil { // no longer of this source
		return
	}
	if !h.heard {
		h.heard = true
		s.unheard--
	}
	if r.Good {
		delete(s.unknown, d.Name)
		return
	}
	if s.unknown[d.Name] == nil {
		h.unknownSince, s.unknown[d.Name] = r.At, h
	}
	h.reason = reason(r.Readings)
}

// reason is why a round was not good, by its first Unknown reading; one that
// speaks of the whole detector says most.
func reason(readings []signalbox.Reading) (why string) {
	for _, r := range readings {
		if r.Condition == signalbox.Unknown && (why == "" || r.Series == "") {
			why = r.Reason
		}
	}
	return why
}

// tellEvery is how often a source's reading is told when nothing changes: each
// round may change it, and a source can have thousands of detectors.
const tellEvery = time.Second

// tellSource emits the source's own reading: Breached when a detector of it was
// not wholly known for longer than its bound, until all of them are known
// again. However many there are, it is one series, and so one page.
func (p *Poller) tellSource(s *source) {
	s.turn.Lock()
	defer s.turn.Unlock()
	p.mu.Lock()
	configured := p.sources[s.name] == s
	p.mu.Unlock()
	at := p.o.Now()
	if !configured || !s.due(at) {
		return
	}
	reading, edge := s.judge(at)
	r := Round{Detector: reading.Detector, At: at, Readings: []signalbox.Reading{reading}, Good: reading.Condition != signalbox.Unknown}
	if edge {
		r.Edges = r.Readings
		p.o.Log.Warn("source changed", "source", s.name, "condition", reading.Condition.String(), "says", reading.Summary)
	}
	p.metrics.unknown(s.name, reading.Condition == signalbox.Breached)
	if s.clock != nil {
		if skew, known := s.clock.Skew(); known {
			p.metrics.skew.WithLabelValues(s.name).Set(skew.Seconds())
		}
	}
	p.o.Emit(r)
}

// due reports whether the reading is to be told: it may have changed, or was
// not told for a while. With many unknown detectors a look costs, and waits.
func (s *source) due(at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	few := len(s.unknown) > 0 && len(s.unknown) <= 64
	changes := s.open && s.settled() || !s.open && few || s.was == signalbox.Unknown && s.settled()
	return changes || at.Sub(s.told).Abs() >= tellEvery
}

// settled reports whether all detectors are known.
func (s *source) settled() bool { return s.unheard == 0 && len(s.unknown) == 0 }

func (s *source) judge(at time.Time) (r signalbox.Reading, edge bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost, first := s.lost(at)
	skewed := s.measure(at)
	if skewed && (first.IsZero() || s.skewSince.Before(first)) {
		first = s.skewSince
	}
	switch was := s.open; {
	case !was && (len(lost) > 0 || skewed):
		s.open, s.onset, edge = true, first, true
	case was && s.settled() && !skewed:
		s.open, edge = false, true
	}
	r = signalbox.Reading{
		Detector: SourceDetector(s.name), Series: s.name, Subject: SourceDetector(s.name), Labels: map[string]string{"source": s.name},
		Value: signalbox.Float(len(lost)), HasValue: true, SampleAt: at, At: at, Origin: "signalbox", Confirmed: true,
		Threshold: "unknown for longer than its bound",
	}
	switch {
	case s.open:
		r.Condition, r.Summary = signalbox.Breached, s.summary(lost, at)
		if skewed {
			r.Summary = fmt.Sprintf("%s: its clock is %s off ours, at most %s is borne: the age of its samples can't be told", SourceDetector(s.name), s.skew.Round(time.Second), maxSkew)
		}
	case s.settled():
		r.Condition, r.Summary = signalbox.Clear, r.Subject+": all of its detectors are known"
	default:
		r.HasValue, r.Reason = false, "not all of its detectors are known, and none for longer than its bound"
		r.Summary = r.Subject + ": unknown, " + r.Reason
	}
	if s.since.IsZero() || s.was != r.Condition {
		s.since, s.was = at, r.Condition
	}
	s.told, r.Since = at, s.since
	if s.open || edge {
		r.OnsetAt, r.WellAt = s.onset, s.well
	}
	if r.Condition == signalbox.Clear {
		s.well = at
	}
	return r, edge
}

// lost are the detectors that were unknown for longer than their bound, and
// since when the first of them is.
func (s *source) lost(at time.Time) (names []string, first time.Time) {
	for name, h := range s.unknown {
		if at.Sub(h.unknownSince) < h.unknownAfter {
			continue
		}
		names = append(names, name)
		if first.IsZero() || h.unknownSince.Before(first) {
			first = h.unknownSince
		}
	}
	slices.Sort(names)
	return names, first
}

// maxNamed is how many detectors a summary names.
const maxNamed = 5

func (s *source) summary(lost []string, at time.Time) string {
	if len(lost) == 0 {
		return SourceDetector(s.name) + ": not all of its detectors are known again"
	}
	h := s.health[lost[0]]
	named := strings.Join(lost[:min(len(lost), maxNamed)], ", ")
	if more := len(lost) - maxNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s: %d of %d detectors unknown for too long (%s); %s for %s: %s",
		SourceDetector(s.name), len(lost), len(s.health), named, lost[0], at.Sub(h.unknownSince).Round(time.Second), h.reason)
}
