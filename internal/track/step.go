package track

import (
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Step takes in the readings of one round. It returns them with Since, OnsetAt
// and WellAt filled in, and the edges: those readings at which what is durable
// must change.
//
//   - A Breached edge: the series was breached for Timing.For, or it is known
//     again to be breached after an Unknown edge.
//   - An Unknown edge: an open series became Unknown. A Clear look after it is
//     no edge by itself; either the series stays clear long enough, or it is
//     breached again.
//   - A Clear edge: an open series was clear for Timing.ClearFor, and not
//     breached for Timing.KeepFiringFor.
//   - An edge of its own kind: an open series has more Items.
//
// OnsetAt is the first breached look of the streak. WellAt is the series' last
// clear look before it; for a series that was not known before, it is the last
// good round, in which it was not there to be ill.
//
// An open series that readings leave out is Unknown. A Clear reading with
// EndedAt is the last word on a series that has ended: it is forgotten as soon
// as it is not open.
func (t *Tracker) Step(readings []signalbox.Reading, at time.Time) (out, edges []signalbox.Reading) {
	out = make([]signalbox.Reading, 0, len(readings))
	there := make(map[string]bool, len(readings))
	for _, r := range readings {
		if there[r.Series] {
			continue // one reading a series: a second one can't be judged against the first
		}
		there[r.Series] = true
		out = append(out, r)
	}
	for _, id := range t.openWithout(there) {
		out = append(out, absent(t.last[id], at))
		there[id] = true
	}
	for i := range out {
		if t.look(&out[i], at) {
			edges = append(edges, out[i])
		}
	}
	t.forget(there, at)
	if IsGood(out) {
		t.good = at
	}
	return out, edges
}

// openWithout returns the open series that are not there, in order.
func (t *Tracker) openWithout(there map[string]bool) []string {
	var missing []string
	for id, s := range t.series {
		if s.open && !there[id] {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	return missing
}

// absent is what is said of an open series that the round left out.
func absent(last signalbox.Reading, at time.Time) signalbox.Reading {
	last.Condition, last.HasValue, last.At, last.EndedAt = signalbox.Unknown, false, at, time.Time{}
	last.Reason = "the series is missing from the round"
	return last
}

// look takes one reading in, and reports whether it is an edge.
func (t *Tracker) look(r *signalbox.Reading, at time.Time) bool {
	s := t.series[r.Series]
	if s == nil {
		s = &series{condition: r.Condition, since: at, looked: at, knownAt: at}
		t.series[r.Series] = s
	}
	s.count(r.Condition, t.counted(s, r, at), at, t.good)
	if s.condition != r.Condition {
		s.condition, s.since = r.Condition, at
	}
	s.looked, s.sampled = at, r.SampleAt
	known := t.last[r.Series].Items
	more := s.open && len(r.Items) > len(known)
	if s.open && len(r.Items) < len(known) {
		r.Items = known // they only ever become more
	}
	if s.open {
		r.Unlisted = max(r.Unlisted, t.last[r.Series].Unlisted)
	}
	edge := s.edge(r.Condition, t.timing) || more
	r.Since, r.Held = s.since, 0
	if r.Condition == signalbox.Breached && !s.open {
		r.Held = s.held
	}
	if edge || s.open || r.Condition == signalbox.Breached {
		r.OnsetAt, r.WellAt = s.onset, s.well
	}
	if r.Series != "" && (r.Condition != signalbox.Unknown || s.known == signalbox.Unknown) {
		t.last[r.Series] = s.remembered(*r)
	}
	return edge
}

// remembered is what of a reading is known to the next look: the items of an
// illness that is over are not those of the next.
func (s *series) remembered(r signalbox.Reading) signalbox.Reading {
	if !s.open && s.known == signalbox.Clear {
		r.Items, r.Unlisted = nil, 0
	}
	return r
}

// counted is the time since the last look that counts: both looks knew the
// series, and they are near enough to each other. Where both had samples it is
// the time between those.
func (t *Tracker) counted(s *series, r *signalbox.Reading, at time.Time) time.Duration {
	span := at.Sub(s.looked)
	if s.condition == signalbox.Unknown || span < 0 || t.maxGap > 0 && span > t.maxGap {
		return 0
	}
	if !s.sampled.IsZero() && !r.SampleAt.IsZero() {
		return max(0, r.SampleAt.Sub(s.sampled))
	}
	return span
}

// count moves the clocks of the series.
func (s *series) count(c signalbox.Condition, span time.Duration, at, good time.Time) {
	switch c {
	case signalbox.Unknown:
		return
	case signalbox.Breached:
		if s.known == signalbox.Breached {
			s.held += span
		} else {
			s.held = 0
			if !s.open {
				s.onset, s.well = at, s.clearAt
				if s.clearAt.IsZero() {
					s.well = good
				}
			}
		}
		s.calm = 0
	case signalbox.Clear:
		if s.known == signalbox.Clear {
			s.held += span
		} else {
			s.held = 0
		}
		s.calm += span
		s.clearAt = at
	}
	s.known, s.knownAt = c, at
}

// edge opens, loses, finds or closes the series, and reports whether it did.
func (s *series) edge(c signalbox.Condition, timing Timing) bool {
	switch {
	case !s.open && c == signalbox.Breached && s.held >= timing.For:
		s.open = true
	case s.open && c == signalbox.Unknown && !s.lost:
		s.lost = true
	case s.open && c == signalbox.Breached && s.lost:
		s.lost = false
	case s.open && c == signalbox.Clear && s.held >= timing.ClearFor && s.calm >= timing.KeepFiringFor:
		s.open, s.lost = false, false
	default:
		return false
	}
	return true
}

// forget drops what need not be known any more: series that are not open and
// that the round left out, that have ended, or that nobody has known for long.
func (t *Tracker) forget(there map[string]bool, at time.Time) {
	for id, s := range t.series {
		ended := s.condition == signalbox.Clear && !t.last[id].EndedAt.IsZero()
		long := s.condition == signalbox.Unknown && at.Sub(s.knownAt) >= ForgetAfter
		if !s.open && (!there[id] || ended || id != "" && long) {
			delete(t.series, id)
			delete(t.last, id)
		}
	}
}
