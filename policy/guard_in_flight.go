package policy

import (
	"fmt"

	signalbox "github.com/signalbox/signalbox"
)

// guardInFlight lets one action at a time touch a target, whichever incident it
// belongs to. An action under way ends soon, so it waits; one in doubt may stay
// so, and blocks.
func guardInFlight(l *look, m *move) answer {
	if len(m.targets) == 0 {
		return answer{}
	}
	for _, t := range m.targets {
		l.readTarget(t)
		s := l.w.State.Targets[t]
		if s == nil || s.Holder == "" {
			continue
		}
		l.read(signalbox.ActionKey(s.Holder))
		a := l.w.State.Actions[s.Holder]
		if a == nil || a.Stage == signalbox.Doubt {
			return answer{effect: blocks, detail: fmt.Sprintf("%s is held by action %s, whose effect is in doubt", t, s.Holder)}
		}
		return answer{effect: waits, detail: fmt.Sprintf("%s is held by action %s since %s", t, s.Holder, clock(a.ClaimedAt))}
	}
	return answer{effect: passes, detail: "nothing touches " + joinTargets(m.targets)}
}
