package policy

import (
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardInFlight(t *testing.T) {
	for stage, verdict := range map[signalbox.Stage]signalbox.Verdict{
		signalbox.Claimed: signalbox.Hold, signalbox.Started: signalbox.Hold, signalbox.Doubt: signalbox.Escalate, "": signalbox.Escalate,
	} {
		t.Run(string(stage), func(t *testing.T) {
			b := newBox(t)
			b.touch().Holder = "other"
			if stage != "" {
				b.w.State.Actions["other"] = &signalbox.Action{ID: "other", Stage: stage, ClaimedAt: noon}
			}
			d := b.blocked("in_flight", string(target)+" is held by action other")
			if d.Verdict != verdict {
				t.Errorf("got %s, want %s", d.Verdict, verdict)
			}
			b.readsAll(d, signalbox.TargetKey(target), signalbox.ActionKey("other"))
		})
	}
}

func TestOwnActionInFlight(t *testing.T) {
	for _, stage := range []signalbox.Stage{signalbox.Claimed, signalbox.Started, signalbox.Doubt} {
		b := newBox(t)
		a := b.acted("")
		a.Stage = stage
		d := b.want(signalbox.Hold, "in_flight")
		b.readsAll(d, signalbox.ActionKey(a.ID))
	}
}
