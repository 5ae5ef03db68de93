package engine

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// A breach is an incident once it was counted for its detector's `for`, and who
// asks does the counting. So that it does not begin anew with another leader,
// the heartbeat tells how far it has come, under which configuration. The next
// leader counts on from there: what lies between is Unknown, which counts as
// nothing. A breach that was told and has ended is taken back within a second,
// since to count it on would open an incident too early; what a leader saw in
// its last second may be lost with it, like a look that it did not take.

// What a heartbeat tells: of at most so many, each counted for at least the
// time between two heartbeats. It is counted on for so long.
const (
	mostStreaks = 1000
	streaksLast = 5 * time.Minute
)

// counting tells in a heartbeat which breaches are counted.
func (l *loop) counting(b *signalbox.Heartbeat) {
	b.Config, b.Streaks = l.set().Hash, l.facts.Streaks(l.e.timing.Beat, mostStreaks)
	l.counted = b.Streaks
}

// broken reports whether a breach that the last heartbeat told has ended.
func (l *loop) broken() bool {
	for _, k := range l.counted {
		if r := l.facts.Reading(k.Detector, k.Series, ""); r == nil || r.Held < k.Held {
			return true
		}
	}
	return false
}

// streaksOf is what the leader before counted.
func (l *loop) streaksOf(s *signalbox.State) []signalbox.Streak {
	b := s.Beats[leaderOf(s)]
	if b == nil || b.Config != l.set().Hash || l.now().Sub(b.At).Abs() >= streaksLast {
		return nil
	}
	return b.Streaks
}
