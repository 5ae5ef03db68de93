package policy

import (
	"cmp"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// The defaults of Flapping.
const (
	flapWindow = time.Hour
	flapAfter  = 3
	flapPause  = time.Minute
	flapStop   = 6
)

// guardFlapping backs off from what comes again and again, and then stops: each
// opening of incidents on one subject beyond some waits twice as long as the one
// before it, and beyond a bound automation gives up and pages.
func guardFlapping(l *look, _ *move) answer {
	c := l.h.config.Flapping
	window, after, pause := cmp.Or(c.Window, flapWindow), cmp.Or(c.After, flapAfter), cmp.Or(c.Pause, flapPause)
	stop, n := cmp.Or(c.Stop, flapStop), 1
	for _, at := range l.inc.Recent {
		if l.inc.OpenedAt.Sub(at) < window {
			n++
		}
	}
	detail := fmt.Sprintf("it opened %d times in %s (slower from %d on, stops at %d)", n, span(window), after, stop)
	if n >= stop {
		return answer{stops, detail, "it comes less often, or a person mends the cause"}
	}
	if n < after {
		return answer{effect: passes, detail: detail}
	}
	for range n - after {
		pause *= 2
	}
	if end := l.inc.OpenedAt.Add(pause); l.now.Before(end) {
		l.at(end)
		return answer{waits, detail + fmt.Sprintf(": waits %s", span(pause)), "passes at " + clock(end)}
	}
	return answer{effect: passes, detail: detail + fmt.Sprintf(": waited %s", span(pause))}
}

// rested is the cooldown of a target, which doubles with each action beyond the
// second within a day: a switch that goes to and fro helps nobody.
func (l *look) rested(s *signalbox.TargetState, cooldown time.Duration) time.Duration {
	const day = 24 * time.Hour
	n := 0
	for _, at := range s.Acted {
		if at.Add(day).After(l.now) {
			n++
		}
	}
	for ; n > 2 && cooldown < day; n-- {
		cooldown *= 2
	}
	return min(cooldown, max(day, cooldown))
}
