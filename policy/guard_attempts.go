package policy

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// An attempt that surely had no effect (refused by its target, or sealed after
// a crash) may be made again, as another action with fresh evidence: after a
// pause that grows, and at most maxAttempts times in all. One that ran and failed
// is not made again: what it has done is for a person to see.
const (
	maxAttempts   = 3
	firstPause    = 2 * time.Second
	pauseGrowth   = 5
	attemptsGuard = "attempts"
)

// guardAttempts spaces and bounds the attempts at one step.
func guardAttempts(l *look, m *move) answer {
	n, last := l.attempts(m)
	switch {
	case n == 0:
		return answer{effect: passes, detail: fmt.Sprintf("first attempt of %d", maxAttempts)}
	case last.Ran():
		return answer{stops, l.exhausted(n, last), "look at what it has done; the rest is a person's"}
	case n >= maxAttempts:
		return answer{stops, l.exhausted(n, last), "mend what refuses it, then release its target"}
	}
	pause := firstPause
	for range n - 1 {
		pause *= pauseGrowth
	}
	detail := fmt.Sprintf("attempt %d of %d, %s after the one before: %s", n+1, maxAttempts, span(pause), last.Reason)
	if end := last.EndedAt.Add(pause); l.now.Before(end) {
		l.at(end)
		return answer{waits, detail, "tried again at " + clock(end)}
	}
	return answer{effect: passes, detail: detail}
}

// attempts counts those at a move that failed, and returns the last of them, or
// the one that ran.
func (l *look) attempts(m *move) (n int, last *signalbox.Action) {
	for _, a := range l.actions {
		if a.Stage != signalbox.Broken || !m.sameAs(a) {
			continue
		}
		if at := l.inc.ReleasedAt; !a.Ran() && !at.IsZero() && !a.EndedAt.After(at) {
			continue // a person has looked at what refused it
		}
		if n++; last == nil || !last.Ran() {
			last = a
		}
	}
	return n, last
}

// exhausted says why no other attempt is made, and which ids are left by that.
func (l *look) exhausted(n int, last *signalbox.Action) string {
	if last.Ran() {
		return "it ran and failed" + failedIDs(last) + ": " + last.Reason + l.notTaken("; ")
	}
	return fmt.Sprintf("%d attempts had no effect, the last one: %s", n, last.Reason) + l.notTaken("; ")
}

// sameAs reports whether a was an attempt at this move.
func (m *move) sameAs(a *signalbox.Action) bool {
	if m.undoes != nil {
		return a.Undoes == m.undoes.ID
	}
	return a.Undoes == "" && a.Index == m.index
}
