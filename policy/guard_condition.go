package policy

import "fmt"

// guardCondition asks the step's own `if`. A condition that fails at run time
// blocks.
func guardCondition(l *look, m *move) answer {
	if m.step.If == "" {
		return answer{effect: passes, detail: "the step has none"}
	}
	if m.rule == nil || m.rule.hash != m.plan.PolicyHash || m.index >= len(m.rule.ifs) {
		return answer{effect: blocks, detail: "its policy was edited or removed since this runbook began"}
	}
	if l.own == nil {
		return answer{effect: blocks, detail: "no reading of its series yet"}
	}
	c := m.rule.ifs[m.index][l.h.detectors[l.own.Detector].Unit]
	if c == nil {
		return answer{effect: blocks, detail: fmt.Sprintf("it is not made for detector %q: %s", l.own.Detector, m.step.If)}
	}
	ok, err := c.holds(&input{reading: l.own, destination: func() *destination { return l.destination(m.step) }})
	switch {
	case err != nil:
		return answer{effect: blocks, detail: fmt.Sprintf("%v in %s", err, m.step.If)}
	case !ok:
		return answer{effect: blocks, detail: "false: " + m.step.If}
	}
	return answer{effect: passes, detail: "true: " + m.step.If}
}
