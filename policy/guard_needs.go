package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// corroborateWithin is how long the other witnesses may take to see what the
// first one saw, before its owner is told that they do not.
const corroborateWithin = time.Minute

// needsOf is what a policy's plans need: all of its detectors are heard on the
// incident's subject, and its witnesses beside them.
func needsOf(p *Policy) *signalbox.Corroboration {
	if p.Needs <= 1 {
		return nil
	}
	c := &signalbox.Corroboration{Origins: p.Needs}
	for _, d := range p.On {
		c.Witnesses = append(c.Witnesses, signalbox.Witness{Detector: d})
	}
	c.Witnesses = append(c.Witnesses, p.Witnesses...)
	return c
}

// guardNeeds asks that independent origins see the breach: who measured differs,
// as far as is declared or known. A reading whose origin is not declared may
// come from any of the others, so it never makes one more.
func guardNeeds(l *look, m *move) answer {
	c := m.plan.Needs
	if l.overdue(m) {
		return answer{effect: passes, detail: "its series is well: its ids need no witness any more"}
	}
	if c == nil {
		return answer{effect: passes, detail: "its own series is enough"}
	}
	seen, silent := map[string]bool{}, []string(nil)
	undeclared := l.hear(l.own, seen)
	for _, w := range c.Witnesses {
		if w.Subject == "" {
			w.Subject = l.inc.Reading.Subject
		}
		heard := false
		for _, r := range l.witness(w) {
			if r.Condition == signalbox.Breached {
				undeclared = l.hear(r, seen) || undeclared
				heard = true
			}
		}
		if !heard {
			silent = append(silent, w.Detector+" on "+w.Subject)
		}
	}
	count := len(seen)
	if count == 0 && undeclared {
		count = 1
	}
	detail := fmt.Sprintf("%d of %d independent origins see it (%s)", count, c.Origins, strings.Join(slices.Sorted(maps.Keys(seen)), ", "))
	if count >= c.Origins {
		return answer{effect: passes, detail: detail}
	}
	if undeclared {
		detail += "; a signal without a declared origin counts as dependent"
	}
	if len(silent) > 0 {
		detail += "; not seen by " + strings.Join(silent, ", ")
	}
	return l.waitsFor(corroborateWithin, answer{detail: detail})
}

// hear counts the origin of a breach that is fresh, and reports whether the
// origin is not declared.
func (l *look) hear(r *signalbox.Reading, seen map[string]bool) (undeclared bool) {
	if r == nil || r.Condition != signalbox.Breached {
		return false
	}
	if ok, _ := l.fresh(r); !ok {
		return false
	}
	if r.Origin == "" {
		return true
	}
	seen[r.Origin] = true
	return false
}
