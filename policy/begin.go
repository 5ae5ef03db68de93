package policy

import (
	"fmt"

	signalbox "github.com/signalbox/signalbox"
)

// begin chooses the policy of a breached incident that has no plan: the first
// in auto that matches. Policies in shadow are asked too, and cause nothing.
func (l *look) begin() signalbox.Decision {
	if s := l.suppressed(); s != "" {
		return l.hold("suppressed", "the source holds it under %s: no page and no action", s)
	}
	rules := l.h.on[l.inc.Reading.Detector]
	usable := len(rules) > 0 && l.breached()
	if !usable && anyAuto(rules) {
		return l.held()
	}
	var chosen *rule
	for _, r := range rules {
		if !usable || r.Autonomy == Auto && chosen != nil {
			continue
		}
		matched := l.matches(r)
		if matched && r.Autonomy == Auto {
			chosen = r
		} else if matched {
			l.watch(r)
		}
	}
	if chosen == nil {
		l.note("policy", false, "no policy in auto matches, of %d on %q", len(rules), l.inc.Reading.Detector)
		return l.escalate("no policy acts on "+l.inc.Reading.Subject+" by itself", "")
	}
	m, err := l.firstMove(chosen)
	if err != nil {
		l.note("plan", false, "policy %q: %v", chosen.Name, err)
		return l.escalate(fmt.Sprintf("policy %q has no plan: %v", chosen.Name, err), "")
	}
	// A first start must page once for each owner, and not step by step.
	if a := guardOnset(l, m); a.effect == stops {
		l.note("onset", false, "%s", a.detail)
		return l.giveUp(a.detail, "onset/"+l.owner())
	}
	return l.take(m)
}

func anyAuto(rules []*rule) bool {
	for _, r := range rules {
		if r.Autonomy == Auto {
			return true
		}
	}
	return false
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
// A label that is missing, or a condition that fails, never matches.
func (l *look) matches(r *rule) bool {
	for _, name := range sortedKeys(r.Match) {
		if got, ok := l.own.Labels[name]; !ok || got != r.Match[name] {
			l.note("match", false, "policy %q: label %s must be %q, got %q", r.Name, name, r.Match[name], got)
			return false
		}
	}
	c := r.when[l.h.detectors[l.own.Detector].Unit]
	if c == nil {
		l.note("match", true, "policy %q: its labels agree", r.Name)
		return true
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
	return ok && err == nil
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
		s.Step = m.step
		s.Verdict = l.take(m).Verdict
	}
	s.Because = l.because
	l.because = before
	l.shadow = append(l.shadow, s)
}
