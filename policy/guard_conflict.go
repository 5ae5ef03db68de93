package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// guardConflict lets the stricter wait where two policies want different
// positions of one switch: the one in the lower autonomy, then the one that
// needs more origins, then the later in the configuration, then the later
// incident. A switch that stands thrown elsewhere for another open incident is
// not thrown over it.
func guardConflict(l *look, m *move) answer {
	if a := l.standsElsewhere(m); a.effect != passes {
		return a
	}
	mine := l.want(m)
	l.read(signalbox.WantKey(m.step.Name))
	wants := l.w.Facts.Wants(m.step.Name)
	for _, to := range sortedKeys(wants) {
		if to == m.step.To {
			continue
		}
		by := wants[to]
		ids := slices.Sorted(maps.Keys(by))
		for _, id := range ids {
			if id != l.inc.ID && stricter(mine, l.inc.ID, by[id], id) {
				detail := fmt.Sprintf("policy %s wants %s at %s for incident %s, and %s, which is the stricter, waits", by[id].Policy, m.step.Name, to, id, m.plan.Policy)
				return l.waitsFor(conflictWithin, answer{detail: detail, lifts: lifts["conflict"]})
			}
		}
	}
	return answer{effect: passes, detail: "nobody with more right wants " + m.step.Name + " elsewhere"}
}

// conflictWithin is how long the one with more right may take to throw a switch,
// or to want it no more, before the owner of the stricter is told that it waits.
const conflictWithin = 2 * time.Minute

// waitsFor holds for a while after the incident opened, and then holds and pages.
func (l *look) waitsFor(d time.Duration, a answer) answer {
	a.effect = blocks
	if end := l.inc.OpenedAt.Add(d); l.now.Before(end) {
		l.at(end)
		a.effect = waits
	}
	return a
}

// want is where a move wants its switch.
func (l *look) want(m *move) *signalbox.Want {
	w := &signalbox.Want{Switch: m.step.Name, To: m.step.To, Policy: m.plan.Policy, Autonomy: m.autonomy()}
	if m.plan.Needs != nil {
		w.Needs = m.plan.Needs.Origins
	}
	if m.rule != nil {
		w.Order = m.rule.order
	}
	return w
}

// stricter reports whether a is stricter than b: then a waits. Of two different
// incidents exactly one is.
func stricter(a *signalbox.Want, ida signalbox.IncidentID, b *signalbox.Want, idb signalbox.IncidentID) bool {
	return cmp.Or(
		cmp.Compare(rank(b.Autonomy), rank(a.Autonomy)),
		cmp.Compare(a.Needs, b.Needs),
		cmp.Compare(a.Order, b.Order),
		strings.Compare(string(ida), string(idb)),
	) > 0
}

// standsElsewhere holds where the switch stands thrown by another incident that
// is not over.
func (l *look) standsElsewhere(m *move) answer {
	for _, t := range m.targets {
		_, a := l.thrownOn(t)
		if a == nil || a.Incident == l.inc.ID || a.Step.To == m.step.To {
			continue
		}
		l.read(signalbox.IncidentKey(a.Incident))
		if other := l.w.State.Incidents[a.Incident]; other != nil && !other.Closed() {
			return answer{
				blocks, fmt.Sprintf("%s stands at %s for incident %s on %s (policy %s), which is not over", a.Step.Name, a.Step.To, a.Incident, other.Reading.Subject, a.Policy),
				"incident " + string(a.Incident) + " ends",
			}
		}
	}
	return answer{effect: passes}
}

// Conflict is a pair of policies that may want different positions of one
// switch at the same time.
type Conflict struct {
	Policies  [2]string // the second is the stricter, and waits
	Switch    string
	Positions [2]string
	Detectors [2]string // an example: incidents of these are open at once
}

// String tells the conflict with an example.
func (c Conflict) String() string {
	return fmt.Sprintf("policies %q and %q want switch %q at different positions: while an incident of %q is open, %s throws it to %s; an incident of %q then would have it at %s by %s, which is the stricter, and waits",
		c.Policies[0], c.Policies[1], c.Switch, c.Detectors[0], c.Policies[0], c.Positions[0], c.Detectors[1], c.Positions[1], c.Policies[1])
}

// Conflicts finds, without looking at any incident, the pairs of policies that
// may want different positions of one switch at once, in the order of the
// configuration. Policies in shadow want nothing.
func (h *Handbook) Conflicts() (found []Conflict) {
	rules := slices.SortedFunc(maps.Values(h.rules), func(a, b *rule) int { return cmp.Compare(a.order, b.order) })
	for i, a := range rules {
		for _, b := range rules[i+1:] {
			if c, ok := conflict(a, b); ok {
				found = append(found, c)
			}
		}
	}
	return found
}

func conflict(a, b *rule) (Conflict, bool) {
	if a.Autonomy == Shadow || b.Autonomy == Shadow || excluded(a, b) {
		return Conflict{}, false
	}
	if rank(a.Autonomy) < rank(b.Autonomy) || a.Autonomy == b.Autonomy && a.Needs > b.Needs {
		a, b = b, a
	}
	for _, s := range a.Runbook {
		for _, t := range b.Runbook {
			if !quiet(&s) && s.Name == t.Name && s.Kind == t.Kind && s.To != t.To {
				return Conflict{Policies: [2]string{a.Name, b.Name}, Switch: s.Name, Positions: [2]string{s.To, t.To}, Detectors: [2]string{a.On[0], b.On[0]}}, true
			}
		}
	}
	return Conflict{}, false
}

// excluded reports whether two policies are never both chosen: of one detector,
// by labels that can't both be right for incidents on the same subject.
func excluded(a, b *rule) bool {
	if !slices.Equal(a.On, b.On) {
		return false
	}
	for name, v := range a.Match {
		if w, ok := b.Match[name]; ok && v != w {
			return true
		}
	}
	return false
}
