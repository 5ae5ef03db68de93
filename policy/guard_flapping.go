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

// The bounds of Flapping: of each subject, its openings in the window are kept.
const (
	MaxFlapWindow = 7 * 24 * time.Hour
	MaxFlapStop   = 100 // openings
)

// flapWithin is how long an opening waits before its owner is told that it does.
const flapWithin = 5 * time.Minute

// mostFlapPause is as long as a wait gets by doubling.
const mostFlapPause = 24 * time.Hour

// filled is it with its defaults.
func (f Flapping) filled() Flapping {
	return Flapping{Window: cmp.Or(f.Window, flapWindow), After: cmp.Or(f.After, flapAfter), Pause: cmp.Or(f.Pause, flapPause), Stop: cmp.Or(f.Stop, flapStop)}
}

// check checks its bounds.
func (f Flapping) check() (errs []error) {
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("guards: flapping."+format, args...)) }
	if f.Window < 0 || f.Window > MaxFlapWindow {
		fail("window must be above 0 and at most %s, got %s", span(MaxFlapWindow), f.Window)
	}
	if f.After < 0 {
		fail("after must be at least 1, got %d", f.After)
	}
	if f.Pause < 0 {
		fail("pause must be above 0, got %s", f.Pause)
	}
	if f.Stop < 0 || f.Stop > MaxFlapStop {
		fail("stop must be at most %d, got %d", MaxFlapStop, f.Stop)
	} else if after := f.filled().After; f.filled().Stop <= after {
		fail("stop must be more than after (%d), got %d", after, f.filled().Stop)
	}
	return errs
}

// wait is how long the nth opening waits; n is at least After.
func (f Flapping) wait(n int) time.Duration {
	pause := f.Pause
	for ; n > f.After && pause < mostFlapPause; n-- {
		pause *= 2
	}
	return min(pause, max(f.Pause, mostFlapPause))
}

// Flapping is what bounds what comes again and again, with its defaults.
func (h *Handbook) Flapping() Flapping { return h.config.Flapping.filled() }

// guardFlapping backs off from what comes again and again, and then stops: each
// opening of incidents on one subject beyond some waits twice as long as the one
// before it, a day at most, of which the owner is told after minutes; beyond a
// bound automation gives up and pages. A person who releases the incident begins
// the count anew.
func guardFlapping(l *look, _ *move) answer {
	c, n := l.h.Flapping(), 1
	for _, at := range l.inc.Recent {
		if l.inc.OpenedAt.Sub(at) < c.Window && at.After(l.inc.ReleasedAt) {
			n++
		}
	}
	detail := fmt.Sprintf("it opened %d times in %s (slower from %d on, stops at %d)", n, span(c.Window), c.After, c.Stop)
	if n >= c.Stop {
		return answer{stops, detail, "signalboxctl release 'incident/" + string(l.inc.ID) + "', once its cause is mended"}
	}
	if n < c.After {
		return answer{effect: passes, detail: detail}
	}
	pause := c.wait(n)
	if end := l.inc.OpenedAt.Add(pause); l.now.Before(end) {
		l.at(end)
		return l.waitsFor(flapWithin, answer{detail: detail + fmt.Sprintf(": waits %s", span(pause)), lifts: "passes at " + clock(end)})
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
