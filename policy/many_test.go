package policy

import (
	"fmt"
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

// A decision reads, and so its claim holds on to, only the policies that may be
// meant by their labels: with hundreds on one detector it still fits one
// transaction.
func TestManyPoliciesOnOneDetectorAreNotAllRead(t *testing.T) {
	var all []Policy
	for i := range 300 {
		p := failover()
		p.Name, p.Match = fmt.Sprintf("other-%d", i), map[string]string{"env": fmt.Sprintf("env-%d", i)}
		all = append(all, p)
	}
	b := newBox(t, append(all[:150:150], append([]Policy{failover()}, all[150:]...)...)...)
	d := b.want(signalbox.Act, "")
	if d.Plan.Policy != "failover" || len(d.Reads) > 40 {
		t.Errorf("got policy %s with %d keys read, want failover with at most 40", d.Plan.Policy, len(d.Reads))
	}
}
