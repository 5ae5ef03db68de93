package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// silence is one in force whose matchers want labels to be equal.
func silence(until time.Time, labels ...string) signalbox.Silence {
	s := signalbox.Silence{ID: "42", Who: "@sre", Comment: "known", Until: until}
	for i := 0; i < len(labels); i += 2 {
		want := labels[i+1]
		s.Matchers = append(s.Matchers, signalbox.Matcher{Name: labels[i], Matches: func(v string) bool { return v == want }})
	}
	return s
}

func TestGuardSilence(t *testing.T) {
	b := newBox(t)
	b.change(func(r *signalbox.Reading) { r.Suppressed = "silence 42" })
	b.inc().Plan, _ = b.h.rules["failover"].plan(nil)
	b.blocked("silence", "it is held under silence 42")
}

func TestGuardSilenceOfOtherDetectors(t *testing.T) {
	with := func(silences ...signalbox.Silence) *box {
		c := configOf(failover())
		c.Silences = true
		b := newBoxOf(t, c)
		b.w.Facts.Silenced = signalbox.Silences{At: noon, List: silences}
		return b
	}
	later := noon.Add(time.Minute)
	with(silence(later, "env", "dev")).want(signalbox.Act, "silence")
	with(silence(noon, "env", "prod")).want(signalbox.Act, "silence") // it has ended
	with(silence(later)).want(signalbox.Act, "silence")               // matches nothing
	b := with(silence(later, "alertname", "lag", "subject", "db/eu", "env", "prod", "none", ""))
	d := b.want(signalbox.Hold, "suppressed")
	b.readsAll(d, signalbox.SilencesKey)
	if !d.Until.Equal(later) {
		t.Errorf("looks again at %s, want %s", d.Until, later)
	}
	b.inc().Plan, _ = b.h.rules["failover"].plan(nil)
	b.want(signalbox.Hold, "silence")
}

// Silences that can't be read hold actions, and page after a while.
func TestSilencesThatCannotBeRead(t *testing.T) {
	for _, at := range []time.Time{{}, noon.Add(-5*time.Minute - 1)} {
		c := configOf(failover())
		c.Silences = true
		b := newBoxOf(t, c)
		b.w.Facts.Silenced.At, b.w.Facts.Silenced.Err = at, "connection refused"
		b.blocked("silence", "Alertmanager's silences were read")
		b.later(time.Minute)
		b.foresee(throwTo("b"), "a")
		b.want(signalbox.Escalate, "silence")
	}
}

// Until they were read, or could not be, for the first time since the start, what
// is silenced is not paged, however old it is.
func TestSilencesNotReadYet(t *testing.T) {
	c := configOf(failover())
	c.Silences = true
	b := newBoxOf(t, c)
	b.later(10 * time.Minute)
	b.foresee(throwTo("b"), "a")
	if d := b.blocked("silence", "still to be read for the first time"); d.Verdict != signalbox.Hold {
		t.Errorf("got %s, want it to wait", d.Verdict)
	}
}
