package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardFlapping(t *testing.T) {
	again := func(b *box, n int) {
		for range n {
			b.inc().Recent = append(b.inc().Recent, noon.Add(-30*time.Minute))
		}
	}
	b := newBox(t)
	again(b, 1)
	b.inc().Recent = append(b.inc().Recent, noon.Add(-2*time.Hour)) // before the window
	b.want(signalbox.Act, "flapping")
	again(b, 1)
	b.blocked("flapping", "it opened 3 times in 1h (slower from 3 on, stops at 6): waits 1m")
	again(b, 1)
	b.blocked("flapping", "it opened 4 times in 1h (slower from 3 on, stops at 6): waits 2m")
	b.later(2*time.Minute - 1)
	b.foresee(throwTo("b"), "a")
	b.want(signalbox.Hold, "flapping")
	b.later(1)
	b.foresee(throwTo("b"), "a")
	b.want(signalbox.Act, "flapping")
	again(b, 2)
	d := b.want(signalbox.Escalate, "flapping")
	if d.GaveUp == "" {
		t.Errorf("automation goes on:\n%s", tell(d))
	}
}

// A wait doubles up to a day, however often it opens.
func TestFlappingPauseEnds(t *testing.T) {
	for _, c := range []struct {
		pause time.Duration
		n     int
		want  time.Duration
	}{
		{time.Minute, 3, time.Minute},
		{time.Minute, 13, 1024 * time.Minute},
		{time.Minute, 14, 24 * time.Hour},
		{time.Minute, 99, 24 * time.Hour},
		{time.Nanosecond, 99, 24 * time.Hour},
		{36 * time.Hour, 3, 36 * time.Hour},
		{36 * time.Hour, 99, 36 * time.Hour},
	} {
		f := Flapping{Window: MaxFlapWindow, After: 3, Pause: c.pause, Stop: MaxFlapStop}
		if got := f.wait(c.n); got != c.want {
			t.Errorf("opening %d with pause %s: waits %s, want %s", c.n, c.pause, got, c.want)
		}
		conf := configOf(failover())
		conf.Flapping = f
		b := newBoxOf(t, conf)
		for range c.n - 1 {
			b.inc().Recent = append(b.inc().Recent, noon.Add(-30*time.Minute))
		}
		b.blocked("flapping", "waits "+span(c.want))
	}
}

// A release begins the count anew: it lifts the wait and the stop.
func TestFlappingReleased(t *testing.T) {
	for _, n := range []int{2, 5} {
		b := newBox(t)
		for i := range n {
			b.inc().Recent = append(b.inc().Recent, noon.Add(-time.Duration(n-i)*time.Minute))
		}
		d := b.decide()
		if d.Verdict == signalbox.Act {
			t.Fatalf("%d before: it must not act", n)
		}
		if r := reason(d.Because, "flapping"); n == 5 && r.Lifts != "signalboxctl release 'incident/"+string(incident)+"', once its cause is mended" {
			t.Errorf("got %q", r.Lifts)
		}
		b.inc().ReleasedAt = noon
		b.want(signalbox.Act, "flapping")
	}
}

func TestFlappingRefused(t *testing.T) {
	for want, f := range map[string]Flapping{
		"flapping.window must be above 0 and at most 168h, got 168h0m1s": {Window: MaxFlapWindow + time.Second},
		"flapping.window must be above 0 and at most 168h, got -1ns":     {Window: -1},
		"flapping.after must be at least 1, got -1":                      {After: -1},
		"flapping.pause must be above 0, got -1ns":                       {Pause: -1},
		"flapping.stop must be at most 100, got 101":                     {Stop: 101},
		"flapping.stop must be more than after (6), got 6":               {After: 6},
		"flapping.stop must be more than after (3), got 3":               {Stop: 3},
	} {
		c := configOf(failover())
		c.Flapping = f
		refused(t, c, want)
	}
}

// The cooldown of a target doubles with each action beyond the second in a day.
func TestCooldownDoubles(t *testing.T) {
	for n, rest := range map[int]time.Duration{1: 15 * time.Minute, 2: 15 * time.Minute, 3: 30 * time.Minute, 5: 2 * time.Hour} {
		p := failover()
		p.Budget = nil
		c := configOf(p)
		c.Detectors[0].Fresh, c.Detectors[1].Fresh = 48*time.Hour, 48*time.Hour
		b := newBoxOf(t, c)
		for i := range n {
			b.touch().Acted = append(b.touch().Acted, noon.Add(-time.Duration(i)*time.Minute))
		}
		b.blocked("cooldown", "cooldown "+span(rest))
		b.later(rest - 1)
		b.foresee(throwTo("b"), "a")
		b.want(signalbox.Escalate, "cooldown")
		b.later(1)
		b.foresee(throwTo("b"), "a")
		b.want(signalbox.Act, "cooldown")
	}
}

// What flapping holds for hours is told.
func TestLongFlappingWaitIsTold(t *testing.T) {
	c := configOf(failover())
	c.Flapping = Flapping{After: 3, Stop: 20}
	b := newBoxOf(t, c)
	for range 13 {
		b.inc().Recent = append(b.inc().Recent, noon.Add(-30*time.Minute))
	}
	b.later(12 * time.Hour)
	b.lag(5)
	if d := b.decide(); d.Page == nil {
		t.Errorf("12 h ill, and nobody is told:\n%s", tell(d))
	}
}
