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
