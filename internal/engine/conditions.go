package engine

import (
	"context"

	signalbox "github.com/signalbox/signalbox"
)

// Calendar takes in what was read of a calendar of freezes; c must not be
// changed afterwards. A calendar that is not configured is passed over. It does
// not wait.
func (e *Engine) Calendar(ctx context.Context, name string, c *signalbox.Calendar) {
	e.post(ctx, func(l *loop) {
		if _, is := l.set().Calendars[name]; is {
			l.touch(l.facts.PutCalendar(name, c))
		}
	})
}

// Silences takes in the silences that are in force at Alertmanager; its list
// must not be changed afterwards. One that was never read says only why: what was
// read before stands. It does not wait.
func (e *Engine) Silences(ctx context.Context, s signalbox.Silences) {
	e.post(ctx, func(l *loop) {
		if l.set().Silences != "" {
			if s.At.IsZero() { // a failure takes nothing back
				s.At, s.List = l.facts.Silenced.At, l.facts.Silenced.List
			}
			l.facts.Silenced = s
			l.touch(signalbox.SilencesKey)
		}
	})
}

// forget drops the calendars and silences that another configuration does not
// have, or reads elsewhere: what was read at one place says nothing of another.
func (l *loop) forget(old, set *Set) {
	for name, where := range old.Calendars {
		if now, is := set.Calendars[name]; !is || now != where {
			l.touch(l.facts.DropCalendar(name))
		}
	}
	if old.Silences != set.Silences {
		l.facts.Silenced = signalbox.Silences{}
		l.touch(signalbox.SilencesKey)
	}
}
