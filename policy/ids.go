package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// What failed one by one, an event that was not delivered for one, is as failed
// once no more fail: that its series is well heals none of it. So an incident is
// not over while its runbook has ids to take, for a day at the most. What is left
// then is told, and the incident stays open until a person has heard it.

// idsFor is how long ids are still taken once their series is well.
const idsFor = 24 * time.Hour

// idsLeft reports whether the runbook in force comes to ids that nothing has
// taken, with nothing before them that throws: no switch is thrown for what is
// well.
func (l *look) idsLeft() bool {
	plan := l.inc.Plan
	if l.inc.GaveUp != "" || len(l.untaken()) == 0 {
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

// takesIDs reports whether a runbook takes ids. A policy that only suggests takes
// none.
func takesIDs(plan *signalbox.Plan) bool {
	return plan != nil && plan.Autonomy != Suggest && plan.Autonomy != Shadow &&
		slices.ContainsFunc(plan.Steps, func(s signalbox.Step) bool { return s.Most > 0 })
}

// untaken are the ids of the incident that the runbook in force has not taken.
func (l *look) untaken() (ids []string) {
	if !takesIDs(l.inc.Plan) {
		return nil
	}
	for i := range l.inc.Plan.Steps {
		if left := l.left(&l.inc.Plan.Steps[i], len(l.inc.Reading.Items)); len(left) > len(ids) {
			ids = left
		}
	}
	return ids
}

// ToldLeft begins the mark in Incident.Told of ids that were told to be left, with
// how many.
const ToldLeft = "left/"

// leftOver tells once of ids that nothing has taken, or that its detector did not
// list, and holds the incident until a person has heard it: nobody else will see
// to them, and a page that ends says that all is well.
func (l *look) leftOver() (d signalbox.Decision, waits bool) {
	why := l.notTaken("")
	if why == "" {
		return d, false
	}
	mark := fmt.Sprint(ToldLeft, len(l.untaken())+l.inc.Reading.Unlisted)
	switch s := l.suppressed(); {
	case slices.Contains(l.inc.Told, mark):
		if l.heard() {
			l.note("items", true, "%s, which its owner has heard", why)
			return d, false
		}
		return l.hold("items", "%s: it stays open until its page is acknowledged", why), true
	case s != "":
		l.note("items", false, "%s", why)
		return l.hold("suppressed", "the source holds it under %s: no page", s), true
	}
	l.note("items", false, "%s", why)
	return signalbox.Decision{Verdict: signalbox.Escalate, Page: l.pageNote(l.inc.Reading.Subject+" is well, and "+why, ""), Told: mark}, true
}

// notTaken says, behind a prefix, which ids of the incident nothing has taken;
// empty: none is left.
func (l *look) notTaken(prefix string) string {
	if !takesIDs(l.inc.Plan) {
		return ""
	}
	var parts []string
	if ids := l.untaken(); len(ids) > 0 {
		parts = append(parts, fmt.Sprintf("%d of its ids were not taken by %s: %s", len(ids), l.inc.Plan.Policy, listed(ids)))
	}
	if n := l.inc.Reading.Unlisted; n > 0 {
		parts = append(parts, fmt.Sprintf("at least %d more are not listed, and %s takes none of them", n, l.inc.Plan.Policy))
	}
	if len(parts) == 0 {
		return ""
	}
	return prefix + strings.Join(parts, "; ")
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
	return fmt.Sprintf(" (which of %s were done is not known, and none is taken again)", listed(a.Step.Items))
}

func listed(ids []string) string {
	text := strings.Join(ids[:min(len(ids), mostNamedIDs)], ", ")
	if n := len(ids) - mostNamedIDs; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
