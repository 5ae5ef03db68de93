package rules

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	signalbox "github.com/signalbox/signalbox"
)

// Grid is when the rules of one group are evaluated: at the same moments of
// each interval, which Prometheus derives from the names of the group and of
// its file, so that groups spread out.
type Grid struct {
	Interval    time.Duration
	Offset      time.Duration // into each interval, from the epoch
	QueryOffset time.Duration // how far back of an evaluation it asks
}

// NewGrid is the grid of a group. Prometheus knows the file by the path that
// its own configuration gave, so that its offset may be another.
func NewGrid(file, group string, interval, queryOffset time.Duration) Grid {
	h := labels.FromStrings("name", group, "file", file).Hash()
	return Grid{Interval: interval, Offset: time.Duration(h % uint64(interval)), QueryOffset: queryOffset}
}

// Slot is the moment of the grid at or before at.
func (g Grid) Slot(at time.Time) time.Time {
	since := at.UnixNano() - int64(g.Offset)
	return time.Unix(0, since-since%int64(g.Interval)+int64(g.Offset)).UTC()
}

// lateness is how long after its moment an evaluation still asks for that
// moment. A look at another time asks for its own.
const lateness = 2 * time.Second

// asked is the moment that is asked about at a time.
func (g Grid) asked(at time.Time) time.Time {
	if slot := g.Slot(at); at.Sub(slot) <= min(lateness, g.Interval/4) {
		at = slot
	}
	return at.Add(-g.QueryOffset)
}

// Clock asks a source as Prometheus evaluates a group: at the moments of the
// grid, less the group's query_offset. It is safe for concurrent use.
type Clock struct {
	Source signalbox.Source
	Grid   Grid
}

// Ask asks the source; each answer tells the moment that was asked about.
func (c *Clock) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	return c.Source.Ask(ctx, qs, c.Grid.asked(at))
}

// Skew is the source's own, where it tells one.
func (c *Clock) Skew() (time.Duration, bool) {
	if s, ok := c.Source.(signalbox.Clock); ok {
		return s.Skew()
	}
	return 0, false
}
