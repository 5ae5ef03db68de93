package policy

import (
	"fmt"
)

// guardOnset lets a policy act only on what broke while it was in force: at a
// first start, or under a new or edited policy, what is already broken is paged.
func guardOnset(l *look, m *move) answer {
	name := m.plan.Policy
	l.readPolicy(name)
	if m.rule == nil || m.rule.hash != m.plan.PolicyHash {
		return answer{effect: stops, detail: fmt.Sprintf("policy %s was edited or removed since this runbook began", name)}
	}
	s := l.w.State.Policies[name]
	if s == nil || s.Hash != m.rule.hash || s.ActivatedAt.IsZero() {
		return answer{effect: blocks, detail: fmt.Sprintf("policy %s, as it is configured, is not activated yet", name)}
	}
	switch well := l.inc.WellAt; {
	case well.IsZero():
		return answer{effect: stops, detail: fmt.Sprintf("it was never seen well, so it may be older than policy %s, active since %s", name, clock(s.ActivatedAt))}
	case well.Before(s.ActivatedAt):
		return answer{effect: stops, detail: fmt.Sprintf("last seen well %s, before policy %s was activated %s", clock(well), name, clock(s.ActivatedAt))}
	default:
		return answer{effect: passes, detail: "last seen well " + clock(well) + ", policy active since " + clock(s.ActivatedAt)}
	}
}
