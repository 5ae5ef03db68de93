package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

var next = signalbox.Flow{Then: signalbox.ThenNext}

// A runbook throws each switch once and takes it back once, in reverse,
// whatever commit its process is killed after.
func TestRunbooksAcrossKills(t *testing.T) {
	type story struct {
		steps   []signalbox.Step
		refuses string
		order   string // of a lane: none
		each    string
	}
	resumed := next
	resumed.Rescue, resumed.Resume = 1, true
	ended := next
	ended.Rescue = 1
	for name, s := range map[string]story{
		"chain": {
			steps: []signalbox.Step{on("one", next), on("two", next), on("three", signalbox.Flow{})},
			order: "one:b two:b three:b three:a two:a one:a", each: "one:b a, three:b a, two:b a",
		},
		"lane": {
			steps: []signalbox.Step{on("one", signalbox.Flow{Lane: 1}), on("two", signalbox.Flow{Lane: 1})},
			each:  "one:b a, three:, two:b a",
		},
		"rescue with a resume": {
			steps: []signalbox.Step{on("one", next), on("two", resumed), on("three", next)}, refuses: "one",
			order: "two:b three:b three:a two:a", each: "one:, three:b a, two:b a",
		},
		"rescue without a resume": {
			steps: []signalbox.Step{on("one", next), on("two", ended), on("three", next)}, refuses: "one",
			order: "two:b two:a", each: "one:, three:, two:b a",
		},
	} {
		t.Run(name, func(t *testing.T) {
			killedAnywhere(t, func(t *testing.T, n int) (reached bool) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, runs(s.steps...))
					w.quiet = true
					y := newYard(w, "one", "two", "three")
					if s.refuses != "" {
						y[s.refuses].refuses = true
					}
					if s.order == "" {
						y["one"].lag = 4 * time.Second
					}
					reached = w.ineffective(n)
					what := fmt.Sprintf("killed after commit %d", n)
					if s.order != "" {
						expect(t, what+": effects in time", y.order(), s.order)
					}
					expect(t, what+": effects", y.each(), s.each)
					pages := 0
					for _, p := range w.state().Pages {
						if len(p.Incidents) > 0 {
							pages++
						}
					}
					if pages != 1 {
						t.Errorf("%s: %d pages about the incident, want 1", what, pages)
					}
					y.audit(w)
				})
				return reached
			})
		})
	}
}

// The steps of a lane are in flight at the same time, and never two of one
// target.
func TestLaneOverlapsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runs(on("one", signalbox.Flow{Lane: 1}), on("two", signalbox.Flow{Lane: 1}), on("three", signalbox.Flow{})))
		y := newYard(w, "one", "two", "three")
		y["one"].lag, y["two"].lag = 8*time.Second, 5*time.Second
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(4 * time.Minute)
		one, two, three := y["one"], y["two"], y["three"]
		if !two.sends[0].at.Before(one.effects[0].at) || !one.sends[0].at.Before(two.effects[0].at) {
			t.Errorf("they do not overlap: one %v to %v, two %v to %v", one.sends[0].at, one.effects[0].at, two.sends[0].at, two.effects[0].at)
		}
		if len(three.sends) == 0 || three.sends[0].at.Before(one.effects[0].at.Add(time.Minute)) {
			t.Errorf("three must wait for what the whole lane did: %v, the lane was whole at %v", three.sends, one.effects[0].at)
		}
		y.audit(w)
	})
}

// A lane whose two switches turn out to be of one target is not run at once.
func TestLaneOfOneTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runs(on("one", signalbox.Flow{Lane: 1}), on("two", signalbox.Flow{Lane: 1})))
		y := newYard(w, "one", "two")
		y["one"].lag = 5 * time.Second
		y["two"].at = y["one"].at
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(30 * time.Second)
		expect(t, "effects", y.each(), "one:b, two:")
		y.audit(w)
	})
}

func TestWaitForAWitnessAndItsDeadline(t *testing.T) {
	wait := signalbox.Step{Kind: "wait", Name: "wait", Spec: json.RawMessage(`{}`), Flow: signalbox.Flow{
		Within: 3 * time.Minute, Until: &signalbox.Wait{Witness: signalbox.Witness{Detector: replicaLag, Subject: "replica/b"}, For: time.Minute},
	}}
	for name, c := range map[string]struct {
		well time.Duration // when the witness is well
		want string
	}{
		"it comes":               {30 * time.Second, "one:b"},
		"it is well too briefly": {150 * time.Second, ""},
		"it never comes":         {time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, runs(wait, on("one", next)))
				y := newYard(w, "one")
				w.make(replicaLag, "replica/b", 5)
				w.start()
				w.after(20 * time.Second)
				w.make(readsLag, "db/eu", 5)
				w.after(min(c.well, 5*time.Minute))
				w.make(replicaLag, "replica/b", 0)
				expect(t, "effects before", y.order(), "")
				w.after(2 * time.Minute)
				expect(t, "effects", y.order(), c.want)
				for _, inc := range w.state().Incidents {
					if inc.Reading.Detector == readsLag && (len(inc.Marks) != 1 || (inc.Marks[0].State == signalbox.StepWaited) != (c.want != "")) {
						t.Errorf("marks: %+v", inc.Marks)
					}
				}
				y.audit(w)
			})
		})
	}
}

// A step that is late in flight is followed and paged once; its end counts.
func TestLateStepIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := next
		late.Within = 30 * time.Second
		w := newWorld(t, runs(on("one", late), on("two", next)))
		y := newYard(w, "one", "two")
		y["one"].dies = true // the effect comes, and then nothing is reached for a time
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(70 * time.Second)
		expect(t, "effects while it is in flight", y.order(), "one:b")
		expect(t, "pages", w.pager.log(), "trigger")
		y["one"].with(func() { y["one"].down = false })
		w.after(40 * time.Second)
		expect(t, "effects after its late end", y.order(), "one:b two:b")
		triggers := map[string]bool{}
		w.pager.mu.Lock()
		for _, e := range w.pager.events {
			triggers[e.key] = true
		}
		w.pager.mu.Unlock()
		if len(triggers) != 1 {
			t.Errorf("pages: %v", triggers)
		}
		y.audit(w)
	})
}

// A plan that was stored before runbooks had chains and lanes goes on.
func TestPlanOfTheOldShapeGoesOn(t *testing.T) {
	old := `{"policy":"failover","policy_hash":"x","steps":[{"kind":"endpoint","name":"one","to":"b","spec":{},"undo":"auto"},
		{"kind":"page","name":"devops","spec":{}}],"verify_within":60000000000,"after_healthy":0,"cooldown":0}`
	var plan signalbox.Plan
	if err := json.Unmarshal([]byte(old), &plan); err != nil {
		t.Fatal(err)
	}
	for i, s := range plan.Steps {
		if s.Lane != 0 || s.Rescue != 0 || s.Then != signalbox.ThenVerify || s.Else != signalbox.ElseHold || s.Within != 0 || s.Until != nil || s.Most != 0 {
			t.Errorf("step %d: %+v", i, s.Flow)
		}
	}
	again, err := json.Marshal(plan.Steps[0])
	if err != nil || strings.Contains(string(again), "lane") || strings.Contains(string(again), "pace") {
		t.Errorf("a step without flow must be written as before: %s, %v", again, err)
	}
}

// All is well before the second step of a chain was approved: it is not run, and
// its owner is told so, on the page, in what explains the incident, and at its end.
func TestChainThatIsCutShortIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := on("one", next), on("two", signalbox.Flow{})
		one.Undo, two.Undo = signalbox.UndoNever, signalbox.UndoNever
		w := newWorld(t, runs(one, two))
		y := newYard(w, "one", "two")
		y["two"].down = true // it can't be looked at yet
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(15 * time.Second)
		expect(t, "effects while it is ill", y.each(), "one:b, two:")
		w.make(readsLag, "db/eu", 0)
		y["two"].with(func() { y["two"].down = false })
		w.after(time.Minute)
		const said = "not run: two to b, since db/eu was well before its turn"
		if e := w.pager.last(); e.event != signalbox.PageTrigger || !strings.Contains(e.body.Summary, said) {
			t.Errorf("the page: %s %q", e.event, e.body.Summary)
		}
		w.after(5 * time.Minute) // after_healthy is over
		for _, inc := range w.state().Incidents {
			if !inc.Closed() || !strings.Contains(inc.EndReason, said) {
				t.Errorf("its end: %q, %s", inc.End, inc.EndReason)
			}
		}
		expect(t, "effects", y.each(), "one:b, two:")
		y.audit(w)
	})
}
