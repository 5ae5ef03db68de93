package day

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// told is one edge of a series.
type told struct {
	at        time.Duration
	onset     time.Duration
	condition signalbox.Condition
}

// How much the truth may differ from what can be seen of it at most, without any
// trouble: a sample tells of up to a step before it, a round comes up to a step
// after it, and a rate looks back over its window.
const slack = 2*step + time.Second

func (s *series) slack() time.Duration {
	if s.counter {
		return slack + rateOver
	}
	return slack
}

// hidden are the spans in which what is true can't be seen for certain: the
// troubles, each with what it does to the time after it. A stall shows only
// when the last sample is too old; a late sample and one of another clock are
// seen late, or refused until the clock has caught up.
func (g *target) hidden(s *series) []span {
	var out []span
	for _, t := range g.troubles {
		h := span{t.from - slack, t.to + s.slack() + slack}
		switch t.what {
		case "late", "skew":
			h.from, h.to = t.from-t.amount.Abs()-slack, h.to+t.amount.Abs()
		}
		out = append(out, h)
	}
	return out
}

// seen is how much of a part of the day is not hidden.
func seen(s span, hidden []span) time.Duration {
	left := s.length()
	at := s.from
	for _, h := range hidden {
		h.from = max(h.from, at)
		if h.to > h.from {
			left -= s.overlap(h)
			at = h.to
		}
	}
	return left
}

// check holds what was told of a series against what is true of it.
func (g *target) check(s *series, edges []told) (wrong []string) {
	hidden := g.hidden(s)
	say := func(format string, args ...any) { wrong = append(wrong, s.name+": "+fmt.Sprintf(format, args...)) }
	open := open(edges)
	for _, ill := range s.ill {
		// Missed: ill for longer than `for` in plain sight, and no incident.
		if seen(ill, hidden) == ill.length() && ill.length() > forTime+s.slack() && !covered(open, ill.from+forTime+s.slack(), ill.to) {
			say("ill from %s to %s, in plain sight, and not told", ill.from, ill.to)
		}
	}
	for i, e := range edges {
		switch {
		case e.condition == signalbox.Breached && (i == 0 || edges[i-1].condition == signalbox.Clear):
			// Invented: opened without having been ill for `for`.
			since := span{e.onset - s.slack() - g.late(e.onset), e.at}
			if was := s.illness(since); was < forTime-slack {
				say("an incident opened at %s with onset %s, and it was ill for %s of that time", e.at, e.onset, was)
			}
		case e.condition == signalbox.Clear:
			// Closed while it was ill.
			since := span{e.at - clearFor + slack, e.at - s.slack()}
			if since.length() > 0 && seen(span{e.at - clearFor, e.at}, hidden) == clearFor && s.illness(since) > 0 {
				say("closed at %s, and it was ill within the last minute", e.at)
			}
		}
		if t, ok := g.blind(e); ok && e.condition != signalbox.Unknown {
			say("told to be %s at %s, while nothing could be known: %s from %s to %s", e.condition, e.at, t.what, t.from, t.to)
		}
	}
	return wrong
}

// late is by how much what is seen at a moment is late.
func (g *target) late(at time.Duration) time.Duration {
	for _, t := range g.troubles {
		if t.what == "late" && at >= t.from && at < t.to+t.amount+slack {
			return t.amount
		}
	}
	return 0
}

// blind finds the trouble in which nothing can be known at an edge.
func (g *target) blind(e told) (trouble, bool) {
	for _, t := range g.troubles {
		from, to := t.from, t.to
		switch t.what {
		case "gap":
			from += step // the scrape that fails
		case "stall":
			from += maxAge + step
		case "skew":
			if t.amount.Abs() <= 10*time.Second {
				continue // borne
			}
			if from += time.Second; t.amount > 0 { // what it stamped comes due later
				to += t.amount
			}
		case "late":
			if t.amount <= maxAge {
				continue
			}
			from += maxAge + step
		}
		if e.at > from && e.at < to {
			return t, true
		}
	}
	return trouble{}, false
}

// illness is how long a series is ill within a part of the day.
func (s *series) illness(in span) (sum time.Duration) {
	for _, i := range s.ill {
		sum += i.overlap(in)
	}
	return sum
}

// open are the spans in which an incident was open.
func open(edges []told) (out []span) {
	for _, e := range edges {
		switch n := len(out); {
		case e.condition == signalbox.Clear && n > 0:
			out[n-1].to = e.at
		case e.condition == signalbox.Breached && (n == 0 || out[n-1].to != length):
			out = append(out, span{e.at, length})
		}
	}
	return out
}

// covered reports whether an incident is open at a moment, or opens before the
// illness is over.
func covered(open []span, at, end time.Duration) bool {
	for _, o := range open {
		if o.from <= max(at, end) && o.to > at-step {
			return o.from <= at
		}
	}
	return false
}
