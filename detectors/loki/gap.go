package loki

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// gapSeries is the series that tells that a part of the log was never read. It
// is only ever Unknown or over: what nobody read is no breach, and nothing acts
// on it.
const gapSeries = "gap"

// leastTold is how long a gap is told, where nothing says after what time the
// unknown is paged.
const leastTold = 5 * time.Minute

// gap tells of the part of the log that lies further back than is read. It
// stays Unknown until it was paged as such, and then lets the rounds go on: a
// detector that waits for ever for what it may not read sees nothing new.
func (f *follower) gap(r *round, from time.Time, was signalbox.Reading) (out signalbox.Reading, there bool) {
	unread := from.Add(f.asks.back - f.late)
	begins, _ := f.asks.span(from, r.at)
	out = r.reading(gapSeries, r.common.Name, nil)
	out.Threshold = ""
	open := !from.IsZero() && begins.After(unread)
	switch told := r.common.UnknownAfter; {
	case !open && was.Series == "":
		return out, false
	case open && (was.Since.IsZero() || r.at.Sub(was.Since) < max(told, leastTold)+2*r.common.Interval):
		return kind.Unknown(out, fmt.Sprintf("the log from %s to %s was not read, and lies further back than max_lookback (%s): what is in it is not known, and will not be", stamp(unread), stamp(begins), f.asks.reach)), true
	}
	out.Condition, out.SampleAt, out.EndedAt = signalbox.Clear, r.at, r.at
	out.Summary = r.common.Name + ": the log is read on; what lay further back than max_lookback never was"
	return out, true
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
