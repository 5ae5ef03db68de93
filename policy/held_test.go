package policy

import (
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

// Who was paged by a step of the runbook is told that the next step is held, and
// by which guard: once for each, and not again while it is so.
func TestHeldAfterItsOwnPageIsTold(t *testing.T) {
	b := newBox(t, runbook(pageStep("backend"), throwTo("b")))
	d := b.want(signalbox.Act, "page")
	b.inc().Page = "page-1" // as the engine takes such a step
	a := b.acted("")
	a.Step, a.Index, a.Policy = *d.Step, 0, "failover"
	b.inc().Plan, b.inc().Next = d.Plan, 1
	b.see("replica-lag", "replica/b", signalbox.Breached, 9)
	d = b.want(signalbox.Escalate, "health")
	if d.Page == nil || !strings.Contains(d.Page.Why, "did not throw") || !strings.Contains(d.Page.Why, "replica/b is breached") || d.Told == "" {
		t.Fatalf("got %+v, told %q", d.Page, d.Told)
	}
	b.inc().Told = append(b.inc().Told, d.Told)
	b.want(signalbox.Hold, "health")
}
