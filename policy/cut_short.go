package policy

import (
	"fmt"
	"slices"

	signalbox "github.com/signalbox/signalbox"
)

// Steps that belong together are a chain (then: next). Where all is well before
// its turn has come to each of them, the others are not taken: nothing is thrown
// for what is well, and a step does not say whether it only looks, as smoke tests
// do, or throws. A chain that is cut short is half done, though, and that is told.

// ToldCutShort is the mark in Incident.Told of a chain that was told to be cut
// short.
const ToldCutShort = "cut_short"

// cutShort tells once which steps of a chain were not taken, and holds the
// incident until a person has heard it, at most for as long as what is thrown
// waits to be taken back.
func (l *look) cutShort() (d signalbox.Decision, waits bool) {
	steps := l.notRun()
	if len(steps) == 0 {
		return d, false
	}
	why := fmt.Sprintf("not run: %s, since %s was well before its turn", joinAnd(steps), l.inc.Reading.Subject)
	end := l.inc.ClearAt.Add(l.afterHealthy())
	switch {
	case l.suppressed() != "":
	case !slices.Contains(l.inc.Told, ToldCutShort):
		l.note(ToldCutShort, false, "%s", why)
		return signalbox.Decision{Verdict: signalbox.Escalate, Page: l.pageNote("Its runbook was cut short; "+why, ""), Told: ToldCutShort}, true
	case l.now.Before(end) && !l.heard():
		l.at(end)
		return l.hold(ToldCutShort, "%s: it stays open until its page is acknowledged, at most until %s", why, clock(end)), true
	}
	l.note(ToldCutShort, true, "%s", why)
	return d, false
}

// notRun are the steps of the chain of the last switch whose turn has not come.
// Those that would have been passed over are not among them, nor those that take
// ids, whose ids are told by themselves.
func (l *look) notRun() (steps []string) {
	plan, last := l.inc.Plan, l.lastSwitched()
	if plan == nil || last == nil || last.Stage != signalbox.Done || last.Undone != "" || last.Index >= len(plan.Steps) ||
		plan.Steps[last.Index].Then != signalbox.ThenNext {
		return nil
	}
	for i := l.cursor(plan).next; i >= 0 && i < len(plan.Steps); i++ {
		s := &plan.Steps[i]
		if s.Rescue != plan.Steps[last.Index].Rescue || quiet(s) || s.Most > 0 || l.phase(plan, i) != pending {
			continue
		}
		m := &move{plan: plan, index: i, step: s, rule: l.h.rules[plan.Policy]}
		if ok, _, err := l.condition(m); s.If != "" && s.Else == signalbox.ElseSkip && err == nil && !ok {
			continue
		}
		steps = append(steps, throw(s))
		if s.Then != signalbox.ThenNext {
			break // the next one is an alternative
		}
	}
	return steps
}
