package policy

import (
	"fmt"
	"slices"

	signalbox "github.com/signalbox/signalbox"
)

// begin chooses the policy of a breached incident that has no plan: the first
// that matches and may do more than watch. Policies in shadow are asked too,
// and cause nothing. Where it can't be told whether a policy matches, nothing is
// done: it may be the one that was meant.
func (l *look) begin() signalbox.Decision {
	if s := l.suppressed(); s != "" {
		return l.hold("suppressed", "the source holds it under %s: no page and no action", s)
	}
	rules := l.h.on[l.inc.Reading.Detector]
	usable := len(rules) > 0 && l.breached()
	if !usable && slices.ContainsFunc(rules, func(r *rule) bool { return r.Autonomy != Shadow }) {
		return l.held()
	}
	var chosen *rule
	for _, r := range rules {
		if !usable {
			break
		}
		// The labels first: what a decision reads a claim holds on to, and of
		// many policies on one detector only those that may be meant count.
		if !l.labelsAgree(r, chosen == nil || r.Autonomy == Shadow) {
			continue
		}
		far := effective(r.Autonomy, l.policyState(r.Name))
		if far != Shadow && chosen != nil {
			continue
		}
		matched, err := l.matches(r)
		switch {
		case err != nil && far != Shadow:
			return l.puzzled(r, err)
		case matched && far != Shadow:
			chosen = r
		case matched:
			l.watch(r)
		}
	}
	if change := l.h.changeOf(l.inc.Reading.Detector); chosen == nil && len(rules) == 0 && change != "" {
		return l.hold("change", "%s is under way, which is no illness: nobody is paged", change)
	}
	if chosen == nil {
		l.note("policy", false, "no policy that may act matches, of %d on %q", len(rules), l.inc.Reading.Detector)
		return l.escalate("no policy acts on "+l.inc.Reading.Subject+" by itself", "")
	}
	m, err := l.firstMove(chosen)
	if err != nil {
		l.note("plan", false, "policy %q: %v", chosen.Name, err)
		return l.escalate(fmt.Sprintf("policy %q has no plan: %v", chosen.Name, err), "")
	}
	// A first start must page once for each owner, and not step by step.
	if a := guardOnset(l, m); a.effect == stops && m.autonomy() != Suggest {
		l.note("onset", false, "%s", a.detail)
		return l.giveUp(a.detail, "onset/"+l.owner())
	}
	return l.goOn(m.plan, chosen)
}

// puzzled holds what a condition failed on, and tells the owner once.
func (l *look) puzzled(r *rule, err error) signalbox.Decision {
	why := fmt.Sprintf("whether policy %s matches can't be told: when: %v", r.Name, err)
	d := l.hold("condition", "%s in %s", why, r.When)
	if l.inc.Page == "" && l.suppressed() == "" {
		d.Page = l.pageNote(why, "")
	}
	return d
}

// breached reports whether the freshest reading shows that it is ill right now,
// and notes why not.
func (l *look) breached() bool {
	a := guardFreshness(l, nil)
	if a.effect != passes {
		l.note("freshness", false, "%s", a.detail)
	}
	return a.effect == passes
}

// matches reports whether a policy is meant for the incident, and notes why not.
// A label of match that is missing never matches; a condition that fails, also
// for a label or a value that is not there, is an error.
func (l *look) matches(r *rule) (bool, error) {
	if !l.labelsAgree(r, true) {
		return false, nil
	}
	c := r.when[l.h.detectors[l.own.Detector].Unit]
	if c == nil {
		l.note("match", true, "policy %q: its labels agree", r.Name)
		return true, nil
	}
	ok, err := c.holds(&input{reading: l.own, destination: func() *destination { return l.destination(l.firstSwitch(r)) }})
	switch {
	case err != nil:
		l.note("match", false, "policy %q: when: %v", r.Name, err)
	case !ok:
		l.note("match", false, "policy %q: when is false: %s", r.Name, c.text)
	default:
		l.note("match", true, "policy %q: when is true: %s", r.Name, c.text)
	}
	return ok && err == nil, err
}

// labelsAgree reports whether the incident has the labels that a policy wants; aloud:
// and notes which it has not.
func (l *look) labelsAgree(r *rule, aloud bool) bool {
	for _, name := range r.labels {
		if got, ok := l.own.Labels[name]; !ok || got != r.Match[name] {
			if aloud {
				l.note("match", false, "policy %q: label %s must be %q, got %q", r.Name, name, r.Match[name], got)
			}
			return false
		}
	}
	return true
}

// firstSwitch is the first switch that a policy would throw for the incident;
// nil: none, or it can't be resolved.
func (l *look) firstSwitch(r *rule) *signalbox.Step {
	if !r.templated {
		return firstSwitch(r.Runbook)
	}
	plan, err := r.plan(l.own.Labels)
	if err != nil {
		return nil
	}
	return firstSwitch(plan.Steps)
}

func (l *look) firstMove(r *rule) (*move, error) {
	plan, err := r.plan(l.own.Labels)
	if err != nil {
		return nil, err
	}
	plan.Autonomy = effective(r.Autonomy, l.policyState(r.Name))
	return &move{plan: plan, step: &plan.Steps[0], rule: r}, nil
}

// watch records what a policy in shadow would do.
func (l *look) watch(r *rule) {
	before := l.because
	l.because = nil
	s := signalbox.Shadow{Policy: r.Name, Verdict: signalbox.Hold}
	if m, err := l.firstMove(r); err != nil {
		l.note("plan", false, "%v", err)
	} else {
		m.shadow = true
		l.firstThrow(m)
		s.Step = m.step
		s.Verdict = l.take(m).Verdict
	}
	s.Because = l.because
	l.because = before
	l.shadow = append(l.shadow, s)
}

// firstThrow moves on to the first step that a runbook would throw: past those
// that wait, tell or page, and those that would be skipped. Where it throws
// nothing, it is the first that is taken at all.
func (l *look) firstThrow(m *move) {
	first := -1
	for i := range m.plan.Steps {
		m.index, m.step = i, l.resolved(&m.plan.Steps[i], m.plan.Policy)
		if m.step.Kind == waitKind || m.step.Rescue != 0 {
			continue
		}
		if ok, _, err := l.condition(m); m.step.Else == signalbox.ElseSkip && !ok && err == nil {
			continue
		}
		if !quiet(m.step) {
			return
		}
		if first < 0 {
			first = i
		}
	}
	if first >= 0 {
		m.index, m.step = first, l.resolved(&m.plan.Steps[first], m.plan.Policy)
	}
}
