package alertmanager

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// LateCopy is how late a copy of a "firing" message may arrive after the alert
// has ended and still be taken for a copy: replicas wait their peer timeout
// and retry until their group_interval (5 minutes by default) ends.
const LateCopy = 10 * time.Minute

// Supersedes reports whether b replaces a, where both speak of one episode of
// one series; it is false for others. It looks at what the readings say and
// not at which came first, so the same messages in any order end the same:
//
//   - an end (Clear) beats every "firing" that was received until LateCopy
//     after it, whatever their order: replicas send "firing" after "resolved"
//   - a "firing" received later than that is the alert firing again: the same
//     startsAt comes back when Prometheus was late to resend it
//   - what was read from the present state (Confirmed) counts by its own
//     sample: it reopens at once when its sample is later than the end, and an
//     end that is earlier than its sample is a late copy
//   - between two readings that agree, the one read from the present state
//     tells the details, until it is LateCopy old; else the later one
func Supersedes(a, b signalbox.Reading) bool {
	if a.Series != b.Series || a.Episode != b.Episode {
		return false
	}
	x, y := standing(a), standing(b)
	switch {
	case !x.Equal(y):
		return y.After(x)
	case a.Condition != b.Condition:
		return b.Condition == signalbox.Clear
	}
	return b.At.After(a.At)
}

// standing is the moment by which a reading is compared.
func standing(r signalbox.Reading) time.Time {
	switch {
	case r.Condition == signalbox.Clear && !r.EndedAt.IsZero():
		return r.EndedAt
	case r.Condition == signalbox.Breached && r.Confirmed:
		return r.SampleAt
	case r.Condition == signalbox.Breached:
		return r.At.Add(-LateCopy)
	}
	return r.At
}
