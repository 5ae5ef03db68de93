package policy

import "fmt"

// guardFreeze stops every move in the times in which nothing is thrown.
func guardFreeze(l *look, _ *move) answer {
	frozen := answer{passes, "no freeze"}
	for _, f := range l.h.config.Freeze {
		l.at(f.From)
		if l.now.Before(f.From) || !l.now.Before(f.To) {
			continue
		}
		l.at(f.To)
		frozen = answer{blocks, fmt.Sprintf("freeze %s until %s", f.Name, clock(f.To))}
	}
	return frozen
}

// guardFreezeBack lets an action that did not help be taken back in a freeze
// too: the switch was thrown under it, and is better as it was.
func guardFreezeBack(l *look, m *move) answer {
	if l.ineffective(m.undoes) {
		return answer{passes, "no freeze holds back what did not help"}
	}
	return guardFreeze(l, m)
}
