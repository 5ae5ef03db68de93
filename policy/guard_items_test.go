package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// batch is a world in which a runbook would take ids now: at most two at once,
// and four in an hour.
func batch(t *testing.T, ids []string, taken ...string) *box {
	t.Helper()
	replay := tool("replay", "")
	replay.Flow = signalbox.Flow{Most: 2, Pace: signalbox.ItemPace{N: 4, Per: time.Hour}}
	b := newBox(t, runbook(replay))
	b.inc().Reading.Items = ids
	planned(b, Auto)
	step := b.inc().Plan.Steps[0]
	for len(taken) > 0 {
		step.Items = taken[:min(2, len(taken))]
		taken = taken[len(step.Items):]
		b.foresee(step, "")
		b.start(signalbox.Decision{Verdict: signalbox.Act, Plan: b.inc().Plan, Step: &step}, nil)
		b.later(10 * time.Second)
	}
	return b
}

// looked puts in what the preview of the next ids found.
func (b *box) looked(ids ...string) {
	step := b.inc().Plan.Steps[0]
	step.Items = ids
	b.foresee(step, "").Targets = []signalbox.Target{ownTarget(&step)}
}

// spentItems are ids that other incidents took, each at a time before now.
func (b *box) spentItems(ago ...time.Duration) {
	s := &signalbox.Spend{Scope: "items/replay"}
	for _, d := range ago {
		s.Times, s.Items = append(s.Times, b.w.Now.Add(-d)), append(s.Items, ItemKey("another"))
	}
	b.w.State.Budgets[s.Scope] = s
}

func TestGuardItemsPasses(t *testing.T) {
	ids := []string{"e1", "e2", "e3"}
	for name, c := range map[string]struct {
		change func(b *box)
		detail string
	}{
		"nothing is spent": {func(*box) {}, "2 ids, at most 2 at once; items/replay: 0 of 4 in 1h are spent"},
		"there is room for all": {func(b *box) {
			b.spentItems(time.Minute, time.Minute)
		}, "2 ids, at most 2 at once; items/replay: 2 of 4 in 1h are spent"},
		"what is spent has left the window": {func(b *box) {
			b.spentItems(time.Hour, time.Hour, time.Hour, time.Minute, time.Minute)
		}, "2 ids, at most 2 at once; items/replay: 2 of 4 in 1h are spent"},
		"no pace": {func(b *box) {
			b.inc().Plan.Steps[0].Pace = signalbox.ItemPace{}
			b.spentItems(time.Minute, time.Minute, time.Minute, time.Minute)
		}, "2 ids, at most 2 at once"},
		"as many are remembered as can be": {func(b *box) {
			b.spentItems(slices.Repeat([]time.Duration{2 * time.Hour}, LedgerMost-2)...)
		}, "2 ids, at most 2 at once; items/replay: 0 of 4 in 1h are spent"},
	} {
		t.Run(name, func(t *testing.T) {
			b := batch(t, ids)
			c.change(b)
			b.looked("e1", "e2")
			d := b.want(signalbox.Act, "items")
			if r := reason(d.Because, "items"); !r.Passed || r.Detail != c.detail {
				t.Errorf("got %q, want %q", r.Detail, c.detail)
			}
			b.readsAll(d, signalbox.BudgetKey("items/replay"))
		})
	}
	b := batch(t, ids, "e1", "e2")
	b.looked("e3")
	if d := b.want(signalbox.Act, "items"); !slices.Equal(d.Step.Items, []string{"e3"}) || !strings.HasPrefix(reason(d.Because, "items").Detail, "1 ids, at most 2 at once") {
		t.Errorf("after a batch: got %q:\n%s", d.Step.Items, tell(d))
	}
	b = newBox(t)
	if r := reason(b.want(signalbox.Act, "items").Because, "items"); r.Detail != "it takes no ids" {
		t.Errorf("a step without ids: got %q", r.Detail)
	}
}

func TestGuardItemsHolds(t *testing.T) {
	for name, c := range map[string]struct {
		taken  []string
		left   []string // what would be taken
		change func(b *box)
		want   signalbox.Verdict
		detail string
		lifts  string
		until  time.Duration // from now; 0: not looked at
	}{
		"no ids are named": {
			nil, nil, func(b *box) { b.inc().Reading.Items = nil },
			signalbox.Escalate, "its incident names no ids that were not taken already", "ids that its detector finds", 0,
		},
		"another incident took them": {
			nil, nil, func(b *box) {
				b.w.State.Budgets["items/replay"] = SpendItems(nil, "items/replay", []string{"e1", "e2", "e3", "e4"}, noon.Add(-24*time.Hour))
			},
			signalbox.Escalate, "its incident names no ids that were not taken already", "ids that its detector finds", 0,
		},
		"one too many for the pace": {
			nil,
			[]string{"e1", "e2"},
			func(b *box) { b.spentItems(50*time.Minute, 20*time.Minute, 10*time.Minute) },
			signalbox.Escalate, "2 ids, at most 2 at once; items/replay: 3 of 4 in 1h are spent, so many are free at 2026-03-01 12:10:00Z", "so many are free at 2026-03-01 12:10:00Z", 10 * time.Minute,
		},
		"the pace is spent": {
			nil,
			[]string{"e1", "e2"},
			func(b *box) { b.spentItems(50*time.Minute, 40*time.Minute, 20*time.Minute, 10*time.Minute) },
			signalbox.Escalate, "items/replay: 4 of 4 in 1h are spent", "so many are free at 2026-03-01 12:20:00Z", 20 * time.Minute,
		},
		"a batch before it spent the pace": {
			[]string{"e1", "e2"},
			[]string{"e3", "e4"},
			func(b *box) { b.spentItems(50*time.Minute, 20*time.Minute, 0, 0) },
			signalbox.Hold, "items/replay: 4 of 4 in 1h are spent", "so many are free at 2026-03-01 12:40:10Z", 40 * time.Minute,
		},
		"more than can be remembered": {
			nil,
			[]string{"e1", "e2"},
			func(b *box) {
				b.spentItems(slices.Repeat([]time.Duration{2 * time.Hour}, LedgerMost-1)...)
			},
			signalbox.Escalate, "9999 ids of it are remembered for 744h, at most 10000 can be", "the first is forgotten at 2026-04-01 10:00:00Z", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := batch(t, []string{"e1", "e2", "e3", "e4"}, c.taken...)
			c.change(b)
			b.looked(c.left...)
			d := b.blocked("items", c.detail)
			if d.Verdict != c.want {
				t.Errorf("got %s, want %s:\n%s", d.Verdict, c.want, tell(d))
			}
			if r := reason(d.Because, "items"); r.Lifts != c.lifts {
				t.Errorf("lifted by %q, want %q", r.Lifts, c.lifts)
			}
			b.readsAll(d, signalbox.BudgetKey("items/replay"))
			if c.until > 0 && (d.Until.IsZero() || d.Until.After(b.w.Now.Add(c.until))) {
				t.Errorf("looks again at %s, want in %s at the latest", d.Until, c.until)
			}
		})
	}
}

// What the runbook waits for right before its ids is asked for again with them,
// without a page: it may have ended since.
func TestGuardItemsWaitsAsItsRunbookDoes(t *testing.T) {
	wait := signalbox.Step{Kind: waitKind, Name: waitKind, Flow: signalbox.Flow{
		Within: 2 * time.Hour, Until: &signalbox.Wait{Witness: signalbox.Witness{Detector: "replica-lag", Subject: "replica/b"}, For: time.Minute},
	}}
	for name, c := range map[string]struct {
		before signalbox.Step // the ids
		change func(b *box)
		want   string // empty: they are taken
	}{
		"clear for long enough": {wait, func(*box) {}, ""},
		"breached":              {wait, func(b *box) { b.see("replica-lag", "replica/b", signalbox.Breached, 9) }, "its ids wait as step 1 does: replica-lag on replica/b is breached"},
		"unknown":               {wait, func(b *box) { b.see("replica-lag", "replica/b", signalbox.Unknown, 0) }, "its ids wait as step 1 does: replica-lag on replica/b"},
		"a condition that is false": {func() signalbox.Step {
			s := wait
			s.Until = &signalbox.Wait{If: `value > duration("1h")`}
			return s
		}(), func(*box) {}, "its ids wait as step 1 does: "},
		"a condition that is true": {func() signalbox.Step {
			s := wait
			s.Until = &signalbox.Wait{If: `value > duration("1s")`}
			return s
		}(), func(*box) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			replay := tool("replay", "")
			replay.Flow = signalbox.Flow{Most: 2}
			b := planned(newBox(t, runbook(c.before, replay)), Auto)
			b.inc().Reading.Items = []string{"e1"}
			b.inc().Marks = []signalbox.Mark{{Index: 0, State: signalbox.StepWaited, At: noon}}
			b.later(2 * time.Minute)
			b.inc().PlanAt = b.w.Now
			c.change(b)
			step := b.inc().Plan.Steps[1]
			step.Items = []string{"e1"}
			b.foresee(step, "").Targets = []signalbox.Target{ownTarget(&step)}
			if c.want == "" {
				b.want(signalbox.Act, "items")
				return
			}
			d := b.want(signalbox.Hold, "items")
			if r := reason(d.Because, "items"); !strings.Contains(r.Detail, c.want) {
				t.Errorf("got %q, want %q", r.Detail, c.want)
			}
		})
	}
}
