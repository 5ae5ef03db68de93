package policy

import (
	"maps"
	"slices"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// toldBox is a world in which a step tells now, or, with back, in which what it told
// is brought to its end; at is what it touches.
func toldBox(t *testing.T, back bool, step signalbox.Step) (b *box, at signalbox.Target) {
	t.Helper()
	b = planned(newBox(t, runbook(step)), Auto)
	b.inc().PlanAt = noon
	if back {
		told := telling("ops", signalbox.Flow{})
		told.To = "open"
		undo := told
		undo.To = "over"
		a := &signalbox.Action{
			ID: "act-t", Incident: incident, Policy: "failover", Step: told, Stage: signalbox.Done, EndedAt: noon,
			Forecast: signalbox.Forecast{Targets: []signalbox.Target{ownTarget(&told)}, Undo: &undo},
		}
		b.w.State.Actions[a.ID], b.inc().Actions = a, []signalbox.ActionID{a.ID}
		b.w.State.Targets[ownTarget(&told)] = &signalbox.TargetState{Target: ownTarget(&told), Thrown: a.ID, Last: a.ID}
		b.healed()
	}
	return b, ownTarget(&step)
}

// forecastOf is that of what is told next; it is asked for, if there is none.
func (b *box) forecastOf() *signalbox.Forecast {
	b.t.Helper()
	d := b.decide()
	if d.Verdict == signalbox.Preview {
		b.step(d)
		d = b.decide()
	}
	if d.Step == nil {
		b.t.Fatalf("nothing is told:\n%s", tell(d))
	}
	return b.w.Facts.Forecast(d.Step.Hash())
}

// The guards of a step that tells, and of bringing it to its end: each is in its
// list, has a world in which it alone forbids that, and in which it is done once
// that guard is made to pass.
func TestEveryTellingGuardIsNeeded(t *testing.T) {
	both := map[string]func(b *box, at signalbox.Target){
		"kill": func(b *box, _ signalbox.Target) { b.w.Facts.KillFile = "it is there" },
		"pause": func(b *box, at signalbox.Target) {
			b.w.State.Controls.Pauses = []signalbox.Control{{Kind: signalbox.Pause, Scope: "target/" + string(at), Who: "@sre"}}
		},
		"hand": func(b *box, at signalbox.Target) {
			b.w.State.Controls.Taken = []signalbox.Control{{Kind: signalbox.Take, Scope: "target/" + string(at), Who: "@be-lead"}}
		},
		"forecast": func(b *box, _ signalbox.Target) { b.forecastOf().Already = true },
		"in_flight": func(b *box, at signalbox.Target) {
			if b.w.State.Targets[at] == nil {
				b.w.State.Targets[at] = &signalbox.TargetState{Target: at}
			}
			b.w.State.Targets[at].Holder = "act-x"
		},
	}
	ahead := maps.Clone(both)
	ahead["autonomy"] = func(b *box, _ signalbox.Target) { b.h.rules["failover"].Autonomy = Shadow }
	ahead["condition"] = func(*box, signalbox.Target) {}
	ahead[attemptsGuard] = func(b *box, _ signalbox.Target) { b.failed(signalbox.Action{Step: telling("ops", signalbox.Flow{})}) }
	ahead[tellsGuard] = func(b *box, _ signalbox.Target) {
		b.w.State.Budgets["tells/ops"] = &signalbox.Spend{Times: slices.Repeat([]time.Time{noon}, tellsMost)}
	}
	back := maps.Clone(both)
	back[attemptsGuard] = func(b *box, _ signalbox.Target) { b.failed(signalbox.Action{Undoes: "act-t"}) }

	for name, list := range map[string]struct {
		guards  func(h *Handbook) []guard
		forbids map[string]func(b *box, at signalbox.Target)
		back    bool
		want    signalbox.Verdict
	}{
		"forward": {func(h *Handbook) []guard { return h.telling }, ahead, false, signalbox.Act},
		"back":    {func(h *Handbook) []guard { return h.tellingBack }, back, true, signalbox.Undo},
	} {
		for guard, forbid := range list.forbids {
			t.Run(name+", "+guard, func(t *testing.T) {
				step := telling("ops", signalbox.Flow{})
				if guard == "condition" {
					step.If = `value > duration("1h")`
				}
				b, at := toldBox(t, list.back, step)
				force := func() {
					for i := range list.guards(b.h) {
						if g := &list.guards(b.h)[i]; g.name == guard {
							g.ask = func(*look, *move) answer { return answer{effect: passes, detail: "forced"} }
							return
						}
					}
					t.Fatalf("guard %s is not in its list", guard)
				}
				if guard != "condition" {
					b.forecastOf()
					b.want(list.want, "")
				}
				forbid(b, at)
				if d := b.decide(); d.Verdict == list.want || d.Verdict == signalbox.Preview {
					t.Fatalf("told all the same:\n%s", tell(d))
				}
				force()
				b.forecastOf()
				b.want(list.want, "")
			})
		}
		b, _ := toldBox(t, list.back, telling("ops", signalbox.Flow{}))
		for _, g := range list.guards(b.h) {
			if list.forbids[g.name] == nil {
				t.Errorf("%s: guard %s has no world in which it alone forbids to tell", name, g.name)
			}
		}
	}
}

// failed adds an action that surely had no effect.
func (b *box) failed(a signalbox.Action) {
	a.ID, a.Incident, a.Policy, a.Stage, a.EndedAt, a.Reason = "act-f", incident, "failover", signalbox.Broken, noon, "refused"
	b.w.State.Actions[a.ID] = &a
	b.inc().Actions = append(b.inc().Actions, a.ID)
}
