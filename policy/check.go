package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// pageKind is the kind of the steps that only tell a person. They throw
// nothing, so nothing gates them and no effect is awaited.
const pageKind = "page"

func isPage(s *signalbox.Step) bool { return s.Kind == pageKind }

// waitKind is the kind of the steps that only wait.
const waitKind = "wait"

// throwsNothing reports whether a step has no effect on any target.
func throwsNothing(s *signalbox.Step) bool { return s.Kind == pageKind || s.Kind == waitKind }

// sourcePrefix begins the names of the detectors under which the engine keeps
// the incidents of sources that are themselves Unknown.
const sourcePrefix = "source/"

// checkBounds checks what holds across policies.
func checkBounds(c Config) (errs []error) {
	errs = append(errs, checkRates("guards", c.Budget)...)
	for i, f := range c.Freeze {
		if f.Covers != nil || f.Calendar != "" {
			continue
		}
		if !f.To.After(f.From) {
			errs = append(errs, fmt.Errorf("guards: freeze[%d] %q: to must be after from (%s), got %s", i, f.Name, clock(f.From), clock(f.To)))
		}
	}
	if c.Ineffective < 0 {
		errs = append(errs, fmt.Errorf("guards: ineffective must not be negative, got %d", c.Ineffective))
	}
	if c.ForecastAge < 0 {
		errs = append(errs, fmt.Errorf("guards: the age of a forecast must not be negative, got %s", c.ForecastAge))
	}
	return errs
}

func checkRates(place string, rates []Rate) (errs []error) {
	for i, r := range rates {
		if r.Burst < 0 || r.Burst > r.N {
			errs = append(errs, fmt.Errorf("%s: budget[%d]: burst must be from 1 to %d, got %d", place, i, r.N, r.Burst))
		}
		if r.N < 1 || r.Per <= 0 {
			errs = append(errs, fmt.Errorf("%s: budget[%d] must be at least 1 action in a time above 0, got %d in %s", place, i, r.N, r.Per))
		}
	}
	return errs
}

// check checks one policy by itself, apart from its conditions.
func (h *Handbook) check(p *Policy) (errs []error) {
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("policy %q: "+format, append([]any{p.Name}, args...)...))
	}
	if p.Name == "" {
		fail("must have a name")
	}
	if h.rules[p.Name] != nil {
		fail("must be named only once")
	}
	if rank(p.Autonomy) < 0 {
		fail("autonomy must be shadow, suggest, approve or auto, got %q", p.Autonomy)
	}
	if p.ApproveWithin < 0 {
		fail("approve.within must not be negative, got %s", p.ApproveWithin)
	}
	for _, name := range append(slices.Clone(p.During), p.Ignores...) {
		if !h.isChange(name) {
			fail("during and ignore_changes must name a change, got %q", name)
		}
	}
	if p.Needs < 0 {
		fail("needs must not be negative, got %d", p.Needs)
	}
	heard := map[string]bool{}
	for _, d := range p.On {
		heard[d] = true
	}
	for i, w := range p.Witnesses {
		if _, known := h.detectors[w.Detector]; !known {
			fail("witnesses[%d] must name a detector, got %q", i, w.Detector)
		}
		heard[w.Detector] = true
	}
	if p.Needs > len(heard) {
		fail("needs %d sources, and only %d detectors are heard", p.Needs, len(heard))
	}
	if len(p.On) == 0 {
		fail("on must name at least one detector")
	}
	for i, d := range p.On {
		if _, known := h.detectors[d]; !known {
			fail("on[%d] must name a detector, got %q", i, d)
		}
		if slices.Contains(p.On[:i], d) {
			fail("on[%d] must name a detector only once, got %q", i, d)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"verify.within", p.VerifyWithin}, {"undo.after_healthy", p.AfterHealthy}, {"guards.cooldown", p.Cooldown}} {
		if d.value < 0 {
			fail("%s must not be negative, got %s", d.name, d.value)
		}
	}
	errs = append(errs, h.checkVerify(p)...)
	errs = append(errs, checkRates(fmt.Sprintf("policy %q", p.Name), p.Budget)...)
	return append(errs, h.checkRunbook(p)...)
}

func (h *Handbook) checkVerify(p *Policy) []error {
	if p.Verify == (signalbox.Witness{}) {
		return nil
	}
	return h.checkWitness(p.Name, "verify", p.Verify)
}

func (h *Handbook) checkRunbook(p *Policy) (errs []error) {
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("policy %q: "+format, append([]any{p.Name}, args...)...))
	}
	if len(p.Runbook) == 0 {
		fail("runbook must have at least one step")
	}
	for i := range p.Runbook {
		s := &p.Runbook[i]
		if s.Kind == "" || s.Name == "" {
			fail("runbook[%d] must have a kind and a name, got %q and %q", i, s.Kind, s.Name)
		}
		errs = append(errs, h.checkFlow(p, i)...)
		if quiet(s) {
			continue
		}
		if p.VerifyWithin == 0 {
			fail("verify.within must be above 0, since runbook[%d] throws a switch", i)
		}
		if s.To == "" && !s.Tool {
			fail("runbook[%d].to must name a position", i)
		}
		switch s.Undo {
		case "", signalbox.UndoAuto, signalbox.UndoAsk, signalbox.UndoNever:
		default:
			fail("runbook[%d].undo must be auto, ask or never, got %q", i, s.Undo)
		}
		if _, proved := s.Health[s.To]; !proved && !s.Tool && (p.Autonomy == Auto || p.Autonomy == Approve) {
			fail("runbook[%d].health must say what proves position %q of %q healthy, since autonomy is %s", i, s.To, s.Name, p.Autonomy)
		}
		for _, position := range sortedKeys(s.Health) {
			errs = append(errs, h.checkWitness(p.Name, fmt.Sprintf("runbook[%d].health[%q]", i, position), s.Health[position])...)
		}
	}
	return errs
}

func (h *Handbook) checkWitness(policy, place string, w signalbox.Witness) (errs []error) {
	if _, known := h.detectors[w.Detector]; !known {
		errs = append(errs, fmt.Errorf("policy %q: %s.detector must name a detector, got %q", policy, place, w.Detector))
	}
	if w.Subject == "" {
		errs = append(errs, fmt.Errorf("policy %q: %s.subject must name a subject of %q", policy, place, w.Detector))
	}
	if strings.Count(w.Subject, "{{") != strings.Count(w.Subject, "}}") {
		errs = append(errs, fmt.Errorf("policy %q: %s.subject must name labels between {{ and }}, got %q", policy, place, w.Subject))
	}
	return errs
}
