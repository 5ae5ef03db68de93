package policy

import (
	"fmt"

	signalbox "github.com/signalbox/signalbox"
)

// checkFlow checks how one step stands in its runbook.
func (h *Handbook) checkFlow(p *Policy, i int) (errs []error) {
	s := &p.Runbook[i]
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("policy %q: runbook[%d]."+format, append([]any{p.Name, i}, args...)...))
	}
	for j, other := range p.Runbook[:i] {
		if s.ID != "" && s.ID == other.ID {
			fail("id must be another than that of runbook[%d], got %q", j, s.ID)
		}
		if s.Lane > 0 && s.Lane == other.Lane && s.Kind == other.Kind && s.Name == other.Name {
			fail("parallel steps must be on switches of their own, got %q twice", s.Name)
		}
	}
	if s.Lane > 0 && i > 0 && p.Runbook[i-1].Lane != s.Lane && lanes(p.Runbook[:i])[s.Lane] {
		fail("parallel steps must stand next to each other")
	}
	if s.Rescue < 0 || s.Rescue > i {
		fail("on_failure must be of an earlier step, got %d", s.Rescue)
	} else if s.Rescue > 0 && p.Runbook[s.Rescue-1].Rescue != 0 {
		fail("on_failure must not be of a step that is itself one")
	}
	if s.Rescue > 0 && s.Lane > 0 {
		fail("on_failure must not run steps at once")
	}
	if s.Within < 0 || s.Most < 0 || s.Pace.N < 0 || s.Pace.N > 0 && s.Pace.Per <= 0 {
		fail("within, most and pace must not be negative")
	}
	if s.Else != signalbox.ElseHold && s.Else != signalbox.ElseSkip {
		fail("else must be hold or skip, got %q", s.Else)
	}
	if s.Then != signalbox.ThenVerify && s.Then != signalbox.ThenNext {
		fail("then must be verify or next, got %q", s.Then)
	}
	if s.Kind == waitKind {
		errs = append(errs, h.checkWait(p, i)...)
	} else if s.Until != nil {
		fail("wait must stand alone in its step")
	}
	return errs
}

func (h *Handbook) checkWait(p *Policy, i int) (errs []error) {
	s := &p.Runbook[i]
	place := fmt.Sprintf("runbook[%d].wait", i)
	if s.Within == 0 {
		errs = append(errs, fmt.Errorf("policy %q: %s.within is required: nothing is waited for without an end", p.Name, place))
	}
	switch {
	case s.Until == nil || (s.Until.If == "") == (s.Until.Witness.Detector == ""):
		errs = append(errs, fmt.Errorf("policy %q: %s must have either a detector or if", p.Name, place))
	case s.Until.If == "":
		errs = append(errs, h.checkWitness(p.Name, place, s.Until.Witness)...)
	}
	return errs
}

func lanes(steps []signalbox.Step) map[int]bool {
	found := map[int]bool{}
	for _, s := range steps {
		found[s.Lane] = true
	}
	return found
}
