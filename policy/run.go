package policy

import (
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// phase is where one step of a runbook stands.
type phase uint8

const (
	pending phase = iota // not taken, or its attempts had no effect so far
	flying               // an action of it is in flight
	over                 // done, skipped or waited for
	failed               // its attempts or its time ran out
)

// phase follows from the actions and marks of the incident alone.
func (l *look) phase(plan *signalbox.Plan, i int) phase {
	for _, m := range l.inc.Marks {
		switch {
		case m.Index != i:
		case m.State == signalbox.StepFailed:
			return failed
		default:
			return over
		}
	}
	found := pending
	for _, a := range l.actions {
		switch {
		case a.Index != i || a.Undoes != "" || a.Stage == signalbox.Broken:
		case a.InFlight():
			return flying
		default:
			found = over
		}
	}
	if found == over && len(l.items(&plan.Steps[i])) > 0 {
		return pending // the next ids
	}
	return found
}

// cursor is where a runbook stands.
type cursor struct {
	next  int  // the step to take; -1: none now
	waits bool // for what is in flight
	why   string
}

// cursor walks the main line up to the first step that is not over. A step that
// failed is followed by its rescue, if it has one; after that the main line goes
// on where the rescue says so. The steps of a lane are taken beside each other.
func (l *look) cursor(plan *signalbox.Plan) cursor {
	for i := 0; i < len(plan.Steps); {
		if plan.Steps[i].Rescue != 0 || plan.Steps[i].Tells {
			i++
			continue
		}
		end := i + 1
		for lane := plan.Steps[i].Lane; lane > 0 && end < len(plan.Steps) && plan.Steps[end].Lane == lane; {
			end++
		}
		if c, stops := l.abreast(plan, i, end); stops {
			return c
		}
		i = end
	}
	return cursor{next: -1, why: "its last step is over"}
}

// abreast looks at the steps from i to end, which are one alone or a lane.
func (l *look) abreast(plan *signalbox.Plan, i, end int) (c cursor, stops bool) {
	waits := false
	for j := i; j < end; j++ {
		switch l.phase(plan, j) {
		case pending:
			return cursor{next: j}, true
		case flying:
			waits = true
		case over, failed:
		}
	}
	if waits {
		return cursor{next: -1, waits: true}, true
	}
	for j := i; j < end; j++ {
		if l.phase(plan, j) == failed {
			if c, stops := l.rescue(plan, j); stops {
				return c, true
			}
		}
	}
	return c, false
}

// rescue walks the steps that are taken since step i failed.
func (l *look) rescue(plan *signalbox.Plan, i int) (c cursor, stops bool) {
	resumes := false
	for j := range plan.Steps {
		if plan.Steps[j].Rescue != i+1 || plan.Steps[j].Tells {
			continue
		}
		switch l.phase(plan, j) {
		case pending:
			return cursor{next: j}, true
		case flying:
			return cursor{next: -1, waits: true}, true
		case failed:
			return cursor{next: -1, why: fmt.Sprintf("step %d failed, and so did its rescue", i+1)}, true
		case over:
			resumes = plan.Steps[j].Resume
		}
	}
	if resumes {
		return c, false
	}
	return cursor{next: -1, why: fmt.Sprintf("step %d, %s, failed", i+1, throw(&plan.Steps[i]))}, true
}

func rescued(plan *signalbox.Plan, i int) bool {
	return slices.ContainsFunc(plan.Steps, func(s signalbox.Step) bool { return s.Rescue == i+1 })
}

// goOn takes the next step of a plan.
func (l *look) goOn(plan *signalbox.Plan, r *rule) signalbox.Decision {
	if d, ok := l.tell(plan, r); ok {
		return d
	}
	c := l.cursor(plan)
	switch {
	case c.next < 0 && onlyTells(plan):
		return l.hold(tellsGuard, "its runbook only tells, and has told")
	case c.waits:
		return l.hold("in_flight", "steps that run at once are not all at their end")
	case c.next < 0:
		return l.giveUp(l.record(plan, c.why), "")
	}
	i, s := c.next, &plan.Steps[c.next]
	if l.inc.Plan == nil && (s.Within > 0 || takesIDs(plan)) {
		return l.putInForce(plan, i)
	}
	if end, bounded := l.deadline(plan, i); bounded && !l.now.Before(end) {
		return l.advance(plan, i, signalbox.StepFailed, fmt.Sprintf("it was not done within %s", span(s.Within)))
	} else if bounded {
		l.at(end)
	}
	m := &move{plan: plan, index: i, step: s, rule: r}
	if n, last := l.attempts(m); rescued(plan, i) && (n >= maxAttempts || n > 0 && last.Ran()) {
		return l.advance(plan, i, signalbox.StepFailed, l.exhausted(n, last))
	}
	switch {
	case s.Kind == waitKind:
		return l.waitFor(m)
	case s.If != "" && s.Else == signalbox.ElseSkip:
		if ok, detail, err := l.condition(m); err == nil && !ok {
			return l.advance(plan, i, signalbox.StepSkipped, detail)
		}
	}
	m.step = l.resolved(s, plan.Policy)
	return l.take(m)
}

// onlyTells reports whether a runbook throws nothing and pages nobody, and all
// that it has to tell was told; what was passed over is not.
func onlyTells(plan *signalbox.Plan) bool {
	for i := range plan.Steps {
		if !plan.Steps[i].Tells {
			return false
		}
	}
	return true
}

// putInForce begins a runbook before its first step is taken: that step's time
// runs from now on, and not from when the incident was opened; and ids are left
// to it once the series is well, whatever holds it until then.
func (l *look) putInForce(plan *signalbox.Plan, i int) signalbox.Decision {
	within := ""
	if d := plan.Steps[i].Within; d > 0 {
		within = ", is to be done within " + span(d)
	}
	l.note("step", true, "the runbook of %s begins; step %d, %s%s", plan.Policy, i+1, throw(&plan.Steps[i]), within)
	return signalbox.Decision{Verdict: signalbox.Advance, Plan: plan, Next: i, Step: &plan.Steps[i]}
}

// deadline is when a step must be done: Within after it became the next one.
// That is when what came before it had ended, was judged and was taken back, or
// when the incident broke anew. The steps of one lane become the next together.
func (l *look) deadline(plan *signalbox.Plan, i int) (time.Time, bool) {
	within := plan.Steps[i].Within
	if within == 0 {
		return time.Time{}, false
	}
	begin := l.inc.PlanAt
	if begin.IsZero() {
		begin = l.inc.OpenedAt
	}
	lane := plan.Steps[i].Lane
	before := func(j int) bool { return j != i && (lane == 0 || j >= len(plan.Steps) || plan.Steps[j].Lane != lane) }
	later := func(at time.Time) {
		if at.After(begin) {
			begin = at
		}
	}
	for _, a := range l.actions {
		switch {
		case a.Undoes != "":
			later(a.EndedAt)
		case before(a.Index):
			later(a.EndedAt)
			later(a.JudgedAt)
		}
	}
	for _, m := range l.inc.Marks {
		if before(m.Index) {
			later(m.At)
		}
	}
	later(l.inc.Reading.OnsetAt)
	return begin.Add(within), true
}

func (l *look) advance(plan *signalbox.Plan, i int, state signalbox.MarkState, why string) signalbox.Decision {
	l.note("step", state != signalbox.StepFailed, "step %d, %s, %s: %s", i+1, throw(&plan.Steps[i]), state, why)
	return signalbox.Decision{Verdict: signalbox.Advance, Plan: plan, Next: i, Step: &plan.Steps[i], Mark: &signalbox.Mark{Index: i, State: state, Why: why}}
}

// waitFor holds until what a step waits for is there. Unknown never is.
func (l *look) waitFor(m *move) signalbox.Decision {
	u := m.step.Until
	if u == nil {
		return l.hold("wait", "step %d does not say what it waits for", m.index+1)
	}
	if u.If != "" {
		ok, detail, err := l.awaited(m)
		if err == nil && ok {
			return l.advance(m.plan, m.index, signalbox.StepWaited, detail)
		}
		return l.hold("wait", "step %d waits until %s", m.index+1, detail)
	}
	a := l.clearFor(u.Witness, u.For)
	if a.effect == passes {
		return l.advance(m.plan, m.index, signalbox.StepWaited, fmt.Sprintf("%s on %s is clear for %s", u.Witness.Detector, u.Witness.Subject, span(u.For)))
	}
	return l.hold("wait", "step %d waits: %s", m.index+1, a.detail)
}

// late pages once that an action in flight is past its step's time; it goes on
// being followed, since its effect may be there.
func (l *look) late(a *signalbox.Action) (d signalbox.Decision, isLate bool) {
	if l.inc.Plan == nil || a.Undoes != "" || a.Index >= len(l.inc.Plan.Steps) {
		return d, false
	}
	end, bounded := l.deadline(l.inc.Plan, a.Index)
	if !bounded {
		return d, false
	}
	if l.now.Before(end) {
		l.at(end)
		return d, false
	}
	why := fmt.Sprintf("%s is not at its end within %s; it is followed", throw(&a.Step), span(l.inc.Plan.Steps[a.Index].Within))
	l.note("step", false, "%s", why)
	return l.escalate(why, ""), true
}

// goesOn reports whether the runbook takes its next step without waiting to see
// whether the last switch helped: its steps are a chain, or a lane that is not
// whole yet.
func (l *look) goesOn(last *signalbox.Action) bool {
	plan := l.inc.Plan
	if plan == nil || l.clear() && !l.idsLeft() || l.inc.GaveUp != "" || last.Index >= len(plan.Steps) {
		return false
	}
	s, c := &plan.Steps[last.Index], l.cursor(plan)
	switch {
	case c.waits:
		return true
	case c.next < 0:
		return false
	case s.Then == signalbox.ThenNext, c.next == last.Index:
		return true
	}
	return s.Lane > 0 && plan.Steps[c.next].Lane == s.Lane
}

// besides takes a step of the lane whose others are in flight; ok is false where
// there is none to take now.
func (l *look) besides() (d signalbox.Decision, ok bool) {
	plan := l.inc.Plan
	if plan == nil || l.inc.GaveUp != "" || l.clear() || l.unknown() {
		return d, false
	}
	lane := 0
	for _, a := range l.actions {
		if !a.InFlight() {
			continue
		}
		if a.Undoes != "" || a.Step.Lane == 0 || lane != 0 && a.Step.Lane != lane {
			return d, false
		}
		lane = a.Step.Lane
	}
	c := l.cursor(plan)
	if c.next < 0 || plan.Steps[c.next].Lane != lane {
		return d, false
	}
	return l.goOn(plan, l.h.rules[plan.Policy]), true
}
