package policy

import (
	"fmt"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// What failed one by one, an event that was not delivered for one, is as failed
// once no more fail: that its series is well heals none of it. So an incident is
// not over while its runbook has ids to take, for a day at the most; what is left
// then is told.

// idsFor is how long ids are still taken once their series is well.
const idsFor = 24 * time.Hour

// idsLeft reports whether the runbook in force comes to ids that nothing has
// taken, with nothing before them that throws: no switch is thrown for what is
// well.
func (l *look) idsLeft() bool {
	plan := l.inc.Plan
	if l.inc.GaveUp != "" || l.untaken() == 0 {
		return false
	}
	if l.clear() {
		end := l.inc.ClearAt.Add(idsFor)
		if !l.now.Before(end) {
			return false
		}
		l.at(end)
	}
	c := l.cursor(plan)
	for i := c.next; i >= 0 && i < len(plan.Steps); i++ {
		s := &plan.Steps[i]
		switch {
		case s.Most > 0:
			if l.phase(plan, i) == pending && len(l.items(s)) > 0 {
				return true
			}
		case s.Rescue == 0 && !quiet(s) && s.Kind != waitKind:
			return false
		}
	}
	return false
}

// untaken is how many ids of the incident the runbook in force has not taken. A
// policy that only suggests takes none.
func (l *look) untaken() (n int) {
	plan := l.inc.Plan
	if plan == nil || plan.Autonomy == Suggest || plan.Autonomy == Shadow {
		return 0
	}
	for i := range plan.Steps {
		n = max(n, len(l.left(&plan.Steps[i], len(l.inc.Reading.Items))))
	}
	return n
}

// overdue reports whether a step takes ids of what is well again.
func (l *look) overdue(m *move) bool {
	return m != nil && m.undoes == nil && m.step.Most > 0 && l.clear()
}

// stillAwaited asks again, before each batch of ids, for what the runbook waits
// for right before them: it may have ended since.
func (l *look) stillAwaited(m *move) answer {
	for i := m.index - 1; i >= 0; i-- {
		s := &m.plan.Steps[i]
		switch {
		case s.Tells:
			continue
		case s.Kind != waitKind || s.Until == nil || s.Rescue != m.step.Rescue:
			return answer{effect: passes}
		}
		if s.Until.If != "" {
			before := *m
			before.index, before.step = i, s
			if ok, detail, err := l.awaited(&before); err != nil || !ok {
				return answer{effect: waits, detail: fmt.Sprintf("its ids wait as step %d does: %s", i+1, detail)}
			}
			continue
		}
		if a := l.clearFor(s.Until.Witness, s.Until.For); a.effect != passes {
			return answer{effect: waits, detail: fmt.Sprintf("its ids wait as step %d does: %s", i+1, a.detail)}
		}
	}
	return answer{effect: passes}
}

// mostNamedIDs is how many ids a page names.
const mostNamedIDs = 10

// failedIDs names the ids of an action that ran and failed, none of which is
// taken again; empty: it had none.
func failedIDs(a *signalbox.Action) string {
	if len(a.Step.Items) == 0 {
		return ""
	}
	ids := strings.Join(a.Step.Items[:min(len(a.Step.Items), mostNamedIDs)], ", ")
	if n := len(a.Step.Items) - mostNamedIDs; n > 0 {
		ids += fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf(" (which of %s were done is not known, and none is taken again)", ids)
}
