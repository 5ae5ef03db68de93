package policy

import (
	"strings"
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

// Until they were read, or could not be, for the first time since the start,
// nothing is done and nobody is paged, whatever else would page: no policy, an
// onset that was not seen, a pause.
func TestNothingIsPagedBeforeSilencesAreRead(t *testing.T) {
	for name, change := range map[string]func(b *box){
		"it would act":           func(*box) {},
		"no policy is on it":     func(b *box) { b.inc().Reading.Labels = nil },
		"its onset was not seen": func(b *box) { b.inc().WellAt = time.Time{} },
		"a pause": func(b *box) {
			b.w.State.Controls.Pauses = []signalbox.Control{{Kind: signalbox.Pause, Scope: "all", Who: "x", Reason: "y"}}
		},
	} {
		c := configOf(failover())
		c.Silences = true
		b := newBoxOf(t, c)
		change(b)
		b.later(10 * time.Minute)
		b.foresee(throwTo("b"), "a")
		d := b.decide()
		if d.Verdict != signalbox.Hold || d.Page != nil || !strings.Contains(tell(d), "still to be read for the first time") {
			t.Errorf("%s: got\n%s", name, tell(d))
		}
		b.readsAll(d, signalbox.SilencesKey)
		b.w.Facts.Silenced.Err = "connection refused" // it was tried
		b.lag(5)
		if d := b.decide(); strings.Contains(tell(d), "first time") {
			t.Errorf("%s, once they were tried: got\n%s", name, tell(d))
		}
	}
}
