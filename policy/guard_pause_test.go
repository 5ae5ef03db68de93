package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardPause(t *testing.T) {
	for _, scope := range []string{"all", "policy/failover", "owner/backend", "target/" + string(target)} {
		t.Run(scope, func(t *testing.T) {
			b := newBox(t)
			end := noon.Add(10 * time.Minute)
			b.w.State.Controls.Pauses = []signalbox.Control{{Kind: signalbox.Pause, Scope: scope, Who: "ann", Until: end}}
			if d := b.blocked("pause", scope+" is paused by ann until"); d.Until.After(end) || d.Until.IsZero() {
				t.Errorf("due again at %s, want %s or before", d.Until, end)
			}
			b.later(10 * time.Minute)
			b.foresee(throwTo("b"), "a")
			b.want(signalbox.Act, "pause")
			b.w.State.Controls.Pauses[0].Until = time.Time{}
			b.blocked("pause", "until it is lifted")
		})
	}
	for _, scope := range []string{"policy/other", "owner/payments", "target/other", "incident/" + string(incident)} {
		b := newBox(t)
		b.w.State.Controls.Pauses = []signalbox.Control{{Kind: signalbox.Pause, Scope: scope}}
		b.want(signalbox.Act, "pause")
	}
}

// What only lifts a limit goes back under a pause and without budget; the kill
// switch and everything else hold it as they hold any other.
func TestPauseLetsALiftedLimitGoBack(t *testing.T) {
	for _, c := range []struct {
		lifts   bool
		control string
		want    signalbox.Verdict
		reason  string
	}{
		{true, "pause", signalbox.Undo, ""},
		{false, "pause", signalbox.Hold, "pause"},
		{true, "kill", signalbox.Hold, "kill"},
		{false, "kill", signalbox.Hold, "kill"},
		{true, "take", signalbox.Hold, "hand"},
	} {
		b := newBox(t)
		a := b.acted(signalbox.Recovered)
		a.Forecast.Undo.Lifts = c.lifts
		b.healed()
		b.later(40 * time.Minute)
		b.w.State.Budgets[BudgetAll] = &signalbox.Spend{Times: make([]time.Time, 100)}
		for i := range b.w.State.Budgets[BudgetAll].Times {
			b.w.State.Budgets[BudgetAll].Times[i] = b.w.Now
		}
		b.foresee(*a.Forecast.Undo, "b")
		b.want(signalbox.Undo, "")
		control := signalbox.Control{Scope: "all", Who: "@be-lead", Reason: "looking"}
		switch c.control {
		case "pause":
			b.w.State.Controls.Pauses = []signalbox.Control{control}
		case "take":
			b.w.State.Controls.Taken = []signalbox.Control{control}
		default:
			b.w.State.Controls.Killed = &control
		}
		d := b.want(c.want, "")
		if r := reason(d.Because, c.reason); c.reason != "" && (r == nil || r.Passed) {
			t.Errorf("lifts %t under %s: not held by %s:\n%s", c.lifts, c.control, c.reason, tell(d))
		}
	}
}

// A step forward is never exempt, whatever it says of itself.
func TestPauseHoldsALiftingStepForward(t *testing.T) {
	p := failover()
	p.Runbook[0].Lifts = true
	b := newBox(t, p)
	b.foresee(p.Runbook[0], "a")
	b.want(signalbox.Act, "")
	b.w.State.Controls.Pauses = []signalbox.Control{{Kind: signalbox.Pause, Scope: "all", Who: "@be-lead"}}
	b.blocked("pause", "all is paused by @be-lead")
}

func TestLiftsIsOfTheStepsHash(t *testing.T) {
	plain, lifting := throwTo("a"), throwTo("a")
	lifting.Lifts = true
	if plain.Hash() == lifting.Hash() {
		t.Error("a step that lifts has the hash of one that does not")
	}
}
