package policy

import (
	"fmt"

	signalbox "github.com/signalbox/signalbox"
)

// guardPause stops every move in the scope of a pause: all, its policy, the
// owner of the incident, or a target that it touches. Taking back what only
// limits goes on: a pause must not keep a throttle in force.
func guardPause(l *look, m *move) answer {
	l.read(signalbox.ControlsKey)
	paused := answer{effect: passes, detail: "not paused"}
	for _, p := range l.w.State.Controls.Pauses {
		if !l.pauses(p, m) || !p.Until.IsZero() && !l.now.Before(p.Until) {
			continue
		}
		until := "until it is lifted"
		if !p.Until.IsZero() {
			until = "until " + clock(p.Until)
			l.at(p.Until)
		}
		if paused.effect == passes {
			paused = answer{effect: blocks, detail: fmt.Sprintf("%s is paused by %s %s: %s", p.Scope, p.Who, until, p.Reason), lifts: "signalboxctl resume " + p.Scope}
		}
	}
	if paused.effect != passes && m.undoes != nil && m.step.Lifts {
		return answer{effect: passes, detail: paused.detail + "; it only lifts a limit, which a pause does not hold"}
	}
	return paused
}

func (l *look) pauses(p signalbox.Control, m *move) bool {
	switch p.Scope {
	case "all", "policy/" + m.policy(), "owner/" + l.owner():
		return true
	}
	for _, t := range m.targets {
		if p.Scope == "target/"+string(t) {
			return true
		}
	}
	return false
}

// policy names the policy that the move belongs to.
func (m *move) policy() string {
	if m.undoes != nil {
		return m.undoes.Policy
	}
	return m.plan.Policy
}
