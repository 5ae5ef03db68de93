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
	b.see("alerts", "deploy/edge", signalbox.Breached, 1)
	b.blocked("change", "deploy deploy is under way: alerts on deploy/edge") // it is for migrations, and this is none
	b.see("alerts", "deploy/edge", signalbox.Unknown, 0)
	b.blocked("change", "deploy deploy can't be seen")
	b.see("alerts", "deploy/edge", signalbox.Clear, 0)
	b.want(signalbox.Act, "change")
	b.see("errors", "migration/eu", signalbox.Unknown, 0)
	b.blocked("change", "can't be seen")

	p.During = []string{"deploy", "safe-migrations"} // one of them is enough
	b = with(p)
	b.see("alerts", "deploy/edge", signalbox.Breached, 1)
	b.want(signalbox.Act, "change")
}

// A runbook whose own step ended what it acts during goes on: a migration that it
// cancelled. It still waits for what else is under way, and for what can't be seen.
func TestGuardChangeThatItsOwnStepEnded(t *testing.T) {
	p := failover()
	p.During = []string{"migration"}
	p.Runbook = []signalbox.Step{throwTo("b"), throwTo("c")}
	p.Runbook[0].Then, p.Cooldown = signalbox.ThenNext, 0
	c := configOf(p)
	c.Changes = []Change{{Name: "migration", Migration: true, Detector: "errors"}, {Name: "deploy", Detector: "alerts"}}
	b := newBoxOf(t, c)
	b.see("alerts", "deploy/core", signalbox.Clear, 0)
	b.see("errors", "migration/eu", signalbox.Clear, 0)
	b.foresee(p.Runbook[0], "a")
	b.blocked("change", "it acts during [migration] only")
	b.acted("")
	b.foresee(p.Runbook[1], "b")
	if d := b.want(signalbox.Act, "change"); d.Next != 1 {
		t.Errorf("step %d, want the second", d.Next)
	}
	b.see("alerts", "deploy/core", signalbox.Breached, 1)
	b.blocked("change", "deploy deploy is under way")
	b.see("alerts", "deploy/core", signalbox.Clear, 0)
	b.see("errors", "migration/eu", signalbox.Unknown, 0)
	b.blocked("change", "can't be seen")
}

// A change is no illness: nobody is paged that one is under way, unless a policy
// acts on it.
func TestChangeIsNotPaged(t *testing.T) {
	c := configOf(failover())
	c.Policies[0].On, c.Policies[0].When = []string{"errors"}, ""
	c.Changes = []Change{{Name: "deploy", Detector: "lag"}}
	d := newBoxOf(t, c).want(signalbox.Hold, "change")
	if d.Page != nil {
		t.Errorf("it pages: %+v", d.Page)
	}
	c.Changes = nil
	newBoxOf(t, c).want(signalbox.Escalate, "policy")
}

// A change of which nothing was ever read can't be excluded.
func TestGuardChangeNeverSeen(t *testing.T) {
	c := configOf(failover())
	c.Changes = []Change{{Name: "deploy", Detector: "alerts"}}
	newBoxOf(t, c).blocked("change", "deploy deploy: no reading of alerts")
}
