package policy

import (
	"fmt"
	"slices"
)

// guardLane lets the steps that run at once touch targets of their own only.
func guardLane(l *look, m *move) answer {
	if m.step.Lane == 0 || len(m.targets) == 0 {
		return answer{effect: passes, detail: "it runs alone"}
	}
	for _, a := range l.actions {
		if a.Undoes != "" || a.Index == m.index || a.Step.Lane != m.step.Lane {
			continue
		}
		for _, t := range m.targets {
			if slices.Contains(a.Forecast.Targets, t) {
				return answer{effect: blocks, detail: fmt.Sprintf("%s is touched by step %d too, which runs at the same time", t, a.Index+1), lifts: "a runbook whose parallel steps have targets of their own"}
			}
		}
	}
	return answer{effect: passes, detail: "it touches targets of its own"}
}
