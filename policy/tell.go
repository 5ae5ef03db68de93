package policy

import (
	"fmt"
	"slices"

	signalbox "github.com/signalbox/signalbox"
)

// Steps that only tell people (an announcement, a status page) stand beside the
// runbook: each is taken once what stands before it is done, nothing waits for
// it, and no effect of it is awaited. What can't be told is passed over, with
// its reason. Once the incident is over, what was told is brought to its end.

// quiet reports whether a step neither throws nor awaits an effect.
func quiet(s *signalbox.Step) bool { return s.Tells || throwsNothing(s) }

// tellingGuards are asked before a step that tells, in this order.
func tellingGuards() []guard {
	return []guard{
		{name: "autonomy", ask: guardAutonomy},
		{name: attemptsGuard, ask: guardAttempts},
		{name: "kill", ask: guardKill},
		{name: "pause", ask: guardPause, touched: true},
		{name: "hand", ask: guardTaken, touched: true},
		{name: "condition", ask: guardCondition},
		{name: tellsGuard, ask: guardTells},
		{name: "forecast", ask: guardForecast, touched: true},
		{name: "in_flight", ask: guardInFlight, touched: true},
	}
}

// tellingBackGuards are asked before what was told is brought to its end.
func tellingBackGuards() []guard {
	return []guard{
		{name: attemptsGuard, ask: guardAttempts},
		{name: "kill", ask: guardKill},
		{name: "pause", ask: guardPause, touched: true},
		{name: "hand", ask: guardTaken, touched: true},
		{name: "forecast", ask: guardForecast, touched: true},
		{name: "in_flight", ask: guardInFlight, touched: true},
	}
}

// tell takes the next step that tells; ok is false where there is none to take
// now.
func (l *look) tell(plan *signalbox.Plan, r *rule) (d signalbox.Decision, ok bool) {
	if l.clear() || l.inc.GaveUp != "" {
		return d, false
	}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if !s.Tells || l.phase(plan, i) != pending || !l.reached(plan, i) {
			continue
		}
		if d, ok := l.tellStep(&move{plan: plan, index: i, step: l.resolved(s, plan.Policy), rule: r}); ok {
			return d, true
		}
	}
	return d, false
}

// tellBeside is tell while the effect of a switch, or the end of what it helped
// against, is awaited.
func (l *look) tellBeside() (d signalbox.Decision, ok bool) {
	if l.inc.Plan == nil {
		return d, false
	}
	return l.tell(l.inc.Plan, l.h.rules[l.inc.Plan.Policy])
}

// reached reports whether all that a telling step stands behind is done: the
// steps before it, or for one of a rescue, that step's failure and the rescue's
// steps before it.
func (l *look) reached(plan *signalbox.Plan, i int) bool {
	of := plan.Steps[i].Rescue
	if of > 0 && l.phase(plan, of-1) != failed {
		return false
	}
	for j := range plan.Steps[:i] {
		s := &plan.Steps[j]
		if !s.Tells && s.Rescue == of && (of == 0 || j >= of) && l.phase(plan, j) != over {
			return false
		}
	}
	return true
}

// resolved fills in what a step is told of its incident.
func (l *look) resolved(s *signalbox.Step, policy string) *signalbox.Step {
	if s.About == nil && s.Most == 0 {
		return s
	}
	step := *s
	if s.Most > 0 {
		step.Items = l.items(s)
	}
	if r := &l.inc.Reading; s.About != nil {
		step.About = &signalbox.About{
			Incident: l.inc.ID, Subject: r.Subject, Detector: r.Detector, Owner: l.owner(), Policy: policy,
			OpenedAt: l.inc.OpenedAt, Labels: r.Labels,
		}
	}
	return &step
}

// tellStep decides on one step that tells. ok is false where it waits.
func (l *look) tellStep(m *move) (d signalbox.Decision, ok bool) {
	s, touches := m.step, l.touches
	defer func() { l.touches = touches }() // what is told has no cause in common with anything
	pass := func(why string) (signalbox.Decision, bool) {
		return l.advance(m.plan, m.index, signalbox.StepSkipped, "not told: "+why), true
	}
	if end, bounded := l.deadline(m.plan, m.index); bounded && !l.now.Before(end) {
		return pass(fmt.Sprintf("its %s are over", span(s.Within)))
	} else if bounded {
		l.at(end)
	}
	if s.If != "" && s.Else == signalbox.ElseSkip {
		if ok, detail, err := l.condition(m); err == nil && !ok {
			return l.advance(m.plan, m.index, signalbox.StepSkipped, detail), true
		}
	}
	noted := len(l.because)
	f := l.consider(m)
	act := signalbox.Decision{Verdict: signalbox.Act, Plan: m.plan, Next: m.index, Step: s, Spends: []string{"kind/" + s.Kind, tellScope(s)}}
	switch {
	case f.preview:
		act.Verdict = signalbox.Preview
		return act, true
	case m.autonomy() == Suggest:
		if slices.ContainsFunc(m.plan.Steps, func(s signalbox.Step) bool { return !quiet(&s) }) {
			l.because = l.because[:noted]
			return d, false // what is suggested is the switch
		}
		return l.suggest(m, f), true
	case f.effect == stops, m.forecast != nil && m.forecast.Refused != "":
		return pass(f.why)
	case f.effect != passes:
		l.because = l.because[:noted]
		l.note(tellsGuard, false, "step %d, %s, waits: %s", m.index+1, throw(s), f.why)
		return d, false
	}
	if m.forecast.NeedsApproval != "" {
		d := l.approved(m, act, m.forecast.NeedsApproval)
		return d, d.Verdict != signalbox.Hold
	}
	return act, true
}

// tellEnd brings to its end what was told of an incident that is over: a thread
// says that it is well, a status page that it is resolved. done is false where
// nothing is left to tell.
func (l *look) tellEnd() (d signalbox.Decision, left bool) {
	for _, a := range slices.Backward(l.actions) {
		if !a.Step.Tells || !l.stands(a) || undoMode(a) == signalbox.UndoNever || l.undoOf(a.ID) != nil {
			continue
		}
		m := l.back(a)
		if m == nil {
			continue
		}
		if undoMode(a) == signalbox.UndoAsk && !l.hasWord() {
			return l.hold("undo_ask", "%s waits for a person's word to be brought to its end", throw(&a.Step)), true
		}
		f := l.consider(m)
		if d, ok := l.goBack(m, f); ok {
			return d, true
		}
		if f.effect == stops || m.forecast != nil && m.forecast.Refused != "" || isBack(m) {
			l.note(tellsGuard, false, "%s is not brought to its end: %s", throw(&a.Step), f.why)
			continue
		}
		return l.held(), true
	}
	return d, false
}
