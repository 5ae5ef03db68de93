package policy

// guardAutonomy lets only policies in auto act.
func guardAutonomy(_ *look, m *move) answer {
	switch {
	case m.rule == nil:
		return answer{stops, "policy " + m.plan.Policy + " is no longer configured"}
	case m.shadow:
		return answer{passes, "in shadow: only recorded"}
	case m.rule.Autonomy != Auto:
		return answer{stops, "policy " + m.plan.Policy + " is in " + string(m.rule.Autonomy)}
	}
	return answer{passes, "auto"}
}
