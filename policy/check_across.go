package policy

import (
	"fmt"
	"slices"
	"strings"
)

// scopeKinds are what a scope of a budget may begin with, beside "all".
var scopeKinds = []string{"policy", "owner", "class", "kind", "target"}

// addGuards checks and compiles the guards across all policies.
func (h *Handbook) addGuards() (errs []error) {
	for i, s := range h.config.Budgets {
		kind, name, _ := strings.Cut(s.Scope, "/")
		if s.Scope != BudgetAll && (name == "" || !slices.Contains(scopeKinds, kind)) {
			errs = append(errs, fmt.Errorf("guards: budgets[%d]: scope must be all or one of %s/NAME, got %q", i, strings.Join(scopeKinds, "/NAME, "), s.Scope))
		}
		errs = append(errs, checkRates("guards: scope "+s.Scope, s.Rates)...)
		h.budgets[s.Scope] = append(h.budgets[s.Scope], s.Rates...)
	}
	for i := range h.config.Blast {
		errs = append(errs, h.addBlast(&h.config.Blast[i])...)
	}
	errs = append(errs, h.config.Flapping.check()...)
	errs = append(errs, h.addChanges()...)
	errs = append(errs, h.addOwners()...)
	for i, d := range h.config.Depends {
		c, err := newDependency(d)
		if err != nil {
			errs = append(errs, fmt.Errorf("depends_on[%d]: %w", i, err))
			continue
		}
		h.depends = append(h.depends, c)
	}
	return append(errs, h.checkCycles()...)
}

func (h *Handbook) addBlast(b *Blast) (errs []error) {
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("guards: blast_radius %q: "+format, append([]any{b.Name}, args...)...))
	}
	if b.Share < 0 || b.Share > 1 || b.Mass < 0 || b.Mass > 1 {
		fail("share and mass must be from 0 to 1, got %g and %g", b.Share, b.Mass)
	}
	if b.Floor < 1 {
		fail("floor must be at least 1, so that small wholes work, got %d", b.Floor)
	}
	if len(b.Detectors) == 0 {
		fail("detectors must name at least one")
	}
	for _, d := range b.Detectors {
		if _, known := h.detectors[d]; !known {
			fail("detectors must name a detector, got %q", d)
		}
		h.blasts[d] = append(h.blasts[d], b)
	}
	return errs
}

func (h *Handbook) addChanges() (errs []error) {
	for i, c := range h.config.Changes {
		if _, known := h.detectors[c.Detector]; !known {
			errs = append(errs, fmt.Errorf("guards: changes[%d] %q: detector must name a detector, got %q", i, c.Name, c.Detector))
		}
	}
	return errs
}

func (h *Handbook) addOwners() (errs []error) {
	for _, o := range h.config.Owners {
		h.owners[o.Name] = o
	}
	for _, o := range h.config.Owners {
		fail := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("owner %q: "+format, append([]any{o.Name}, args...)...))
		}
		if o.Escalates && o.AcknowledgeWithin <= 0 {
			fail("acknowledge_within must be above 0, got %s", o.AcknowledgeWithin)
		}
		if o.Escalates && !o.Backup && o.LastResort == "" {
			fail("must have a backup or a last resort to escalate to")
		}
		if !o.Escalates && (o.Backup || o.LastResort != "") {
			fail("must not have a backup or a last resort: its pager escalates")
		}
		for _, name := range append([]string{o.LastResort}, o.Informs...) {
			if _, known := h.owners[name]; name != "" && !known {
				fail("last_resort and informs must name an owner, got %q", name)
			}
		}
	}
	for i, r := range h.config.Ownership {
		if _, known := h.owners[r.Owner]; !known {
			errs = append(errs, fmt.Errorf("ownership[%d]: owner must name an owner, got %q", i, r.Owner))
		}
	}
	return errs
}

// changeOf names the change that a detector sees; "": none.
func (h *Handbook) changeOf(detector string) string {
	i := slices.IndexFunc(h.config.Changes, func(c Change) bool { return c.Detector == detector })
	if i < 0 {
		return ""
	}
	return h.config.Changes[i].Name
}

func (h *Handbook) isChange(name string) bool {
	return slices.ContainsFunc(h.config.Changes, func(c Change) bool { return c.Name == name })
}
