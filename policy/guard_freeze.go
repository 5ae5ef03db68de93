package policy

import (
	"cmp"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// calendarAge is how old a calendar may be that is relied on, by default.
const calendarAge = 24 * time.Hour

// guardFreeze stops every move in a freeze: between two moments, at recurring
// times, or as a calendar says. A calendar that can't be read is a control that
// can't be read: it holds.
func guardFreeze(l *look, _ *move) answer {
	frozen := answer{effect: passes, detail: "no freeze"}
	for i := range l.h.config.Freeze {
		f := &l.h.config.Freeze[i]
		var a answer
		switch {
		case f.Calendar != "":
			a = l.calendar(f)
		case f.Covers != nil:
			a = l.recurring(f)
		default:
			a = l.between(f.Name, f.From, f.To)
		}
		if a.effect != passes {
			frozen = a
		}
	}
	return frozen
}

func (l *look) between(name string, from, to time.Time) answer {
	l.at(from)
	if l.now.Before(from) || !l.now.Before(to) {
		return answer{effect: passes}
	}
	l.at(to)
	return answer{blocks, fmt.Sprintf("freeze %s until %s", name, clock(to)), "passes at " + clock(to)}
}

// recurring looks again each minute, to which such times are kept, or at their end
// where that is known.
func (l *look) recurring(f *Freeze) answer {
	next := l.now.Truncate(time.Minute).Add(time.Minute)
	if !f.Covers(l.now) {
		l.at(next)
		return answer{effect: passes}
	}
	detail, lifts := "freeze "+f.Name, "its times end"
	if f.Times != "" {
		detail += " (" + f.Times + ")"
	}
	if f.Ends != nil {
		if end := f.Ends(l.now); !end.IsZero() {
			next, detail, lifts = end, detail+" until "+clock(end), "passes at "+clock(end)
		}
	}
	l.at(next)
	return answer{blocks, detail, lifts}
}

func (l *look) calendar(f *Freeze) answer {
	l.read(signalbox.CalendarKey(f.Calendar))
	c := l.w.Facts.Calendar(f.Calendar)
	lifts := "calendar " + f.Calendar + " can be read again"
	if c == nil || c.At.IsZero() {
		why := "freeze " + f.Name + ": its calendar was never read"
		if c != nil && c.Err != "" {
			why += ": " + c.Err
		}
		return answer{blocks, why, lifts}
	}
	most := cmp.Or(f.CalendarAge, calendarAge)
	if age := l.now.Sub(c.At).Abs(); age > most {
		return answer{blocks, fmt.Sprintf("freeze %s: its calendar was read %s ago, at most %s is relied on: %s", f.Name, span(age), span(most), c.Err), lifts}
	}
	l.at(c.At.Add(most + time.Nanosecond))
	for _, w := range c.Windows {
		if a := l.between(f.Name+" ("+w.Name+")", w.From, w.To); a.effect != passes {
			return a
		}
	}
	return answer{effect: passes}
}

// guardFreezeBack lets an action that did not help be taken back in a freeze
// too: the switch was thrown under it, and is better as it was.
func guardFreezeBack(l *look, m *move) answer {
	if l.ineffective(m.undoes) {
		return answer{effect: passes, detail: "no freeze holds back what did not help"}
	}
	if m.step.Lifts {
		return answer{effect: passes, detail: "no freeze holds back what only lifts a limit"}
	}
	return guardFreeze(l, m)
}
