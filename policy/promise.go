package policy

import (
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// ToldPromise begins the mark in Incident.Told of a promise whose risk was
// paged.
const ToldPromise = "promise/"

// promised pages once for a step whose promise is at risk: two thirds of its
// time since the incident was opened have gone by, and it is not done.
func (l *look) promised() (d signalbox.Decision, atRisk bool) {
	plan := l.inc.Plan
	if plan == nil {
		if plan = l.firstPlan(); plan == nil {
			return d, false
		}
	}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		mark := fmt.Sprint(ToldPromise, i)
		if s.Promise == 0 || slices.Contains(l.inc.Told, mark) || l.kept(plan, i) {
			continue
		}
		due := l.inc.OpenedAt.Add(s.Promise)
		if warn := due.Add(-s.Promise / 3); l.now.Before(warn) {
			l.at(warn)
			continue
		}
		if l.suppressed() != "" {
			continue
		}
		why := fmt.Sprintf("%s is promised within %s, by %s, and is not done", throw(s), span(s.Promise), due.UTC().Format(time.TimeOnly)+"Z")
		l.note("promise", false, "%s", why)
		return signalbox.Decision{Verdict: signalbox.Escalate, Page: l.pageNote(why, ""), Told: mark}, true
	}
	return d, false
}

// kept reports whether a promised step was done, or need not be: what a step
// that tells says was told.
func (l *look) kept(plan *signalbox.Plan, i int) bool {
	for _, a := range l.actions {
		if a.Index == i && a.Undoes == "" && a.Stage == signalbox.Done {
			return true
		}
	}
	for _, m := range l.inc.Marks { // passed over by its own condition
		if m.Index == i && m.State == signalbox.StepSkipped && plan.Steps[i].Else == signalbox.ElseSkip {
			return true
		}
	}
	return false
}

// firstPlan is the plan of the policy that would act, with nothing noted; nil:
// none promises anything.
func (l *look) firstPlan() *signalbox.Plan {
	noted := len(l.because)
	defer func() { l.because = l.because[:noted] }()
	for _, r := range l.h.on[l.inc.Reading.Detector] {
		if r.promises && effective(r.Autonomy, l.policyState(r.Name)) != Shadow {
			if ok, err := l.matches(r); err == nil && ok {
				return &signalbox.Plan{Policy: r.Name, Steps: r.Runbook}
			}
			return nil
		}
	}
	return nil
}
