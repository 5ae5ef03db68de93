package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardOnset(t *testing.T) {
	cases := map[string]struct {
		change func(b *box)
		detail string
		gaveUp bool
	}{
		"well before it was active": {func(b *box) { b.inc().WellAt = noon.Add(-25 * time.Hour) }, "before policy failover was activated", true},
		"never seen well":           {func(b *box) { b.inc().WellAt = time.Time{} }, "never seen well", true},
		"not active":                {func(b *box) { delete(b.w.State.Policies, "failover") }, "not activated yet", false},
		"active as it was":          {func(b *box) { b.w.State.Policies["failover"].Hash = "old" }, "not activated yet", false},
		"active since never":        {func(b *box) { b.w.State.Policies["failover"].ActivatedAt = time.Time{} }, "not activated yet", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			c.change(b)
			d := b.want(signalbox.Escalate, "onset")
			if (d.GaveUp != "") != c.gaveUp || c.gaveUp && d.Page.Group != "onset/backend" {
				t.Errorf("got gave up %q, group %q", d.GaveUp, d.Page.Group)
			}
			b.inc().Plan, _ = b.h.rules["failover"].plan(nil) // and between two steps
			b.blocked("onset", c.detail)
		})
	}
}

func TestOnsetHoldsForPagesOfARunbookToo(t *testing.T) {
	p := failover()
	p.Runbook = []signalbox.Step{pageStep("backend"), throwTo("b")}
	b := newBox(t, p)
	b.want(signalbox.Act, "page")
	b.inc().WellAt = time.Time{}
	if d := b.want(signalbox.Escalate, "onset"); d.Page.Group != "onset/backend" {
		t.Errorf("got group %q", d.Page.Group)
	}
}

func TestOnsetAtTheVeryMoment(t *testing.T) {
	b := newBox(t)
	b.inc().WellAt = b.w.State.Policies["failover"].ActivatedAt
	b.want(signalbox.Act, "onset")
}

func TestEditedPolicyEndsItsRunbook(t *testing.T) {
	b := newBox(t)
	b.inc().Plan, _ = b.h.rules["failover"].plan(nil)
	b.inc().Plan.PolicyHash = "as it was"
	if d := b.blocked("onset", "edited or removed"); d.GaveUp == "" {
		t.Errorf("got %s, want that automation gives up", tell(d))
	}
}
