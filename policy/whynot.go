package policy

import (
	"fmt"
	"slices"
	"strings"

	signalbox "github.com/signalbox/signalbox"
)

// WhyNot tells what one policy would answer for one incident, whether or not it
// is the one that acts: whether it matches, what stands before it, and what each
// guard says of the step that it would take next. The verdict is Act where
// nothing holds it, Preview where the target was not looked at lately, else
// Hold. It is pure, and has no effect. ok is false where the incident or the
// policy is not there.
func (h *Handbook) WhyNot(w *World, id signalbox.IncidentID, name string) (d signalbox.Decision, ok bool) {
	inc, r := w.State.Incidents[id], h.rules[name]
	if inc == nil || r == nil {
		return signalbox.Decision{}, false
	}
	l := newLook(h, w, inc)
	d = l.finish(l.whyNot(r))
	d.Hands, d.Demote, d.Demotes, d.Want, d.Page, d.GaveUp = nil, "", "", nil, nil, ""
	return d, true
}

// whyNot looks at one policy: first at what keeps it from being asked at all,
// then at its guards.
func (l *look) whyNot(r *rule) signalbox.Decision {
	if l.inc.Closed() {
		return l.hold("closed", "the incident ended %s at %s: %s", l.inc.End, clock(l.inc.ClosedAt), l.inc.EndReason)
	}
	if !slices.Contains(r.On, l.inc.Reading.Detector) {
		return l.hold("match", "policy %q is on %s, and this is of %s", r.Name, strings.Join(r.On, ", "), l.inc.Reading.Detector)
	}
	free := l.breached()
	if !free { // its own guard says the same of a step
		l.because = nil
	}
	if matched, err := l.matches(r); err != nil || !matched {
		return l.held()
	}
	for _, stands := range []func(*rule) string{l.suppression, l.otherPlan, l.before} {
		if why := stands(r); why != "" {
			free = false
		}
	}
	if l.inc.GaveUp != "" {
		free = false
		l.note("gave_up", false, "automation gave up: %s", l.inc.GaveUp)
	}
	m, err := l.nextMove(r)
	if err != nil {
		return l.hold("plan", "%v", err)
	}
	d := l.wouldTake(m, r)
	if !free && d.Verdict != signalbox.Preview {
		d.Verdict = signalbox.Hold
	}
	return d
}

// suppression notes the silence or inhibition that holds the incident.
func (l *look) suppression(*rule) string {
	s := l.suppressed()
	if s != "" {
		l.note("suppressed", false, "the source holds it under %s", s)
	}
	return s
}

// otherPlan notes the plan of another policy that is under way.
func (l *look) otherPlan(r *rule) string {
	p := l.inc.Plan
	if p == nil || p.Policy == r.Name {
		return ""
	}
	l.because = append(l.because, signalbox.Reason{
		Guard: "policy", Detail: fmt.Sprintf("policy %s was chosen at %s, and its runbook goes on", p.Policy, clock(l.inc.PlanAt)),
		Lifts: "nothing: an incident has one runbook",
	})
	return p.Policy
}

// before notes the policy that is asked earlier and matches too: the first one
// that may do more than watch is chosen.
func (l *look) before(r *rule) string {
	if l.inc.Plan != nil {
		return ""
	}
	for _, other := range l.h.on[l.inc.Reading.Detector] {
		if other == r {
			return ""
		}
		if effective(other.Autonomy, l.policyState(other.Name)) == Shadow {
			continue
		}
		kept := l.because
		matched, err := l.matches(other)
		l.because = kept
		if matched || err != nil {
			l.because = append(l.because, signalbox.Reason{
				Guard: "policy", Detail: fmt.Sprintf("policy %s stands before it in the configuration, and matches or can't be told not to", other.Name),
				Lifts: "another order of the policies, or a narrower match of " + other.Name,
			})
			return other.Name
		}
	}
	return ""
}

// nextMove is the step that a policy would take next: of its plan under way, or
// the first of a new one.
func (l *look) nextMove(r *rule) (*move, error) {
	p := l.inc.Plan
	if p == nil || p.Policy != r.Name {
		m, err := l.firstMove(r)
		if err != nil {
			return nil, err
		}
		m.shadow = true
		l.firstThrow(m)
		return m, nil
	}
	c := l.cursor(p)
	switch {
	case c.waits:
		return nil, fmt.Errorf("a step of its runbook is under way")
	case c.next < 0:
		return nil, fmt.Errorf("its runbook is at its end: %s", c.why)
	}
	return &move{plan: p, index: c.next, step: &p.Steps[c.next], rule: r, shadow: true}, nil
}

// wouldTake asks all guards of a move, then how far the policy may go, then
// for the approval that it needs.
func (l *look) wouldTake(m *move, r *rule) signalbox.Decision {
	d := signalbox.Decision{Verdict: signalbox.Hold, Plan: m.plan, Next: m.index, Step: m.step}
	if isPage(m.step) || m.step.Kind == waitKind {
		a := guardCondition(l, m)
		l.note("condition", a.effect == passes, "step %d, %s %s: %s", m.index+1, m.step.Kind, throw(m.step), orElse(a.detail, "nothing holds it"))
		if a.effect == passes {
			d.Verdict = signalbox.Act
		}
		return d
	}
	f := l.consider(m)
	l.because = slices.DeleteFunc(l.because, func(r signalbox.Reason) bool { return r.Guard == "autonomy" })
	far := effective(r.Autonomy, l.policyState(r.Name))
	detail := "it is in " + string(far)
	if s := demotion(l.policyState(r.Name)); s != "" {
		detail += "; " + s
	}
	l.note("autonomy", far == Approve || far == Auto, "%s", detail)
	switch {
	case f.preview:
		d.Verdict = signalbox.Preview
	case f.effect == passes && (far == Approve || far == Auto):
		asked := *m
		asked.shadow = false
		d.Verdict = signalbox.Act
		if why := l.wantsApproval(&asked); why != "" && l.approved(&asked, d, why).Verdict != signalbox.Act {
			d.Verdict = signalbox.Hold
		}
	}
	return d
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
