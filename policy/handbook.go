package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Handbook is a compiled Config. It is immutable and safe for concurrent use.
type Handbook struct {
	config               Config
	detectors            map[string]Detector
	on                   map[string][]*rule // by detector, in the order of the configuration
	rules                map[string]*rule   // by name
	forward              []guard
	backward             []guard
	telling, tellingBack []guard
	budgets              map[string][]Rate   // by scope, over all policies
	blasts               map[string][]*Blast // by detector
	depends              []*dependency
	owners               map[string]Owner
	spends               map[string]signalbox.Key // of the scopes that are known
	seenBy               map[string][]string      // by detector: policies that several detectors tell of one illness
	afar                 map[string][]*rule       // by detector: those that it is a witness of on a subject of its own
}

// rule is a policy with what was compiled from it.
type rule struct {
	Policy
	hash      string
	key       signalbox.Key // of its state
	labels    []string      // of match, sorted
	order     int           // in the configuration
	templated bool          // a witness's subject names labels
	needs     *signalbox.Corroboration
	when      map[signalbox.Unit]*condition
	ifs       []map[signalbox.Unit]*condition // by step
	untils    []map[signalbox.Unit]*condition // by step: what it waits for
	hashes    []string                        // by step
	promises  bool                            // a step of it has a promise
}

// New compiles a configuration. All that is wrong is in the error, joined; each
// part names the policy or detector, the rule and the value. c is not kept.
func New(c Config) (*Handbook, error) {
	h := &Handbook{
		config:    c,
		detectors: map[string]Detector{},
		on:        map[string][]*rule{},
		rules:     map[string]*rule{},
		forward:   forwardGuards(),
		backward:  backwardGuards(),
		telling:   tellingGuards(), tellingBack: tellingBackGuards(),
		budgets: map[string][]Rate{BudgetAll: slices.Clone(c.Budget)},
		blasts:  map[string][]*Blast{},
		owners:  map[string]Owner{},
		spends:  map[string]signalbox.Key{},
		seenBy:  map[string][]string{},
		afar:    map[string][]*rule{},
	}
	h.config.Detectors = slices.Clone(c.Detectors)
	h.config.Policies = nil
	h.config.Budget = slices.Clone(c.Budget)
	h.config.Freeze = slices.Clone(c.Freeze)
	h.config.Blast = slices.Clone(c.Blast)
	h.config.Changes = slices.Clone(c.Changes)
	if c.Ineffective == 0 {
		h.config.Ineffective = defaultIneffective
	}
	if c.ForecastAge == 0 {
		h.config.ForecastAge = defaultForecastAge
	}
	errs := h.addDetectors()
	errs = append(errs, checkBounds(c)...)
	errs = append(errs, h.addGuards()...)
	compiler := newCompiler()
	for _, p := range c.Policies {
		errs = append(errs, h.addPolicy(compiler, p)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *Handbook) addDetectors() (errs []error) {
	for i, d := range h.config.Detectors {
		switch _, twice := h.detectors[d.Name]; {
		case d.Name == "":
			errs = append(errs, fmt.Errorf("detectors[%d]: must have a name", i))
		case twice:
			errs = append(errs, fmt.Errorf("detector %q: must be named only once", d.Name))
		case d.Fresh < 0:
			errs = append(errs, fmt.Errorf("detector %q: fresh must not be negative, got %s", d.Name, d.Fresh))
		}
		if d.Fresh == 0 {
			d.Fresh = defaultFresh
		}
		h.detectors[d.Name] = d
	}
	return errs
}

func (h *Handbook) addPolicy(compiler *compiler, given Policy) []error {
	p := given.clone()
	errs := h.check(&p)
	r := &rule{Policy: p, order: len(h.rules), key: signalbox.PolicyKey(p.Name), labels: sortedKeys(p.Match)}
	scopes := []string{BudgetAll, budgetScope(p.Name)}
	for i := range p.Runbook {
		scopes = append(scopes, "kind/"+p.Runbook[i].Kind)
	}
	for _, scope := range scopes {
		h.spends[scope] = signalbox.BudgetKey(scope)
	}
	content, err := json.Marshal(p)
	if err != nil {
		errs = append(errs, fmt.Errorf("policy %q: runbook: a step's spec is not JSON: %w", p.Name, err))
	}
	sum := sha256.Sum256(content)
	r.hash = hex.EncodeToString(sum[:8])
	errs = append(errs, h.compile(compiler, r)...)
	h.rules[p.Name] = r
	for _, d := range p.On {
		h.on[d] = append(h.on[d], r)
	}
	for _, w := range p.Witnesses {
		if w.Subject != "" && !slices.Contains(h.afar[w.Detector], r) {
			h.afar[w.Detector] = append(h.afar[w.Detector], r)
		}
	}
	if seen := seenOn(&p); len(seen) > 1 {
		for _, d := range seen {
			h.seenBy[d] = append(h.seenBy[d], p.Name)
		}
	}
	return errs
}

// seenOn are the detectors that a policy hears on the subject of its incident,
// once each.
func seenOn(p *Policy) []string {
	seen := slices.Clone(p.On)
	for _, w := range p.Witnesses {
		if w.Subject == "" && w.Detector != "" {
			seen = append(seen, w.Detector)
		}
	}
	slices.Sort(seen)
	return slices.Compact(seen)
}

// compile fills in what is computed once: conditions, and whether a plan has
// templates.
func (h *Handbook) compile(compiler *compiler, r *rule) (errs []error) {
	r.when = map[signalbox.Unit]*condition{}
	r.ifs = make([]map[signalbox.Unit]*condition, len(r.Runbook))
	r.untils = make([]map[signalbox.Unit]*condition, len(r.Runbook))
	r.hashes = make([]string, len(r.Runbook))
	r.templated = templated(r.Verify.Subject)
	r.needs = needsOf(&r.Policy)
	for _, w := range r.Witnesses {
		r.templated = r.templated || templated(w.Subject)
	}
	for i, s := range r.Runbook {
		r.hashes[i] = s.Hash()
		r.promises = r.promises || s.Promise > 0
		r.ifs[i], r.untils[i] = map[signalbox.Unit]*condition{}, map[signalbox.Unit]*condition{}
		if s.Until != nil {
			r.templated = r.templated || templated(s.Until.Witness.Subject)
		}
		for _, w := range s.Health {
			r.templated = r.templated || templated(w.Subject)
		}
	}
	for _, name := range r.On {
		unit := h.detectors[name].Unit
		if _, known := r.when[unit]; known {
			continue
		}
		c, err := compiler.compile(r.When, unit, h.destinationUnit(firstSwitch(r.Runbook))...)
		if err != nil {
			errs = append(errs, fmt.Errorf("policy %q: when: %w in %q", r.Name, err, r.When))
		}
		r.when[unit] = c
		for i := range r.Runbook {
			s := &r.Runbook[i]
			c, err := compiler.compileStep(s.If, unit, r.earlier(i), h.destinationUnit(s)...)
			if err != nil {
				errs = append(errs, fmt.Errorf("policy %q: runbook[%d].if: %w in %q", r.Name, i, err, s.If))
			}
			r.ifs[i][unit] = c
			if s.Until == nil {
				continue
			}
			if r.untils[i][unit], err = compiler.compileStep(s.Until.If, unit, r.earlier(i)); err != nil {
				errs = append(errs, fmt.Errorf("policy %q: runbook[%d].wait.if: %w in %q", r.Name, i, err, s.Until.If))
			}
		}
	}
	return errs
}

// earlier are the ids of the steps before one.
func (r *rule) earlier(i int) (ids []string) {
	for _, s := range r.Runbook[:i] {
		if s.ID != "" {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// firstSwitch is the step whose destination `when` speaks of; nil: the runbook
// throws no switch.
func firstSwitch(steps []signalbox.Step) *signalbox.Step {
	for i := range steps {
		if !quiet(&steps[i]) && !steps[i].Tool {
			return &steps[i]
		}
	}
	return nil
}

// destinationUnit is the unit of what proves the destination's health; empty:
// nothing does.
func (h *Handbook) destinationUnit(s *signalbox.Step) []signalbox.Unit {
	if s == nil {
		return nil
	}
	w, ok := s.Health[s.To]
	if !ok {
		return nil
	}
	return []signalbox.Unit{h.detectors[w.Detector].Unit}
}

// Hash identifies the whole configuration, as Config gave it.
func (h *Handbook) Hash() string { return h.config.Hash }

// PolicyHash identifies one policy by its content: any edit of it changes the
// hash. It is empty for a policy that is not there.
func (h *Handbook) PolicyHash(name string) string {
	if r := h.rules[name]; r != nil {
		return r.hash
	}
	return ""
}

// On returns the names of the policies on a detector, in the order of the
// configuration.
func (h *Handbook) On(detector string) []string {
	names := make([]string, len(h.on[detector]))
	for i, r := range h.on[detector] {
		names[i] = r.Name
	}
	return names
}

// Policies returns the names of the policies, sorted.
func (h *Handbook) Policies() []string {
	names := make([]string, 0, len(h.rules))
	for name := range h.rules {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// BudgetAll is the scope of the budget over all policies.
const BudgetAll = "all"

func budgetScope(policy string) string { return "policy/" + policy }

// LongestWindow is how far back any cooldown or budget looks: times of actions
// that are older need not be kept.
func (h *Handbook) LongestWindow() time.Duration {
	longest := 24 * time.Hour // in which actions on a target are counted
	for _, rates := range h.budgets {
		for _, r := range rates {
			longest = max(longest, r.Per)
		}
	}
	for _, b := range h.config.Blast {
		longest = max(longest, b.within())
	}
	for _, p := range h.rules {
		longest = max(longest, p.Cooldown)
		for _, r := range p.Budget {
			longest = max(longest, r.Per)
		}
	}
	return longest
}

func (p Policy) clone() Policy {
	p.On = slices.Clone(p.On)
	p.Budget = slices.Clone(p.Budget)
	p.Witnesses = slices.Clone(p.Witnesses)
	p.During, p.Ignores = slices.Clone(p.During), slices.Clone(p.Ignores)
	p.Runbook = slices.Clone(p.Runbook)
	for i := range p.Runbook {
		s := &p.Runbook[i]
		s.Spec = slices.Clone(s.Spec)
		s.Health = maps.Clone(s.Health)
		if s.Until != nil {
			until := *s.Until
			s.Until = &until
		}
	}
	p.Match = maps.Clone(p.Match)
	return p
}
