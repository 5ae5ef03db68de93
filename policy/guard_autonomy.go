package policy

// guardAutonomy lets only policies in auto act.
func guardAutonomy(l *look, m *move) answer {
	switch {
	case m.rule == nil:
		return answer{effect: stops, detail: "policy " + m.plan.Policy + " is no longer configured"}
	case m.shadow:
		return answer{effect: passes, detail: "in shadow: only recorded"}
	case rank(m.rule.Autonomy) < rank(m.autonomy()):
		return answer{effect: stops, detail: "policy " + m.plan.Policy + " is in " + string(m.rule.Autonomy)}
	}
	detail := string(m.autonomy())
	if d := demotion(l.policyState(m.plan.Policy)); d != "" {
		detail += "; " + d
	}
	return answer{effect: passes, detail: detail}
}
