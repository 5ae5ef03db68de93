package policy

import (
	"fmt"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// broke adds attempts at the first step that had no effect; the last one ended
// ago.
func (b *box) broke(n int, ago time.Duration) {
	b.t.Helper()
	for i := range n {
		a := b.acted("")
		a.Stage, a.Reason, a.EndedAt = signalbox.Broken, "sealed", b.w.Now.Add(-ago-time.Duration(n-1-i)*time.Minute)
		b.inc().Next = 0
		s := b.touch()
		s.Thrown, s.Acted = "", nil
	}
}

func TestGuardAttempts(t *testing.T) {
	for _, c := range []struct {
		n    int
		ago  time.Duration
		want signalbox.Verdict
	}{
		{1, time.Second, signalbox.Hold},
		{1, 3 * time.Second, signalbox.Act},
		{2, 9 * time.Second, signalbox.Hold},
		{2, 11 * time.Second, signalbox.Act},
		{3, time.Hour, signalbox.Escalate},
	} {
		t.Run(fmt.Sprintf("%d, %s ago", c.n, c.ago), func(t *testing.T) {
			b := newBox(t)
			b.broke(c.n, c.ago)
			d := b.want(c.want, "")
			if c.want == signalbox.Hold && !d.Until.After(b.w.Now) {
				t.Errorf("it must be asked again when the pause ends, got %v", d.Until)
			}
			if c.want == signalbox.Escalate && d.GaveUp == "" {
				t.Error("automation must give up")
			}
		})
	}
}

// Who releases it has mended what refused it: it is tried anew, and counted anew.
func TestAttemptsAreCountedAnewAfterARelease(t *testing.T) {
	b := newBox(t)
	b.broke(3, time.Hour)
	b.want(signalbox.Escalate, attemptsGuard)
	b.inc().ReleasedAt = b.w.Now.Add(-30 * time.Minute)
	b.want(signalbox.Act, attemptsGuard)
	b.broke(3, 0)
	b.want(signalbox.Escalate, attemptsGuard)
}

// What ran and failed is not made again, however long ago: automation gives up,
// or goes on where the runbook says what to do then.
func TestWhatRanAndFailedIsNotMadeAgain(t *testing.T) {
	b := newBox(t)
	b.broke(1, time.Hour)
	b.w.State.Actions[b.inc().Actions[0]].Receipt = signalbox.Receipt{At: b.w.Now, Detail: "run 7 ended with failure"}
	d := b.want(signalbox.Escalate, attemptsGuard)
	if r := reason(d.Because, attemptsGuard); d.GaveUp == "" || r.Passed || r.Detail != "it ran and failed: sealed" {
		t.Errorf("got %s", tell(d))
	}

	p := failover()
	rescue := pageStep("devops")
	rescue.Rescue = 1
	p.Runbook = append(p.Runbook, rescue)
	b = newBox(t, p)
	b.broke(1, time.Hour)
	b.w.State.Actions[b.inc().Actions[0]].Receipt = signalbox.Receipt{At: b.w.Now}
	if d := b.want(signalbox.Advance, "step"); d.Mark == nil || d.Mark.State != signalbox.StepFailed || d.Mark.Index != 0 {
		t.Errorf("got %s", tell(d))
	}
}

// It is paged also where all is well by then: the smoke tests after a rollback.
func TestWhatRanAndFailedIsPagedWhereAllIsWell(t *testing.T) {
	for name, end := range map[string]func(b *box, page *signalbox.Page){
		"acknowledged":     func(b *box, page *signalbox.Page) { page.AckedAt = b.w.Now },
		"after_healthy on": func(b *box, _ *signalbox.Page) { b.later(30 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.broke(1, time.Second)
			b.w.State.Actions[b.inc().Actions[0]].Receipt = signalbox.Receipt{At: b.w.Now}
			b.healed()
			d := b.want(signalbox.Escalate, "gave_up")
			b.paged(d)
			page := &signalbox.Page{Key: "page-1"}
			b.w.State.Pages["page-1"] = page
			b.readsAll(b.want(signalbox.Hold, "ran"), signalbox.PageKey("page-1"))
			end(b, page)
			b.want(signalbox.Resolve, "")
		})
	}
}
