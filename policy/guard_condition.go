package policy

import "fmt"

// guardCondition asks the step's own `if`. A condition that fails at run time
// blocks.
func guardCondition(l *look, m *move) answer {
	if m.step.If == "" {
		return answer{passes, "the step has none"}
	}
	if m.rule == nil || m.rule.hash != m.plan.PolicyHash || m.index >= len(m.rule.ifs) {
		return answer{blocks, "its policy was edited or removed since this runbook began"}
	}
	if l.own == nil {
		return answer{blocks, "no reading of its series yet"}
	}
	c := m.rule.ifs[m.index][l.h.detectors[l.own.Detector].Unit]
	if c == nil {
		return answer{blocks, fmt.Sprintf("it is not made for detector %q: %s", l.own.Detector, m.step.If)}
	}
	ok, err := c.holds(&input{reading: l.own, destination: func() *destination { return l.destination(m.step) }})
	switch {
	case err != nil:
		return answer{blocks, fmt.Sprintf("%v in %s", err, m.step.If)}
	case !ok:
		return answer{blocks, "false: " + m.step.If}
	}
	return answer{passes, "true: " + m.step.If}
}
