package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	signalbox "github.com/signalbox/signalbox"
)

// plan resolves a policy's runbook for one incident: whole, so that it outlives
// the policy. An error names the label that a subject needs and that is missing.
// The steps are shared between plans, and nobody changes them.
func (r *rule) plan(labels map[string]string) (*signalbox.Plan, error) {
	p := &signalbox.Plan{
		Policy: r.Name, PolicyHash: r.hash, Autonomy: r.Autonomy, Steps: r.Runbook, VerifyWithin: r.VerifyWithin,
		Verify: r.Verify, AfterHealthy: r.AfterHealthy, Cooldown: r.Cooldown, Needs: r.needs,
	}
	if !r.templated {
		return p, nil
	}
	var err error
	if p.Verify.Subject, err = expand(r.Verify.Subject, labels); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if p.Needs, err = corroboration(r.needs, labels); err != nil {
		return nil, fmt.Errorf("needs: %w", err)
	}
	p.Steps = slices.Clone(r.Runbook)
	for i := range p.Steps {
		s := &p.Steps[i]
		s.Health = maps.Clone(s.Health)
		for _, position := range sortedKeys(s.Health) {
			w := s.Health[position]
			if w.Subject, err = expand(w.Subject, labels); err != nil {
				return nil, fmt.Errorf("health of %q: %w", position, err)
			}
			s.Health[position] = w
		}
		if s.Until != nil {
			until := *s.Until
			if until.Witness.Subject, err = expand(until.Witness.Subject, labels); err != nil {
				return nil, fmt.Errorf("wait: %w", err)
			}
			s.Until = &until
		}
	}
	return p, nil
}

// corroboration fills labels into the subjects of its witnesses.
func corroboration(c *signalbox.Corroboration, labels map[string]string) (*signalbox.Corroboration, error) {
	if c == nil {
		return nil, nil
	}
	filled := *c
	filled.Witnesses = slices.Clone(c.Witnesses)
	for i := range filled.Witnesses {
		w := &filled.Witnesses[i]
		subject, err := expand(w.Subject, labels)
		if err != nil {
			return nil, fmt.Errorf("witness %s: %w", w.Detector, err)
		}
		w.Subject = subject
	}
	return &filled, nil
}

func templated(text string) bool { return strings.Contains(text, "{{") }

// expand fills labels into a subject, once: a label's value is never a template.
func expand(text string, labels map[string]string) (string, error) {
	var b strings.Builder
	for {
		head, rest, found := strings.Cut(text, "{{")
		b.WriteString(head)
		if !found {
			return b.String(), nil
		}
		name, tail, closed := strings.Cut(rest, "}}")
		value := labels[strings.TrimSpace(name)]
		if !closed || value == "" {
			return "", fmt.Errorf("label %q is missing", strings.TrimSpace(name))
		}
		b.WriteString(value)
		text = tail
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
