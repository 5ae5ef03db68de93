package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

var healthBegin = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// after is a moment of the stories below.
func after(seconds int) time.Time { return healthBegin.Add(time.Duration(seconds) * time.Second) }

// healthStory holds what a source's health tells, step by step.
type healthStory struct {
	t *testing.T
	h *sourceHealth
}

func newHealthStory(t *testing.T, within time.Duration, reads bool) *healthStory {
	h := newSourceHealth("source/alerts", 3*time.Second, within, reads)
	h.begin(healthBegin)
	return &healthStory{t, h}
}

// tells expects an edge at a moment; Unknown: nothing is told.
func (s *healthStory) tells(seconds int, want signalbox.Condition) signalbox.Reading {
	s.t.Helper()
	r, told := s.h.step(after(seconds))
	if told != (want != signalbox.Unknown) || told && r.Condition != want {
		s.t.Fatalf("after %ds: got %v, told %t, want %v: %s", seconds, r.Condition, told, want, r.Summary)
	}
	return r
}

// One breach once it is away for too long, one end; and the first good look is
// told, since the breach may have been told before this start.
func TestSourceIsAway(t *testing.T) {
	s := newHealthStory(t, 0, true)
	away := errors.New("away")
	for i, c := range []struct {
		err  error
		want signalbox.Condition // Unknown: nothing is told
	}{
		{nil, signalbox.Clear},
		{nil, signalbox.Unknown},
		{away, signalbox.Unknown},
		{away, signalbox.Unknown},
		{away, signalbox.Breached},
		{away, signalbox.Unknown},
		{nil, signalbox.Clear},
		{nil, signalbox.Unknown},
		{away, signalbox.Unknown},
	} {
		s.h.looked(after(i), nil, c.err)
		r := s.tells(i, c.want)
		if c.want == signalbox.Breached && (!r.WellAt.Equal(after(1)) || !strings.Contains(r.Summary, "away")) {
			t.Errorf("look %d: last well %s: %s", i, r.WellAt, r.Summary)
		}
	}
}

// Until there was a good look nothing is well, and nothing is ill before its
// bound.
func TestSourceIsNotKnownAtFirst(t *testing.T) {
	s := newHealthStory(t, 5*time.Second, true)
	s.tells(0, signalbox.Unknown)
	s.h.looked(after(1), nil, nil)
	s.tells(1, signalbox.Unknown) // the watchdog was not heard yet
	s.h.hear(after(1), after(2))
	s.tells(2, signalbox.Clear)
}

// The watchdog: the first bound counts from the start, a late one opens once,
// and its coming ends it.
func TestWatchdogStaysAway(t *testing.T) {
	s := newHealthStory(t, 5*time.Second, false)
	s.tells(4, signalbox.Unknown)
	if w := s.h.wait(after(4)); w != time.Second {
		t.Errorf("it waits %s, want 1s", w)
	}
	r := s.tells(5, signalbox.Breached)
	if !strings.Contains(r.Summary, "watchdog did not come since 2026-03-01T10:00:00Z") || !r.WellAt.Equal(after(0)) {
		t.Errorf("got %q, well at %s", r.Summary, r.WellAt)
	}
	s.tells(60, signalbox.Unknown)
	s.h.hear(after(61), after(61))
	s.tells(61, signalbox.Clear)
	s.tells(65, signalbox.Unknown)
	s.h.hear(time.Time{}, after(65)) // a batch without it
	if r := s.tells(66, signalbox.Breached); !r.WellAt.Equal(after(61)) || !r.OnsetAt.Equal(after(66)) {
		t.Errorf("well at %s, onset %s", r.WellAt, r.OnsetAt)
	}
}

// A sample that is old proves nothing: Alertmanager lists an alert for minutes
// after its rule's evaluator has died.
func TestWatchdogCountsByItsOwnSample(t *testing.T) {
	s := newHealthStory(t, 10*time.Second, false)
	s.h.hear(after(1), after(2))
	s.tells(2, signalbox.Clear)
	for i := 3; i <= 10; i++ {
		s.h.hear(after(1), after(i))
		s.tells(i, signalbox.Unknown)
	}
	s.tells(11, signalbox.Breached)
	s.h.hear(after(1), after(12))
	s.tells(12, signalbox.Unknown)
	s.h.hear(after(5), after(12)) // older than what came, but within the bound
	s.tells(12, signalbox.Clear)
	s.tells(15, signalbox.Breached)
}

// What is stale at the start pages nobody at once: it may have been sent while
// the daemon was away.
func TestWatchdogIsStaleAtTheStart(t *testing.T) {
	s := newHealthStory(t, 5*time.Second, false)
	s.h.hear(after(-60), after(0))
	s.tells(0, signalbox.Unknown)
	s.tells(4, signalbox.Unknown)
	s.h.hear(after(-1), after(4))
	if r := s.tells(5, signalbox.Breached); !r.WellAt.Equal(after(0)) {
		t.Errorf("well at %s", r.WellAt)
	}
}

// A clock that goes back, or a sample from ahead, never makes it deaf.
func TestWatchdogAndClocks(t *testing.T) {
	s := newHealthStory(t, 5*time.Second, false)
	s.h.hear(after(3600), after(1))
	s.tells(1, signalbox.Clear)
	s.tells(6, signalbox.Breached)
	s = newHealthStory(t, 5*time.Second, false)
	s.h.hear(after(3600), after(3600))
	s.tells(3600, signalbox.Clear)
	s.tells(10, signalbox.Unknown) // set back by an hour
	s.tells(15, signalbox.Breached)
}

// However many causes there are, it is one incident, until none is left.
func TestSourceIsIllForSeveralReasons(t *testing.T) {
	s := newHealthStory(t, 5*time.Second, true)
	s.h.looked(after(0), nil, nil)
	s.h.hear(after(0), after(0))
	s.tells(0, signalbox.Clear)
	lost := []signalbox.Reading{{Condition: signalbox.Unknown, Subject: "Lag", Reason: "no data", Since: after(1)}, {Condition: signalbox.Unknown, Subject: "Other", Since: after(1)}}
	s.h.looked(after(2), lost, nil)
	s.tells(3, signalbox.Unknown)
	if r := s.tells(4, signalbox.Breached); !strings.Contains(r.Summary, "Lag is unknown since 2026-03-01T10:00:01Z: no data; and 1 more") {
		t.Errorf("got %q", r.Summary)
	}
	s.h.looked(after(5), nil, errors.New("away"))
	s.tells(8, signalbox.Unknown)
	s.h.looked(after(9), nil, nil)
	s.tells(9, signalbox.Unknown) // the watchdog still stays away
	s.h.hear(after(10), after(10))
	s.tells(10, signalbox.Clear)
}

// What people have silenced, and what is unknown for the moment only, is not
// told.
func TestWhatIsUnknown(t *testing.T) {
	got := whatIsUnknown([]signalbox.Reading{
		{Series: "late", Since: after(2)},
		{Series: "ill", Condition: signalbox.Breached, Since: after(1)},
		{Series: "moment"},
		{Series: "silent", Since: after(1), Suppressed: "silence 1"},
		{Series: "early", Since: after(1)},
	})
	if len(got) != 2 || got[0].Series != "early" || got[1].Series != "late" {
		t.Errorf("got %+v", got)
	}
}

// Over a reload the clocks go on: a watchdog that stays away is told however
// often the configuration is read.
func TestSourceHealthOverAReload(t *testing.T) {
	s := newHealthStory(t, 5*time.Second, false)
	for i := range 5 {
		s.h.redefine(3*time.Second, 5*time.Second)
		s.h.begin(after(i))
		s.tells(i, signalbox.Unknown)
	}
	s.tells(5, signalbox.Breached)
	s.h.redefine(3*time.Second, 10*time.Second)
	s.tells(6, signalbox.Unknown) // nothing has come, so nothing is ended
	s.h.hear(after(7), after(7))
	s.tells(7, signalbox.Clear)
}
