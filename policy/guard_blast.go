package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// lookAtCensus is how long it takes until a blast radius that holds is looked at
// again: counts change with each reading, and are not among what makes a
// decision due.
const lookAtCensus = 15 * time.Second

// guardBlast bounds how much of a whole is touched at once, in each failure
// domain, and stops where so much is ill at once that it has a common cause, or
// is a broken monitor.
func guardBlast(l *look, m *move) answer {
	blasts := l.h.blasts[l.inc.Reading.Detector]
	if len(blasts) == 0 {
		return answer{effect: passes, detail: "no blast radius is set for its detector"}
	}
	var details []string
	domains := l.domains()
	for i, b := range blasts {
		a := l.blast(b, domains[i], m)
		if a.effect != passes {
			l.at(l.now.Add(lookAtCensus))
			return a
		}
		if !l.brief {
			details = append(details, a.detail)
		}
	}
	return answer{effect: passes, detail: joinAnd(details)}
}

func (l *look) blast(b *Blast, scope string, m *move) answer {
	l.readSpend(scope)
	all, counted := l.census(b)
	if b.Mass > 0 && float64(all.Breached) > b.Mass*float64(all.Known) && all.Breached > b.Floor {
		return answer{effect: stops, detail: fmt.Sprintf("%s: %d of %d subjects are ill at once, more than %.0f%%: a common cause, or a broken monitor", scope, all.Breached, all.Known, 100*b.Mass)}
	}
	allowed := b.Floor
	if share := int(b.Share * float64(all.Known)); counted && 2*all.Unknown <= all.Known && share > allowed {
		allowed = share
	}
	touched := l.touchedIn(scope, b)
	for _, t := range m.targets {
		touched[t] = true
	}
	if len(m.targets) == 0 {
		touched[""] = true // this one, whatever it will touch
	}
	if l.brief && len(touched) <= allowed {
		return answer{effect: passes}
	}
	detail := fmt.Sprintf("%s: %d touched at once with this one, at most %d (%.0f%% of %d, at least %d)", scope, len(touched), allowed, 100*b.Share, all.Known, b.Floor)
	if !counted || 2*all.Unknown > all.Known {
		detail += fmt.Sprintf("; %d of %d can't be seen, so that only the floor counts", all.Unknown, all.Known)
	}
	if len(touched) > allowed {
		return answer{effect: blocks, detail: detail}
	}
	return answer{effect: passes, detail: detail}
}

// touchedIn are the targets of a failure domain that are held, stand thrown, or
// were acted on lately.
func (l *look) touchedIn(scope string, b *Blast) map[signalbox.Target]bool {
	touched := map[signalbox.Target]bool{}
	for t, s := range l.w.State.InDomain(scope) {
		lately := slices.ContainsFunc(s.Acted, func(at time.Time) bool { return at.Add(b.within()).After(l.now) })
		if s.Holder != "" || s.Thrown != "" || lately {
			touched[t] = true
		}
	}
	return touched
}

// census sums the counts of the whole; false: some are not kept.
func (l *look) census(b *Blast) (all signalbox.Census, ok bool) {
	for _, d := range b.Detectors {
		c, kept := l.w.Facts.Census(d, l.inc.Reading.Labels, b.By)
		if !kept {
			l.missing(d)
			return all, false
		}
		all.Known += c.Known
		all.Breached += c.Breached
		all.Unknown += c.Unknown
	}
	return all, true
}

// scope names the failure domain to which labels belong, as a scope of Spend.
func (b *Blast) scope(labels map[string]string) string {
	parts := []string{"blast", b.Name}
	for _, name := range b.By {
		parts = append(parts, signalbox.KeyPart(labels[name]))
	}
	return strings.Join(parts, "/")
}

func (b *Blast) within() time.Duration {
	if b.Within > 0 {
		return b.Within
	}
	return time.Hour
}

// domains are the failure domains in which an action on the incident counts.
func (l *look) domains() []string {
	if l.inDomains == nil {
		for _, b := range l.h.blasts[l.inc.Reading.Detector] {
			l.inDomains = append(l.inDomains, b.scope(l.inc.Reading.Labels))
		}
	}
	return l.inDomains
}

// Counted are the censuses that decisions need: the labels by which the
// subjects of each detector are grouped.
func (h *Handbook) Counted(yield func(detector string, by []string)) {
	for i := range h.config.Blast {
		b := &h.config.Blast[i]
		for _, d := range b.Detectors {
			yield(d, b.By)
		}
	}
}
