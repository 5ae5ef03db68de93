package burnrate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Measured is one series of the answer to one query over one window.
type Measured struct {
	Labels map[string]string // those that tell series apart, without the metric's name
	Value  float64
	At     time.Time // the oldest sample behind it
	Why    string    // not empty: it is Unknown, and this is why
}

// Series is what is said of one series.
type Series struct {
	Labels map[string]string
	Judgement
}

// Series joins the answers by their labels and judges each series. look gives
// the answer to a part's query over a window, or says why there is none. The
// series are those of total, or of ratio, over any window. why says why nothing
// can be said of any; otherwise it is empty.
func (s *Settings) Series(look func(p Part, window time.Duration) (found []Measured, why string)) (out []Series, why string) {
	spans := s.Spans()
	windows := make(map[time.Duration]*answers, len(spans))
	labels := map[string]map[string]string{}
	failed := ""
	for _, w := range spans {
		a := s.answers(w, look)
		windows[w] = a
		if a.why != "" {
			failed = a.why
		}
		for key, m := range a.parts[s.whole()] {
			labels[key] = m.Labels
		}
	}
	if len(labels) == 0 {
		if failed == "" {
			failed = "the answer of " + string(s.whole()) + " is empty"
		}
		return nil, failed
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, Series{labels[key], Judge(s.Pairs(), func(w time.Duration) Rate { return s.rate(windows[w], key) })})
	}
	return out, ""
}

// whole is the part whose series count.
func (s *Settings) whole() Part {
	if s.Ratio != "" {
		return Ratio
	}
	return Total
}

// answers are those over one window.
type answers struct {
	parts map[Part]map[string]Measured
	why   string // of none
}

func (s *Settings) answers(window time.Duration, look func(Part, time.Duration) ([]Measured, string)) *answers {
	a := &answers{parts: map[Part]map[string]Measured{}}
	for _, p := range s.Parts() {
		found, why := look(p, window)
		if why != "" {
			a.why = string(p) + ": " + why
		}
		a.parts[p] = make(map[string]Measured, len(found))
		for _, m := range found {
			a.parts[p][key(m.Labels)] = m
		}
	}
	return a
}

// tooMany is how much greater a part may seem than the whole: rates are
// extrapolated, and the two are not read at once.
const tooMany = 0.01

// rate is the burn rate of one series over one window.
func (s *Settings) rate(a *answers, series string) Rate {
	if a.why != "" {
		return Rate{Why: a.why}
	}
	whole, ok := a.parts[s.whole()][series]
	switch {
	case !ok:
		return Rate{Why: "the series is not in the answer of " + string(s.whole())}
	case whole.Why != "":
		return Rate{Why: whole.Why}
	case s.Ratio != "":
		return s.burn(1-whole.Value, whole.At)
	case whole.Value < 0:
		return Rate{Why: "total is less than 0"}
	case whole.Value == 0: // nothing happened, which is seen
		return Rate{At: whole.At}
	}
	bad, why, at := s.bad(a, series, whole)
	if why != "" {
		return Rate{Why: why}
	}
	return s.burn(bad/whole.Value, at)
}

// bad counts the bad events; at is the oldest sample behind the count.
func (s *Settings) bad(a *answers, series string, whole Measured) (count float64, why string, at time.Time) {
	part := Bad
	if s.Good != "" {
		part = Good
	}
	m, ok := a.parts[part][series]
	switch {
	case !ok && part == Bad: // total proves that who counts is there
		return 0, "", whole.At
	case !ok:
		return 0, "the series is in total and not in good: count with bad, where good may be missing", at
	case m.Why != "":
		return 0, m.Why, at
	}
	at = whole.At
	if m.At.Before(at) {
		at = m.At
	}
	if part == Good {
		return whole.Value - m.Value, "", at
	}
	return m.Value, "", at
}

// burn turns the share of bad events into a burn rate.
func (s *Settings) burn(share float64, at time.Time) Rate {
	if share < -tooMany || share > 1+tooMany {
		return Rate{Why: fmt.Sprintf("the share of bad events is %s, which is no share", number(share))}
	}
	return Rate{Burn: min(max(share, 0), 1) / (1 - s.Objective.Value), At: at}
}

// key tells series apart by their labels.
func key(labels map[string]string) string {
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(strconv.Quote(n))
		b.WriteString(strconv.Quote(labels[n]))
	}
	return b.String()
}
