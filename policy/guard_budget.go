package policy

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// guardBudget bounds how many actions start in sliding windows: over all
// policies, over the policy, the owner, the class and the kind of the action,
// and with the policy's rates over each target, so that renaming a policy
// resets nothing. A window keeps no credit: after any time without actions
// there are still at most as many in it.
func guardBudget(l *look, m *move) answer {
	if m.rule == nil {
		return answer{effect: blocks, detail: "the budget of policy " + m.plan.Policy + " is not known"}
	}
	var left, spent []string
	free := ""
	add := func(scope string, rates []Rate, times []time.Time) {
		for _, r := range rates {
			if a := l.spent(scope, r, times); a.effect == passes && l.brief {
				continue
			} else if a.effect == passes {
				left = append(left, a.detail)
			} else {
				spent, free = append(spent, a.detail), a.lifts
			}
		}
	}
	for _, scope := range l.scopes(m) {
		rates := l.h.budgets[scope]
		if scope == budgetScope(m.plan.Policy) {
			rates = append(slices.Clip(m.rule.Budget), rates...)
		}
		if times := l.spend(scope); len(rates) > 0 {
			add(scope, rates, times)
		}
	}
	for _, t := range m.targets {
		l.readTarget(t)
		if s := l.w.State.Targets[t]; s != nil {
			add(string(t), append(slices.Clip(m.rule.Budget), l.h.budgets["target/"+string(t)]...), s.Acted)
		}
	}
	switch {
	case len(spent) > 0:
		return answer{blocks, joinAnd(spent), free}
	case len(left) > 0:
		return answer{effect: passes, detail: joinAnd(left)}
	}
	return answer{effect: passes, detail: "none is set"}
}

// scopes are those of the budgets in which a move forward counts. The class is
// known once the forecast is.
func (l *look) scopes(m *move) []string {
	if m.spendIn == nil {
		m.spendIn = append(make([]string, 0, 5), BudgetAll, budgetScope(m.plan.Policy), "owner/"+l.owner(), "kind/"+m.step.Kind)
	}
	if m.forecast != nil && len(m.spendIn) < cap(m.spendIn) {
		m.spendIn = append(m.spendIn, "class/"+string(m.forecast.Class))
	}
	return m.spendIn
}

// spends are the scopes in which a move forward is spent, failure domains among
// them.
func (l *look) spends(m *move) []string {
	scopes := slices.Concat(l.scopes(m), l.domains())
	if m.step.Most > 0 {
		scopes = append(scopes, itemScope(m.step))
	}
	return scopes
}

func (l *look) spend(scope string) []time.Time {
	l.readSpend(scope)
	if s := l.w.State.Budgets[scope]; s != nil {
		return s.Times
	}
	return nil
}

// spent counts the starts in a window, and of a rate with a burst in the
// shorter one too. A start that lies in the future counts as well: a clock that
// went back gives nothing free.
func (l *look) spent(scope string, r Rate, times []time.Time) answer {
	a := l.window(scope, r.N, r.Per, times)
	if r.Burst == 0 || a.effect != passes {
		return a
	}
	short := l.window(scope, r.Burst, r.Per*time.Duration(r.Burst)/time.Duration(r.N), times)
	if short.effect != passes {
		return short
	}
	if l.brief {
		return a
	}
	a.detail += " (close together " + short.detail + ")"
	return a
}

func (l *look) window(scope string, n int, per time.Duration, times []time.Time) answer {
	if len(times) < n && l.brief {
		return answer{effect: passes}
	}
	begin := l.now.Add(-per)
	outside := func(t time.Time) bool { return !t.After(begin) }
	in := len(times)
	for _, t := range times {
		if outside(t) {
			in--
		}
	}
	if in < n && l.brief {
		return answer{effect: passes}
	}
	if in < n {
		return answer{effect: passes, detail: scope + ": " + strconv.Itoa(in) + " of " + strconv.Itoa(n) + " in " + span(per)}
	}
	counted := slices.DeleteFunc(slices.Clone(times), outside)
	slices.SortFunc(counted, time.Time.Compare)
	free := counted[len(counted)-n].Add(per)
	l.at(free)
	return answer{
		blocks, fmt.Sprintf("%s: %d of %d in %s are spent, one is free at %s", scope, len(counted), n, span(per), clock(free)),
		"one is free at " + clock(free),
	}
}
