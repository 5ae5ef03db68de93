package policy

import (
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// What can't be read or proved any more blocks, also in the middle of a runbook.
func TestFailsClosed(t *testing.T) {
	conditional := failover()
	conditional.Runbook[0].If = `destination.value < duration("1h")`
	corroborated := failover()
	corroborated.When, corroborated.Needs, corroborated.Witnesses = "", 2, []signalbox.Witness{{Detector: "errors"}}
	cases := map[string]struct {
		policy       Policy
		code, detail string
		breaks       func(b *box)
	}{
		"policy gone": {failover(), "autonomy", "policy failover is no longer configured", func(b *box) { delete(b.h.rules, "failover") }},
		"its budget":  {failover(), "budget", "the budget of policy failover is not known", func(b *box) { delete(b.h.rules, "failover") }},
		"its condition": {conditional, "condition", "its policy was edited or removed", func(b *box) {
			b.inc().Plan.PolicyHash = "older"
		}},
		"series gone":        {conditional, "condition", "no reading of its series yet", func(b *box) { b.w.Facts.Drop("lag", "db/eu", "") }},
		"destination stale":  {conditional, "condition", "no such attribute", func(b *box) { b.age("replica-lag", "replica/b", time.Hour) }},
		"destination unseen": {conditional, "health", "no reading", func(b *box) { b.w.Facts.Drop("replica-lag", "replica/b", "") }},
		"witness stale": {corroborated, "needs", "1 of 2", func(b *box) {
			b.see("errors", "db/eu", signalbox.Breached, 1)
			b.age("errors", "db/eu", time.Hour)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := planned(newBox(t, c.policy), Auto)
			b.foresee(c.policy.Runbook[0], "a")
			c.breaks(b)
			d := b.decide()
			if r := reason(d.Because, c.code); d.Verdict == signalbox.Act || r == nil || r.Passed || !strings.Contains(r.Detail, c.detail) {
				t.Errorf("got %s, want a block by %s with %q:\n%s", d.Verdict, c.code, c.detail, tell(d))
			}
		})
	}
}

// age makes a reading older.
func (b *box) age(detector, series string, by time.Duration) {
	r := *b.w.Facts.Reading(detector, series, "")
	r.SampleAt = r.SampleAt.Add(-by)
	b.w.Facts.Replace(&r)
}

// A change whose subject needs a label that is missing can't be excluded.
func TestFailsClosedChangeWithoutItsLabel(t *testing.T) {
	c := configOf(failover())
	c.Changes = []Change{{Name: "deploy", Detector: "alerts", Subject: "deploy/{{zone}}"}}
	newBoxOf(t, c).blocked("change", "deploy deploy: no reading of alerts")
}

// A series that is gone since it was clear proves nothing: what was thrown stays,
// and after a while a person is told.
func TestFailsClosedSeriesGoneAfterClear(t *testing.T) {
	b := newBox(t)
	b.acted(signalbox.Recovered)
	b.later(time.Minute)
	b.healed()
	b.later(31 * time.Minute)
	b.w.Facts.Drop("lag", "db/eu", "")
	if d := b.want(signalbox.Hold, "after_healthy"); !strings.Contains(reason(d.Because, "after_healthy").Detail, "not proved to be clear") {
		t.Errorf("got %s", tell(d))
	}
	b.later(goneForGood)
	b.paged(b.want(signalbox.Escalate, "undo"))
}
