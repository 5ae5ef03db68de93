package policy

import (
	"slices"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestStorm(t *testing.T) {
	made := func(n int, detector string, ago time.Duration) (list []Made) {
		for range n {
			list = append(list, Made{Detector: detector, At: sentAt.Add(-ago)})
		}
		return list
	}
	for name, c := range map[string]struct {
		lately []Made
		want   string
	}{
		"quiet":                      {nil, ""},
		"four of one detector":       {made(4, "lag", time.Minute), ""},
		"five of one detector":       {made(5, "lag", time.Minute), "storm/db/lag"},
		"five of another":            {made(5, "queue", time.Minute), ""},
		"nine in all":                {append(made(4, "lag", 0), made(5, "queue", 0)...), ""},
		"ten in all":                 {append(made(5, "lag", 0), made(5, "queue", 0)...), "storm/db"},
		"five, long ago":             {made(5, "lag", 5*time.Minute), ""},
		"five, by a clock gone back": {made(5, "lag", -time.Minute), "storm/db/lag"},
		"far in the future":          {made(5, "lag", -time.Hour), ""},
	} {
		if got := Storm("db", "lag", c.lately, sentAt); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if got := Lately(append(made(2, "a", 6*time.Minute), made(3, "b", time.Minute)...), sentAt); len(got) != 3 || got[0].Detector != "b" {
		t.Errorf("lately: got %v", got)
	}
}

// What a policy hears from several detectors about one subject is one cause: of
// those it is on, and of its witnesses. A step that pages says so too.
func TestOneIllnessThatSeveralSee(t *testing.T) {
	const one = "seen/failover/db/eu"
	p := failover()
	p.Runbook = append([]signalbox.Step{pageStep("backend")}, p.Runbook...)
	p.Needs = 1
	p.Witnesses = []signalbox.Witness{{Detector: "errors"}, {Detector: "replica-lag", Subject: "replica/a"}}
	b := newBox(t, p)
	b.see("errors", "db/eu", signalbox.Breached, 1)
	if d := b.want(signalbox.Act, "page"); d.Page == nil || d.Page.Owner != "backend" || !slices.Contains(d.Page.Causes, one) {
		t.Errorf("the step that pages asks for %+v, want a page to backend for %s", d.Page, one)
	}
	for detector, c := range map[string]struct {
		subject string
		want    bool
	}{"errors": {"db/eu", true}, "replica-lag": {"replica/a", false}} {
		r := b.see(detector, c.subject, signalbox.Breached, 1)
		b.inc().Reading = r
		d := b.want(signalbox.Escalate, "policy")
		if got := slices.Contains(d.Page.Causes, one); got != c.want {
			t.Errorf("%s on %s: causes %q, with %s: %t", detector, c.subject, d.Page.Causes, one, c.want)
		}
	}
	afar := []string{"seen/failover@replica/a"}
	b.inc().Reading = b.see("replica-lag", "replica/a", signalbox.Breached, 1)
	if d := b.want(signalbox.Escalate, "policy"); !slices.Equal(d.Page.Causes, afar) {
		t.Errorf("a witness on another subject: causes %q, want %q", d.Page.Causes, afar)
	}
	for condition, want := range map[signalbox.Condition]bool{signalbox.Breached: true, signalbox.Clear: false, signalbox.Unknown: false} {
		b.see("replica-lag", "replica/a", condition, 1)
		b.inc().Reading = b.lag(2)
		if d := b.want(signalbox.Act, "page"); slices.Contains(d.Page.Causes, afar[0]) != want {
			t.Errorf("its witness is %s: causes %q, with %s: %t", condition, d.Page.Causes, afar[0], want)
		}
	}
	alone := newBox(t, failover())
	alone.inc().GaveUp = "a test"
	if d := alone.decide(); d.Page == nil || len(d.Page.Causes) > 0 {
		t.Errorf("a policy of one detector: %s", tell(d))
	}
}
