package policy

import (
	"fmt"
	"slices"

	signalbox "github.com/signalbox/signalbox"
)

// autonomies are in order, from the least.
var autonomies = []Autonomy{Shadow, Suggest, Approve, Auto}

func rank(a Autonomy) int { return slices.Index(autonomies, a) }

// effective is how far a policy may go now: as far as it is configured to, and
// not further than a demotion lets it.
func effective(configured Autonomy, s *signalbox.PolicyState) Autonomy {
	if s != nil && s.Demoted != nil && rank(s.Demoted.To) < rank(configured) {
		return s.Demoted.To
	}
	return configured
}

// Effective is how far a policy may go by itself, given what is known of it. It
// never is further than its configuration says; Shadow for a policy that is not
// there.
func (h *Handbook) Effective(name string, s *signalbox.PolicyState) Autonomy {
	if r := h.rules[name]; r != nil {
		return effective(r.Autonomy, s)
	}
	return Shadow
}

// Configured is how far the configuration lets a policy go.
func (h *Handbook) Configured(name string) Autonomy {
	if r := h.rules[name]; r != nil {
		return r.Autonomy
	}
	return Shadow
}

// Demoted is where a policy falls by itself, given what is known of it: one
// step, and never below suggest, so that it goes on telling what it would do.
// From auto it falls to approve where somebody may approve it. ok is false
// where it can't fall.
func (h *Handbook) Demoted(name string, s *signalbox.PolicyState) (to Autonomy, ok bool) {
	switch h.Effective(name, s) {
	case Auto:
		if h.config.Approvers[name] > 0 {
			return Approve, true
		}
		return Suggest, true
	case Approve:
		return Suggest, true
	}
	return "", false
}

// demotion says in a line that a policy is demoted; empty: it is not.
func demotion(s *signalbox.PolicyState) string {
	if s == nil || s.Demoted == nil {
		return ""
	}
	return fmt.Sprintf("demoted to %s at %s: %s", s.Demoted.To, clock(s.Demoted.At), s.Demoted.Why)
}

func (l *look) policyState(name string) *signalbox.PolicyState {
	l.readPolicy(name)
	return l.w.State.Policies[name]
}

// autonomy is how far a move may go: as far as its plan could when it began,
// since a runbook is not cut by what its own first step did.
func (m *move) autonomy() Autonomy {
	if m.plan == nil || m.plan.Autonomy == "" { // of before plans kept it
		return Auto
	}
	return m.plan.Autonomy
}

// suggest pages once with the plan, and what would have held it.
func (l *look) suggest(m *move, f finding) signalbox.Decision {
	why := "policy " + m.plan.Policy + " suggests to throw " + throw(m.step)
	if f.effect != passes {
		why += "; it would be held: " + f.why
	}
	if slices.Contains(l.inc.Told, ToldPlan+m.plan.Policy) {
		return l.hold("suggest", "%s; it starts nothing", why)
	}
	l.note("suggest", false, "%s; it starts nothing", why)
	if s := l.suppressed(); s != "" {
		return l.hold("suppressed", "the source holds it under %s: no page", s)
	}
	note := l.pageNote(why, "")
	note.Plan = l.planLines(m)
	return signalbox.Decision{Verdict: signalbox.Escalate, Page: note, Plan: m.plan, Next: m.index, Step: m.step}
}

// ToldPlan begins the mark in Incident.Told of a policy whose plan was paged.
const ToldPlan = "plan/"

// planLines are a plan for people, a line a step.
func (l *look) planLines(m *move) []string {
	var lines []string
	for i := range m.plan.Steps {
		s := &m.plan.Steps[i]
		line := fmt.Sprintf("%d. %s %s", i+1, s.Kind, throw(s))
		if i == m.index && m.forecast != nil {
			line += fmt.Sprintf(" (found %s; touches %s", found(m.forecast), joinTargets(m.forecast.Targets))
			if m.forecast.Reach != "" {
				line += "; " + m.forecast.Reach
			}
			line += ")"
		}
		if s.If != "" {
			line += " if " + s.If
		}
		if s.Undo != "" {
			line += ", undo " + string(s.Undo)
		}
		lines = append(lines, line)
	}
	if m.forecast != nil && m.forecast.ByHand != "" {
		lines = append(lines, "back by hand: "+m.forecast.ByHand)
	}
	return lines
}
