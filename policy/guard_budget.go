package policy

import (
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// guardBudget bounds how many actions start in sliding windows: over all
// policies, over the policy, and with the policy's rates over each target, so
// that renaming a policy resets nothing.
func guardBudget(l *look, m *move) answer {
	if m.rule == nil {
		return answer{blocks, "the budget of policy " + m.plan.Policy + " is not known"}
	}
	own := budgetScope(m.plan.Policy)
	var left, spent []string
	add := func(scope string, rates []Rate, times []time.Time) {
		for _, r := range rates {
			if a := l.spent(scope, r, times); a.effect == passes {
				left = append(left, a.detail)
			} else {
				spent = append(spent, a.detail)
			}
		}
	}
	add(BudgetAll, l.h.config.Budget, l.spend(BudgetAll))
	add(own, m.rule.Budget, l.spend(own))
	for _, t := range m.targets {
		l.read(signalbox.TargetKey(t))
		if s := l.w.State.Targets[t]; s != nil {
			add(string(t), m.rule.Budget, s.Acted)
		}
	}
	switch {
	case len(spent) > 0:
		return answer{blocks, joinAnd(spent)}
	case len(left) > 0:
		return answer{passes, joinAnd(left)}
	}
	return answer{passes, "none is set"}
}

// spends are the scopes in which a move forward counts.
func (l *look) spends(m *move) []string {
	return []string{BudgetAll, budgetScope(m.plan.Policy)}
}

func (l *look) spend(scope string) []time.Time {
	l.read(signalbox.BudgetKey(scope))
	if s := l.w.State.Budgets[scope]; s != nil {
		return s.Times
	}
	return nil
}

// spent counts the starts in a window. One that lies in the future counts too:
// a clock that went back gives nothing free.
func (l *look) spent(scope string, r Rate, times []time.Time) answer {
	var counted []time.Time
	for _, t := range times {
		if t.Add(r.Per).After(l.now) {
			counted = append(counted, t)
		}
	}
	if len(counted) < r.N {
		return answer{passes, fmt.Sprintf("%s: %d of %d in %s", scope, len(counted), r.N, span(r.Per))}
	}
	slices.SortFunc(counted, time.Time.Compare)
	free := counted[len(counted)-r.N].Add(r.Per)
	l.at(free)
	return answer{blocks, fmt.Sprintf("%s: %d of %d in %s are spent, one is free at %s", scope, len(counted), r.N, span(r.Per), clock(free))}
}
