package policy

import (
	"fmt"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// blastBox is a world of n databases in the incident's failure domain, of which
// some are ill, and as many in another one.
func blastBox(t *testing.T, n, ill int, blast Blast) *box {
	c := configOf(failover())
	blast.Name, blast.Detectors, blast.By = "databases", []string{"lag"}, []string{"cluster"}
	c.Blast = []Blast{blast}
	b := newBoxOf(t, c)
	b.h.Counted(b.w.Facts.CountBy)
	for i := range n - 1 { // with the incident's own
		condition := signalbox.Clear
		if i < ill-1 {
			condition = signalbox.Breached
		}
		b.see("lag", fmt.Sprintf("db/eu-%d", i), condition, 2)
		r := b.see("lag", fmt.Sprintf("db/us-%d", i), signalbox.Breached, 2)
		r.Labels = map[string]string{"cluster": "us"}
		b.w.Facts.Replace(&r)
	}
	return b
}

// touched puts targets in the incident's failure domain.
func (b *box) touched(n int, state func(*signalbox.TargetState)) {
	for i := range n {
		t := signalbox.Target(fmt.Sprintf("pod %d", i))
		s := &signalbox.TargetState{Target: t, Domains: []string{"blast/databases/eu"}}
		state(s)
		b.w.State.PutTarget(s)
	}
}

func TestGuardBlast(t *testing.T) {
	thrown := func(s *signalbox.TargetState) { s.Thrown = "act-x" }
	lately := func(s *signalbox.TargetState) { s.Acted = []time.Time{noon.Add(-59 * time.Minute)} }
	t.Run("share", func(t *testing.T) {
		b := blastBox(t, 20, 1, Blast{Share: 0.2, Floor: 1})
		b.touched(3, thrown)
		d := b.want(signalbox.Act, "blast")
		b.spendsIn(d, "blast/databases/eu")
		b.touched(4, lately)
		b.blocked("blast", "blast/databases/eu: 5 touched at once with this one, at most 4 (20% of 20, at least 1)")
	})
	t.Run("floor lets small wholes work", func(t *testing.T) {
		b := blastBox(t, 3, 1, Blast{Share: 0.2, Floor: 1})
		b.want(signalbox.Act, "blast")
		b.touched(1, func(s *signalbox.TargetState) { s.Holder = "act-x" })
		b.blocked("blast", "2 touched at once with this one, at most 1")
	})
	t.Run("long ago, or of another domain", func(t *testing.T) {
		b := blastBox(t, 3, 1, Blast{Share: 0.2, Floor: 1})
		b.touched(2, func(s *signalbox.TargetState) { s.Acted = []time.Time{noon.Add(-61 * time.Minute)} })
		b.want(signalbox.Act, "blast")
		b.touched(2, func(s *signalbox.TargetState) { s.Thrown, s.Domains = "act-x", []string{"blast/databases/us"} })
		b.want(signalbox.Act, "blast")
	})
	t.Run("mass", func(t *testing.T) {
		b := blastBox(t, 20, 10, Blast{Share: 1, Floor: 1, Mass: 0.5})
		b.want(signalbox.Act, "blast")
		b = blastBox(t, 20, 11, Blast{Share: 1, Floor: 1, Mass: 0.5})
		d := b.blocked("blast", "11 of 20 subjects are ill at once, more than 50%")
		if d.GaveUp == "" {
			t.Errorf("automation goes on:\n%s", tell(d))
		}
	})
	t.Run("mass counts above the floor only", func(t *testing.T) {
		blastBox(t, 1, 1, Blast{Share: 1, Floor: 1, Mass: 0.5}).want(signalbox.Act, "blast")
	})
	t.Run("what can't be seen counts for nothing", func(t *testing.T) {
		b := blastBox(t, 20, 1, Blast{Share: 0.5, Floor: 1})
		for i := range 12 {
			b.see("lag", fmt.Sprintf("db/eu-%d", i), signalbox.Unknown, 0)
		}
		b.want(signalbox.Act, "blast")
		b.touched(1, thrown)
		b.blocked("blast", "12 of 20 can't be seen, so that only the floor counts")
	})
	t.Run("without a census", func(t *testing.T) {
		c := configOf(failover())
		c.Blast = []Blast{{Name: "databases", Detectors: []string{"lag"}, By: []string{"cluster"}, Share: 1, Floor: 1}}
		b := newBoxOf(t, c)
		b.touched(1, thrown)
		b.blocked("blast", "only the floor counts")
	})
}

// spendsIn asserts that an action counts in a scope.
func (b *box) spendsIn(d signalbox.Decision, scope string) {
	b.t.Helper()
	for _, s := range d.Spends {
		if s == scope {
			return
		}
	}
	b.t.Errorf("%s is not among %v", scope, d.Spends)
}
