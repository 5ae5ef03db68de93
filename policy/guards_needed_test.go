package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// forbids makes, for each guard of a step forward, a world in which it alone
// forbids the step.
var forbids = map[string]func(t *testing.T) *box{
	"autonomy": func(t *testing.T) *box { // the plan began in auto, and its policy is in shadow by now
		p := failover()
		p.Autonomy = Shadow
		return planned(newBox(t, p), Auto)
	},
	"freshness": func(t *testing.T) *box {
		b := newBox(t)
		b.w.Now = noon.Add(61 * time.Second)
		for _, position := range []string{"a", "b", "c"} {
			b.see("replica-lag", "replica/"+position, signalbox.Clear, 0.01)
		}
		b.foresee(throwTo("b"), "a")
		return planned(b, Auto)
	},
	"silence": func(t *testing.T) *box {
		b := newBox(t)
		b.change(func(r *signalbox.Reading) { r.Suppressed = "silence 42" })
		return planned(b, Auto)
	},
	"needs": func(t *testing.T) *box {
		p := failover()
		p.When, p.Needs, p.Witnesses = "", 2, []signalbox.Witness{{Detector: "errors"}}
		b := newBox(t, p)
		b.inc().OpenedAt = noon.Add(-time.Hour)
		return b
	},
	"onset": func(t *testing.T) *box {
		b := newBox(t)
		b.inc().WellAt = time.Time{}
		return planned(b, Auto)
	},
	attemptsGuard: func(t *testing.T) *box {
		b := planned(newBox(t), Auto)
		a := &signalbox.Action{ID: "act-x", Incident: incident, Policy: "failover", Step: throwTo("b"), Stage: signalbox.Broken, EndedAt: noon, Reason: "refused"}
		b.w.State.Actions[a.ID] = a
		b.inc().Actions = []signalbox.ActionID{a.ID}
		return b
	},
	"flapping": func(t *testing.T) *box {
		b := newBox(t)
		for range 9 {
			b.inc().Recent = append(b.inc().Recent, noon)
		}
		return b
	},
	"kill": func(t *testing.T) *box { b := newBox(t); b.w.Facts.KillFile = "it is there"; return b },
	"pause": func(t *testing.T) *box {
		b := newBox(t)
		b.w.State.Controls.Pauses = []signalbox.Control{{Kind: signalbox.Pause, Scope: "target/" + string(target), Who: "@sre"}}
		return b
	},
	"hand": func(t *testing.T) *box { b := newBox(t); b.touch().Hand = &signalbox.Hand{At: noon}; return b },
	"freeze": func(t *testing.T) *box {
		c := configOf(failover())
		c.Freeze = []Freeze{{Name: "x", From: noon, To: noon.Add(time.Hour)}}
		return newBoxOf(t, c)
	},
	"change": func(t *testing.T) *box {
		c := configOf(failover())
		c.Changes = []Change{{Name: "deploy", Detector: "alerts"}}
		return newBoxOf(t, c)
	},
	"dependency": func(t *testing.T) *box {
		b := leaning(t, Dependency{Subject: "db/*", On: []string{"power"}})
		b.ill("power", "p1")
		return b
	},
	"conflict": func(t *testing.T) *box {
		b := newBox(t)
		b.w.Facts.PutWant("00", &signalbox.Want{Switch: "read-endpoint", To: "c", Policy: "other", Autonomy: Auto})
		return b
	},
	"condition": func(t *testing.T) *box {
		p := failover()
		p.Runbook[0].If = "value > duration('1h')"
		b := newBox(t, p)
		b.foresee(p.Runbook[0], "a")
		return b
	},
	"items": func(t *testing.T) *box {
		p := failover()
		p.Runbook[0].Most = 2
		b := planned(newBox(t, p), Auto)
		b.foresee(p.Runbook[0], "a")
		return b
	},
	"lane": func(t *testing.T) *box {
		b := newBox(t, laneOf(t))
		b.inc().PlanAt = noon
		a := b.acted("")
		a.Stage = signalbox.Started
		b.touch().Thrown, b.touch().Acted = "", nil
		b.foresee(b.inc().Plan.Steps[1], "a")
		return b
	},
	"health": func(t *testing.T) *box {
		b := newBox(t)
		b.see("replica-lag", "replica/b", signalbox.Breached, 5)
		return b
	},
	"blast": func(t *testing.T) *box {
		b := blastBox(t, 3, 1, Blast{Share: 0.2, Floor: 1})
		b.touched(1, func(s *signalbox.TargetState) { s.Thrown = "act-x" })
		return b
	},
	"budget": func(t *testing.T) *box {
		b := newBox(t)
		b.w.State.Budgets["policy/failover"] = &signalbox.Spend{Times: []time.Time{noon, noon, noon}}
		return b
	},
	"forecast": func(t *testing.T) *box {
		b := newBox(t)
		b.foresee(throwTo("b"), "a").Refused = "no permission"
		return b
	},
	"in_flight": func(t *testing.T) *box { b := newBox(t); b.touch().Holder = "act-x"; return b },
	"cooldown":  func(t *testing.T) *box { b := newBox(t); b.touch().Acted = []time.Time{noon}; return b },
	"restored": func(t *testing.T) *box {
		b := newBox(t)
		b.w.State.Store.Confirmed = &signalbox.Control{At: noon.Add(-time.Hour)}
		return b
	},
	"ineffective": func(t *testing.T) *box { b := newBox(t); b.touch().StoppedAt = noon; return b },
}

// planned gives the incident the plan of its policy, as if it were under way.
func planned(b *box, autonomy Autonomy) *box {
	b.t.Helper()
	plan, err := b.h.rules["failover"].plan(b.inc().Reading.Labels)
	if err != nil {
		b.t.Fatal(err)
	}
	plan.Autonomy = autonomy
	b.inc().Plan = plan
	return b
}

// No guard is there in vain: each has a world in which it alone forbids the
// step, and in which the step is taken once that guard is made to pass.
func TestEveryGuardIsNeeded(t *testing.T) {
	for _, g := range forwardGuards() {
		t.Run(g.name, func(t *testing.T) {
			make := forbids[g.name]
			if make == nil {
				t.Fatalf("guard %s has no world in which it alone forbids a step", g.name)
			}
			b := make(t)
			b.blocked(g.name, "")
		})
	}
}

// The same for the guards of a way back.
func TestEveryBackwardGuardIsNeeded(t *testing.T) {
	back := map[string]func(b *box, a *signalbox.Action){
		attemptsGuard: func(b *box, a *signalbox.Action) {
			u := &signalbox.Action{ID: "act-u", Incident: incident, Undoes: a.ID, Step: *a.Forecast.Undo, Stage: signalbox.Broken, EndedAt: b.w.Now}
			b.w.State.Actions[u.ID] = u
			b.inc().Actions = append(b.inc().Actions, u.ID)
		},
		"kill": func(b *box, _ *signalbox.Action) { b.w.Facts.KillFile = "it is there" },
		"pause": func(b *box, _ *signalbox.Action) {
			b.w.State.Controls.Pauses = []signalbox.Control{{Kind: signalbox.Pause, Scope: "all", Who: "@sre"}}
		},
		"hand":      func(b *box, _ *signalbox.Action) { b.touch().Hand = &signalbox.Hand{At: noon} },
		"freeze":    func(*box, *signalbox.Action) {},
		"health":    func(b *box, _ *signalbox.Action) { b.see("replica-lag", "replica/a", signalbox.Unknown, 0) },
		"forecast":  func(b *box, a *signalbox.Action) { b.foresee(*a.Forecast.Undo, "b").Refused = "no permission" },
		"in_flight": func(b *box, _ *signalbox.Action) { b.touch().Holder = "act-x" },
	}
	for i, g := range backwardGuards() {
		t.Run(g.name, func(t *testing.T) {
			c := configOf(failover())
			if g.name == "freeze" {
				c.Freeze = []Freeze{{Name: "x", From: noon.Add(20 * time.Minute), To: noon.Add(time.Hour)}}
			}
			b := newBoxOf(t, c)
			a := b.acted(signalbox.Recovered)
			b.healed()
			b.later(40 * time.Minute)
			b.foresee(*a.Forecast.Undo, "b")
			if g.name != "freeze" {
				b.want(signalbox.Undo, "")
			}
			forbid := back[g.name]
			if forbid == nil {
				t.Fatalf("guard %s has no world in which it alone forbids a way back", g.name)
			}
			forbid(b, a)
			if d := b.decide(); d.Verdict == signalbox.Undo {
				t.Fatalf("taken back all the same:\n%s", tell(d))
			}
			if g.name == "health" || g.name == "forecast" { // asked for beside the guard too
				return
			}
			b.h.backward[i].ask = func(*look, *move) answer { return answer{effect: passes, detail: "forced"} }
			b.want(signalbox.Undo, "")
		})
	}
}
