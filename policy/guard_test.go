package policy

import (
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

func TestAllGuardsPass(t *testing.T) {
	b := newBox(t)
	d := b.want(signalbox.Act, "")
	for _, g := range b.h.forward {
		if r := reason(d.Because, g.name); r == nil || !r.Passed || r.Detail == "" {
			t.Errorf("guard %s: got %v, want that it passed, with its figures", g.name, r)
		}
	}
	if d.Plan == nil || d.Plan.Policy != "failover" || d.Next != 0 || d.Step == nil || d.Step.To != "b" {
		t.Errorf("got plan %v, step %v", d.Plan, d.Step)
	}
	step := throwTo("b")
	b.readsAll(d, signalbox.IncidentKey(incident), signalbox.TargetKey(target), signalbox.BudgetKey("all"), signalbox.BudgetKey("policy/failover"),
		signalbox.PolicyKey("failover"), signalbox.ControlsKey, signalbox.ActiveKey, signalbox.KillFileKey, signalbox.ForecastKey(step.Hash()),
		signalbox.ReadingKey("lag", "db/eu"), signalbox.ReadingKey("replica-lag", "replica/b"))
}

func TestPreviewComesFirst(t *testing.T) {
	b := newBox(t)
	b.later(defaultForecastAge)
	d := b.want(signalbox.Preview, "forecast")
	if d.Step == nil || d.Plan == nil || d.Takes != "" || !d.Until.After(b.w.Now) {
		t.Errorf("got %+v", d)
	}
	// Where something forbids it anyway, nothing is asked.
	b.w.Facts.KillFile = "drill"
	b.want(signalbox.Escalate, "kill")
}

func TestForecastBeforeAnotherActionIsOld(t *testing.T) {
	b := newBox(t)
	b.w.State.Actions["other"] = &signalbox.Action{ID: "other", Stage: signalbox.Done, EndedAt: b.w.Now.Add(1)}
	b.touch().Last = "other"
	b.want(signalbox.Act, "") // still to come: the clock went back
	b.w.Now = b.w.Now.Add(1)
	b.want(signalbox.Preview, "forecast")
}

// refused asserts that a configuration is refused, and why.
func refused(t *testing.T, c Config, want string) {
	t.Helper()
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
