package policy

import (
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardAutonomy(t *testing.T) {
	b := newBox(t)
	b.inc().Plan, _ = b.h.rules["failover"].plan(nil)
	b.h.rules["failover"].Autonomy = Shadow
	d := b.blocked("autonomy", "shadow")
	if d.GaveUp == "" {
		t.Errorf("a plan whose policy is in shadow must end: %s", tell(d))
	}
}

func TestShadowOnlyRecords(t *testing.T) {
	p := failover()
	p.Autonomy = Shadow
	b := newBox(t, p)
	d := b.want(signalbox.Escalate, "policy") // it does not count as handling
	if len(d.Shadow) != 1 || d.Shadow[0].Verdict != signalbox.Act || d.Shadow[0].Step == nil || reason(d.Shadow[0].Because, "cooldown") == nil {
		t.Errorf("got %+v, want what it would have done", d.Shadow)
	}
	b.w.Facts.KillFile = "drill"
	if d = b.decide(); d.Shadow[0].Verdict != signalbox.Hold {
		t.Errorf("got %+v, want hold", d.Shadow)
	}
	// Beside a policy in auto it changes nothing.
	p.Name = "watching"
	b = newBox(t, p, failover())
	if d = b.want(signalbox.Act, ""); len(d.Shadow) != 1 || d.Shadow[0].Policy != "watching" || d.Plan.Policy != "failover" {
		t.Errorf("got %+v with %+v", d.Plan, d.Shadow)
	}
}
