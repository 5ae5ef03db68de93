package policy

import (
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// needTwo is the tests' policy where a second origin must see the breach: the
// detector "alerts" on the same subject, or the errors of the cluster's reads.
func needTwo() Policy {
	p := failover()
	p.Needs = 2
	p.Witnesses = []signalbox.Witness{{Detector: "alerts"}, {Detector: "errors", Subject: "reads/{{cluster}}"}}
	return p
}

// declare puts a reading in again, under an origin.
func (b *box) declare(origin string, r signalbox.Reading) {
	r.Origin = origin
	b.w.Facts.Put(&r)
}

func TestGuardNeeds(t *testing.T) {
	ill := func(detector, subject, origin string) func(b *box) {
		return func(b *box) { b.declare(origin, b.see(detector, subject, signalbox.Breached, 9)) }
	}
	cases := map[string]struct {
		own    string
		others []func(b *box)
		acts   bool
		detail string
	}{
		"alone":                              {"prometheus:a", nil, false, "1 of 2 independent origins"},
		"another origin, same subject":       {"prometheus:a", []func(*box){ill("alerts", "db/eu", "blackbox")}, true, "2 of 2"},
		"another origin, named subject":      {"prometheus:a", []func(*box){ill("errors", "reads/eu", "datadog:eu")}, true, "2 of 2"},
		"the same origin twice":              {"prometheus:a", []func(*box){ill("alerts", "db/eu", "prometheus:a")}, false, "1 of 2"},
		"undeclared counts as dependent":     {"prometheus:a", []func(*box){ill("alerts", "db/eu", "")}, false, "counts as dependent"},
		"all undeclared are one":             {"", []func(*box){ill("alerts", "db/eu", "")}, false, "1 of 2"},
		"two others make up for undeclared":  {"", []func(*box){ill("alerts", "db/eu", "x"), ill("errors", "reads/eu", "y")}, true, "2 of 2"},
		"another subject is another illness": {"prometheus:a", []func(*box){ill("alerts", "db/us", "blackbox")}, false, "not seen by alerts on db/eu"},
		"well": {"prometheus:a", []func(*box){func(b *box) {
			b.declare("blackbox", b.see("alerts", "db/eu", signalbox.Clear, 0))
		}}, false, "not seen by alerts on db/eu"},
		"stale": {"prometheus:a", []func(*box){func(b *box) {
			r := b.see("alerts", "db/eu", signalbox.Breached, 9)
			r.SampleAt = noon.Add(-6 * time.Minute)
			b.declare("blackbox", r)
		}}, false, "1 of 2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, needTwo())
			b.change(func(r *signalbox.Reading) { r.Origin = c.own })
			for _, other := range c.others {
				other(b)
			}
			if c.acts {
				r := reason(b.want(signalbox.Act, "needs").Because, "needs")
				if !r.Passed || !strings.Contains(r.Detail, c.detail) {
					t.Errorf("got %+v", r)
				}
				return
			}
			d := b.want(signalbox.Hold, "needs") // the others may need a moment
			if d.Page != nil || d.Until.After(noon.Add(corroborateWithin)) {
				t.Errorf("got a page, or a look too late:\n%s", tell(d))
			}
			if r := reason(d.Because, "needs"); r.Passed || !strings.Contains(r.Detail, c.detail) {
				t.Errorf("got %+v, want %q", r, c.detail)
			}
			b.inc().OpenedAt = noon.Add(-corroborateWithin)
			b.want(signalbox.Escalate, "needs")
		})
	}
}

// What was consulted is a condition of the claim, so that a witness that turns
// well in between stops it.
func TestGuardNeedsReadsItsWitnesses(t *testing.T) {
	b := newBox(t, needTwo())
	b.readsAll(b.decide(), signalbox.ReadingKey("alerts", "db/eu"), signalbox.ReadingKey("errors", "reads/eu"), signalbox.ReadingKey("lag", "db/eu"))
}

func TestNeedsMustBePossible(t *testing.T) {
	p := needTwo()
	p.Needs, p.Witnesses = 4, append(p.Witnesses, signalbox.Witness{Detector: "nobody"})
	_, err := New(configOf(p))
	for _, want := range []string{`witnesses[2] must name a detector, got "nobody"`, "needs 4 sources, and only 4"} {
		if got := err != nil && strings.Contains(err.Error(), want); got != (want[0] == 'w') {
			t.Errorf("error %v: %q found is %v", err, want, got)
		}
	}
	p = failover()
	p.Needs = 2
	if _, err := New(configOf(p)); err == nil || !strings.Contains(err.Error(), "needs 2 sources, and only 1 detectors are heard") {
		t.Errorf("got %v", err)
	}
}
