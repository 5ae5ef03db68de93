package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardFreeze(t *testing.T) {
	c := configOf(failover())
	c.Freeze = []Freeze{{Name: "sale", From: noon, To: noon.Add(time.Hour)}}
	b := newBoxOf(t, c)
	b.blocked("freeze", "freeze sale until 2026-03-01 13:00:00Z")
	for at, verdict := range map[time.Duration]signalbox.Verdict{
		-time.Nanosecond: signalbox.Act, time.Hour - 1: signalbox.Escalate, time.Hour: signalbox.Act,
	} {
		b := newBoxOf(t, c)
		b.later(at)
		b.foresee(throwTo("b"), "a")
		b.want(verdict, "freeze")
	}
}

func TestGuardFreezeRecurring(t *testing.T) {
	c := configOf(failover())
	c.Freeze = []Freeze{{Name: "evenings", Covers: func(at time.Time) bool { return at.Hour() == 12 && at.Minute() < 30 }}}
	b := newBoxOf(t, c)
	d := b.blocked("freeze", "freeze evenings")
	if want := noon.Add(time.Minute); !d.Until.Equal(want) {
		t.Errorf("looks again at %s, want %s", d.Until, want)
	}
	b.h.config.Freeze[0].Times = "12:00 to 12:30 in UTC"
	b.h.config.Freeze[0].Ends = func(time.Time) time.Time { return noon.Add(30 * time.Second) }
	d = b.blocked("freeze", "freeze evenings (12:00 to 12:30 in UTC) until 2026-03-01 12:00:30Z")
	if want := noon.Add(30 * time.Second); !d.Until.Equal(want) || reason(d.Because, "freeze").Lifts != "passes at "+clock(want) {
		t.Errorf("looks again at %s, want %s: %+v", d.Until, want, reason(d.Because, "freeze"))
	}
	b.later(30 * time.Minute)
	b.foresee(throwTo("b"), "a")
	b.want(signalbox.Act, "freeze")
}

// A calendar that can't be read is a control that can't be read.
func TestGuardFreezeCalendar(t *testing.T) {
	c := configOf(failover())
	c.Freeze = []Freeze{{Name: "releases", Calendar: "ops", CalendarAge: time.Hour}}
	b := newBoxOf(t, c)
	d := b.blocked("freeze", "its calendar was never read")
	b.readsAll(d, signalbox.CalendarKey("ops"))
	b.w.Facts.PutCalendar("ops", &signalbox.Calendar{Err: "404"})
	b.blocked("freeze", "its calendar was never read: 404")
	b.w.Facts.PutCalendar("ops", &signalbox.Calendar{At: noon.Add(-time.Hour - 1), Err: "timeout"})
	b.blocked("freeze", "its calendar was read 1h ago, at most 1h is relied on: timeout")
	b.w.Facts.PutCalendar("ops", &signalbox.Calendar{At: noon, Err: "timeout", Windows: []signalbox.Window{{Name: "sale", From: noon.Add(-time.Minute), To: noon.Add(time.Minute)}}})
	b.blocked("freeze", "freeze releases (sale) until 2026-03-01 12:01:00Z")
	b.later(time.Minute)
	b.foresee(throwTo("b"), "a")
	b.want(signalbox.Act, "freeze")
}
