package poll

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// maxSkew is how far a source's clock may be from ours: beyond it the age of a
// sample means nothing, and what is read is Unknown. Only when it has been so
// for skewFor it is told, since an answer may be late or come from a cache.
const (
	maxSkew = 10 * time.Second
	skewFor = time.Minute
)

// mostAhead bounds how long a clock that was ahead is remembered: one answer
// with a date of another age must not blind us for ever.
const mostAhead = time.Hour

// measure reads the source's clock, and reports whether it is too far off for
// so long that it is told. The caller holds mu.
func (s *source) measure(at time.Time) (skewed bool) {
	if s.clock == nil {
		return false
	}
	skew, known := s.clock.Skew()
	switch {
	case !known:
		return false
	case skew.Abs() <= maxSkew:
		s.skewSince = time.Time{}
	case s.skewSince.IsZero():
		s.skewSince = at
	}
	// It may have been ahead until just now.
	if was := min(max(skew, s.skew), mostAhead); was > maxSkew && at.Add(was).After(s.ahead) {
		s.ahead = at.Add(was)
	}
	s.skew = skew
	return !s.skewSince.IsZero() && at.Sub(s.skewSince) >= skewFor
}

// distrust says why nothing that the source says of time can be believed; ""
// when it can. A clock that was ahead has left samples behind that come due one
// after the other, each looking fresh.
func (s *source) distrust(at time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.measure(at)
	switch {
	case !s.skewSince.IsZero():
		return fmt.Sprintf("the clock of its source is %s off ours, and at most %s is borne", s.skew.Round(time.Second), maxSkew)
	case at.Before(s.ahead) && s.ahead.Sub(at) <= mostAhead: // else ours was set back
		return "the clock of its source was ahead of ours: until " + s.ahead.UTC().Format(time.TimeOnly) + " a sample may be older than it says"
	}
	return ""
}

// disbelieve makes readings Unknown.
func disbelieve(readings []signalbox.Reading, why string) []signalbox.Reading {
	for i := range readings {
		r := &readings[i]
		r.Condition, r.HasValue, r.EndedAt, r.Reason, r.Summary = signalbox.Unknown, false, time.Time{}, why, r.Subject+": unknown, "+why
	}
	return readings
}
