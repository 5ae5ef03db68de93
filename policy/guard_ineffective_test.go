package policy

import (
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardIneffective(t *testing.T) {
	cases := map[string]func(s *signalbox.TargetState){
		"stopped":     func(s *signalbox.TargetState) { s.StoppedAt = noon },
		"twice":       func(s *signalbox.TargetState) { s.Ineffective = 2 },
		"more":        func(s *signalbox.TargetState) { s.Ineffective = 3 },
		"after a few": func(s *signalbox.TargetState) { s.Ineffective, s.StoppedAt = 1, noon },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			change(b.touch())
			b.paged(b.blocked("ineffective", "stopped until it is released"))
			b.want(signalbox.Hold, "ineffective")
			*b.touch() = signalbox.TargetState{Target: target, Ineffective: 1} // released, and one more
			b.want(signalbox.Act, "ineffective")
		})
	}
	c := configOf(failover())
	c.Ineffective = 1
	b := newBoxOf(t, c)
	b.touch().Ineffective = 1
	b.blocked("ineffective", "at most 1")
}
