package policy

import (
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardChange(t *testing.T) {
	with := func(p Policy) *box {
		c := configOf(p)
		c.Changes = []Change{{Name: "safe-migrations", Migration: true, Detector: "errors", Subject: "migration/{{cluster}}"}, {Name: "deploy", Detector: "alerts"}}
		b := newBoxOf(t, c)
		b.see("errors", "migration/eu", signalbox.Clear, 0)
		b.see("errors", "migration/us", signalbox.Breached, 1)
		b.see("alerts", "deploy/core", signalbox.Clear, 0)
		return b
	}
	b := with(failover())
	d := b.want(signalbox.Act, "change")
	b.readsAll(d, signalbox.DetectorKey("alerts"), signalbox.ReadingKey("errors", "migration/eu"))
	b.see("alerts", "deploy/edge", signalbox.Breached, 1)
	b.blocked("change", "deploy deploy is under way: alerts on deploy/edge")
	b.see("alerts", "deploy/edge", signalbox.Unknown, 0)
	b.blocked("change", "deploy deploy can't be seen")
	b.see("alerts", "deploy/edge", signalbox.Clear, 0)
	b.see("errors", "migration/eu", signalbox.Breached, 1)
	b.blocked("change", "migration safe-migrations is under way")

	p := failover()
	p.Ignores = []string{"safe-migrations"}
	b = with(p)
	b.see("errors", "migration/eu", signalbox.Breached, 1)
	b.want(signalbox.Act, "change")

	p = failover()
	p.During = []string{"safe-migrations"}
	b = with(p)
	b.blocked("change", "it acts during [safe-migrations] only: migration safe-migrations is not under way")
	b.see("errors", "migration/eu", signalbox.Breached, 1)
	b.want(signalbox.Act, "change")
	b.see("errors", "migration/eu", signalbox.Unknown, 0)
	b.blocked("change", "can't be seen")
}

// A change of which nothing was ever read can't be excluded.
func TestGuardChangeNeverSeen(t *testing.T) {
	c := configOf(failover())
	c.Changes = []Change{{Name: "deploy", Detector: "alerts"}}
	newBoxOf(t, c).blocked("change", "deploy deploy: no reading of alerts")
}
