package policy

import (
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardCondition(t *testing.T) {
	cases := map[string]struct {
		condition, detail string
		change            func(b *box)
	}{
		"false":            {`destination.value < duration("5ms")`, "false: ", func(*box) {}},
		"of another place": {`destination.position == "c"`, "false: ", func(*box) {}},
		"label missing":    {`labels.zone == "x"`, "no such key: zone", func(*box) {}},
		"no value there": {`destination.value < duration("100ms")`, "no such attribute", func(b *box) {
			r := *b.w.Facts.Reading("replica-lag", "replica/b", "")
			r.HasValue = false
			b.w.Facts.Put(&r)
		}},
		"several there, one bad": {`destination.value < duration("100ms")`, "false: ", func(b *box) {
			r := *b.w.Facts.Reading("replica-lag", "replica/b", "")
			r.Series, r.Value = "replica/b 2", 0.2
			b.w.Facts.Put(&r)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := failover()
			p.Runbook[0].If = c.condition
			b := newBox(t, p)
			b.foresee(p.Runbook[0], "a")
			c.change(b)
			b.blocked("condition", c.detail)
		})
	}
	p := failover()
	p.Runbook[0].If = `destination.healthy && destination.value < duration("100ms") && value > duration("1s")`
	b := newBox(t, p)
	b.foresee(p.Runbook[0], "a")
	b.want(signalbox.Act, "condition")
}
