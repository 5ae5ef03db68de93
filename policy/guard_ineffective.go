package policy

import (
	"fmt"
)

// guardIneffective stops automation on a target after actions that did not
// help, until a person releases it.
func guardIneffective(l *look, m *move) answer {
	if len(m.targets) == 0 {
		return answer{}
	}
	most := l.h.config.Ineffective
	worst := 0
	for _, t := range m.targets {
		l.readTarget(t)
		s := l.w.State.Targets[t]
		if s == nil {
			continue
		}
		if !s.StoppedAt.IsZero() || s.Ineffective >= most {
			return answer{effect: blocks, detail: fmt.Sprintf("automation on %s is stopped until it is released: %d actions did not help, at most %d", t, s.Ineffective, most), lifts: "signalboxctl release 'target/" + string(t) + "'"}
		}
		worst = max(worst, s.Ineffective)
	}
	return answer{effect: passes, detail: fmt.Sprintf("%d actions did not help, stops at %d", worst, most)}
}
