package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// replaying is a world in which a runbook waits until the destination is well,
// and then takes ids, two at once.
func replaying(t *testing.T, ids ...string) *box {
	t.Helper()
	wait := signalbox.Step{Kind: waitKind, Name: waitKind, Flow: signalbox.Flow{
		Within: 2 * time.Hour, Until: &signalbox.Wait{Witness: signalbox.Witness{Detector: "replica-lag", Subject: "replica/b"}, For: time.Minute},
	}}
	replay := tool("replay", "")
	replay.Flow = signalbox.Flow{Most: 2, Pace: signalbox.ItemPace{N: 4, Per: time.Hour}}
	b := newBox(t, runbook(wait, replay))
	b.inc().Reading.Items = ids
	return b
}

// well makes the incident's edge clear, as a detector of lines does: nothing is
// read of the series any more.
func (b *box) well() {
	items := b.inc().Reading.Items
	b.healed()
	b.inc().Reading.Items = items
	b.w.Facts.Drop("lag", "db/eu", "")
}

func (b *box) took() (ids []string) {
	for _, id := range b.inc().Actions {
		ids = append(ids, b.w.State.Actions[id].Step.Items...)
	}
	return ids
}

// What failed is as failed once no more fail: all ids are taken, each once, and
// then it is over.
func TestIdsAreTakenAlsoOnceItIsWell(t *testing.T) {
	ids := []string{"e1", "e2", "e3", "e4", "e5"}
	b := replaying(t, ids...)
	b.see("replica-lag", "replica/b", signalbox.Breached, 9) // the PSP is degraded
	b.step(b.want(signalbox.Advance, "step"))
	b.want(signalbox.Hold, "wait")
	b.later(10 * time.Minute)
	b.well()
	b.want(signalbox.Hold, "wait")
	b.see("replica-lag", "replica/b", signalbox.Clear, 0.01)
	if _, d := b.play(nil); d.Verdict != signalbox.Resolve {
		t.Fatalf("got:\n%s", tell(d))
	}
	if got := b.took(); !slices.Equal(got, ids) {
		t.Errorf("took %q", got)
	}
}

// Each batch waits anew for what the runbook waits for right before it.
func TestEachBatchOfIdsWaits(t *testing.T) {
	b := replaying(t, "e1", "e2", "e3")
	for len(b.took()) == 0 {
		if d := b.decide(); d.Verdict == signalbox.Act {
			b.start(d, nil)
		} else {
			b.step(d)
		}
	}
	b.see("replica-lag", "replica/b", signalbox.Breached, 9)
	b.inc().Actions = b.inc().Actions[:1]
	d := b.want(signalbox.Hold, "items")
	if r := reason(d.Because, "items"); !strings.Contains(r.Detail, "its ids wait as step 1 does: replica-lag on replica/b is breached") {
		t.Fatalf("got:\n%s", tell(d))
	}
	b.see("replica-lag", "replica/b", signalbox.Unknown, 0)
	b.want(signalbox.Hold, "items")
	b.see("replica-lag", "replica/b", signalbox.Clear, 0.01)
	b.later(time.Minute)
	b.play(nil)
	if got := b.took(); !slices.Equal(got, []string{"e1", "e2", "e3"}) {
		t.Errorf("took %q", got)
	}
}

// step does what a decision says that takes no switch.
func (b *box) step(d signalbox.Decision) {
	switch d.Verdict {
	case signalbox.Preview:
		undo := *d.Step
		b.w.Facts.PutForecast(d.Step.Hash(), &signalbox.Forecast{At: b.w.Now, Class: signalbox.ClassB, Targets: []signalbox.Target{ownTarget(d.Step)}, Undo: &undo})
	case signalbox.Advance:
		b.inc().Plan, b.inc().PlanAt = d.Plan, b.w.Now
		if d.Mark != nil {
			b.inc().Marks = append(b.inc().Marks, *d.Mark)
		}
	default:
		b.later(10 * time.Second)
	}
}

// Ids that are not taken within a day are told, and the incident ends. So are
// those that a person denied.
func TestIdsThatAreLeftAreTold(t *testing.T) {
	b := replaying(t, "e1", "e2", "e3")
	b.see("replica-lag", "replica/b", signalbox.Breached, 9)
	b.step(b.want(signalbox.Advance, "step"))
	b.want(signalbox.Hold, "wait")
	b.inc().Marks = []signalbox.Mark{{Index: 0, State: signalbox.StepWaited}}
	b.well()
	b.later(24*time.Hour - time.Second)
	b.want(signalbox.Hold, "items")
	b.later(time.Second)
	b.toldOfLeft("db/eu is well, and 3 of its ids were not taken by failover: e1, e2, e3")

	b = replaying(t, "e1", "e2", "e3")
	b.step(b.want(signalbox.Advance, "step"))
	b.well()
	b.later(time.Minute)
	b.step(b.want(signalbox.Advance, "step"))
	d := b.want(signalbox.Preview, "")
	b.step(d)
	b.w.Facts.Forecast(d.Step.Hash()).NeedsApproval = "it takes ids"
	asked := b.want(signalbox.Ask, "approval").Approval
	asked.State, asked.Who = signalbox.Denied, "ann"
	b.w.State.Approvals[asked.ID] = asked
	d = b.want(signalbox.Escalate, "gave_up")
	if !strings.Contains(d.Page.Why, "was denied by ann") {
		t.Fatalf("got:\n%s", tell(d))
	}
	b.paged(d)
	b.toldOfLeft("3 of its ids were not taken by failover: e1, e2, e3")
}

// toldOfLeft asserts that what is left is paged once, and that the incident then
// stays open until a person has acknowledged that page: what was acknowledged
// before it was told does not count.
func (b *box) toldOfLeft(why string) {
	b.t.Helper()
	d := b.want(signalbox.Escalate, "items")
	if !strings.Contains(d.Page.Why, why) || d.GaveUp != "" || d.Told == "" {
		b.t.Fatalf("got:\n%s", tell(d))
	}
	b.paged(d)
	b.inc().Told = append(b.inc().Told, d.Told)
	page := &signalbox.Page{Key: "page-1", At: b.w.Now, AckedAt: b.w.Now.Add(-time.Hour)}
	b.w.State.Pages["page-1"] = page
	for range 3 {
		b.readsAll(b.want(signalbox.Hold, "items"), signalbox.PageKey("page-1"))
		b.later(24 * time.Hour)
	}
	page.AckedAt = b.w.Now
	b.want(signalbox.Resolve, "items")
}

// Ids that an incident does not list are told like those that are left.
func TestIdsThatAreNotListedAreTold(t *testing.T) {
	b := replaying(t, "e1", "e2")
	b.step(b.want(signalbox.Advance, "step"))
	b.well()
	b.inc().Reading.Unlisted = 4500
	b.play(nil)
	if got := b.took(); !slices.Equal(got, []string{"e1", "e2"}) {
		t.Fatalf("took %q", got)
	}
	b.toldOfLeft("db/eu is well, and at least 4500 more are not listed, and failover takes none of them")
}

// What holds a runbook that takes ids keeps them for it, also where its series
// is well before it took any.
func TestIdsWaitForWhatHoldsTheirRunbook(t *testing.T) {
	replay := tool("replay", "")
	replay.Flow = signalbox.Flow{Most: 2, Pace: signalbox.ItemPace{N: 100, Per: time.Hour}}
	b := newBox(t, runbook(replay))
	b.inc().Reading.Items = []string{"e1", "e2", "e3"}
	b.w.State.Targets[ownTarget(&replay)] = &signalbox.TargetState{Target: ownTarget(&replay), Holder: "another"}
	b.step(b.want(signalbox.Advance, "step"))
	b.step(b.want(signalbox.Preview, ""))
	b.paged(b.want(signalbox.Escalate, "in_flight"))
	b.well()
	b.want(signalbox.Hold, "in_flight")
	b.w.State.Targets[ownTarget(&replay)].Holder = ""
	b.play(nil)
	if got := b.took(); !slices.Equal(got, []string{"e1", "e2", "e3"}) {
		t.Errorf("took %q", got)
	}
}

// A policy that only suggests takes no ids, and does not keep an incident open.
func TestIdsOfASuggestion(t *testing.T) {
	b := replaying(t, "e1")
	b.step(b.want(signalbox.Advance, "step"))
	b.inc().Plan.Autonomy = Suggest
	b.well()
	b.want(signalbox.Resolve, "")
}

// Each batch is approved by itself: those that were used count as no refusals.
func TestEachBatchOfIdsIsApproved(t *testing.T) {
	var ids []string
	for i := range 12 {
		ids = append(ids, fmt.Sprint("e", i))
	}
	replay := tool("replay", "")
	replay.Flow = signalbox.Flow{Most: 2, Pace: signalbox.ItemPace{N: 100, Per: time.Hour}}
	b := newBox(t, runbook(replay))
	b.inc().Reading.Items = ids
	for range 100 {
		d := b.decide()
		switch d.Verdict {
		case signalbox.Advance:
			b.step(d)
		case signalbox.Preview:
			b.step(d)
			b.w.Facts.Forecast(d.Step.Hash()).NeedsApproval = "it takes ids"
		case signalbox.Ask:
			d.Approval.State, d.Approval.Who, d.Approval.At = signalbox.Approved, "ann", b.w.Now
			b.w.State.Approvals[d.Approval.ID] = d.Approval
		case signalbox.Act:
			b.start(d, nil)
			used := b.w.State.Approvals[d.Uses]
			if used == nil || used.State != signalbox.Approved {
				t.Fatalf("taken without an approval of its own:\n%s", tell(d))
			}
			used.State = signalbox.Used
		case signalbox.Escalate:
			t.Fatalf("after %d ids:\n%s", len(b.took()), tell(d))
		default:
			b.later(20 * time.Second)
		}
		if len(b.took()) == len(ids) {
			return
		}
	}
	t.Errorf("took %q", b.took())
}

// Where the last batch failed, and none is left, the page of the runbook's end
// says of each batch what became of it.
func TestFailedIdsOfTheLastBatchAreTold(t *testing.T) {
	b := replaying(t, "e1", "e2", "e3")
	for n := 0; n < 2; {
		d := b.decide()
		if d.Verdict != signalbox.Act {
			b.step(d)
			continue
		}
		if n++; n == 1 {
			b.start(d, map[string]string{"replay": "done"})
			continue
		}
		b.start(d, map[string]string{"replay": "broken"})
		a := b.w.State.Actions["act-1"]
		a.Receipt.At, a.Reason = b.w.Now, "its Job failed"
	}
	d := b.want(signalbox.Escalate, "gave_up")
	want := "is at its end: replay: done; replay: ran and failed (which of e3 were done is not known, and none is taken again), its Job failed"
	if !strings.Contains(d.Page.Why, want) {
		t.Fatalf("got:\n%s", tell(d))
	}
}

// An action that ran and failed with ids is paged with which, whether or not it
// is well by then, and no other batch is taken.
func TestFailedIdsAreTold(t *testing.T) {
	for _, well := range []bool{false, true} {
		b := replaying(t, "e1", "e2", "e3")
		for len(b.took()) == 0 {
			if d := b.decide(); d.Verdict == signalbox.Act {
				b.start(d, map[string]string{"replay": "broken"})
			} else {
				b.step(d)
			}
		}
		a := b.w.State.Actions["act-0"]
		a.Receipt.At, a.Reason = b.w.Now, "its Job failed"
		if well {
			b.well()
		}
		d := b.want(signalbox.Escalate, "gave_up")
		if !strings.Contains(d.Page.Why, "ran and failed (which of e1, e2 were done is not known, and none is taken again): its Job failed; 1 of its ids were not taken by failover: e3") {
			t.Fatalf("got:\n%s", tell(d))
		}
		b.paged(d)
		if !well {
			b.well()
		}
		b.later(b.inc().Plan.AfterHealthy)
		b.toldOfLeft("db/eu is well, and 1 of its ids were not taken by failover: e3")
	}
}
