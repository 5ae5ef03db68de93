package policy

import (
	"fmt"
	"strings"

	signalbox "github.com/signalbox/signalbox"
)

// guardItems bounds a step about a list of ids: it needs at least one that no
// earlier action had, and no more than its pace allows.
func guardItems(l *look, m *move) answer {
	if m.step.Most == 0 {
		return answer{effect: passes, detail: "it takes no ids"}
	}
	if len(m.step.Items) == 0 {
		return answer{effect: blocks, detail: "its incident names no ids that were not taken already", lifts: "ids that its detector finds"}
	}
	if full := l.ledgerFull(m); full.effect != passes {
		return full
	}
	if a := l.stillAwaited(m); a.effect != passes {
		return a
	}
	pace, scope := m.step.Pace, itemScope(m.step)
	detail := fmt.Sprintf("%d ids, at most %d at once", len(m.step.Items), m.step.Most)
	if pace.N == 0 {
		return answer{effect: passes, detail: detail}
	}
	times, spent := l.spend(scope), 0
	for _, t := range times {
		if l.now.Sub(t) < pace.Per {
			spent++
		}
	}
	detail = fmt.Sprintf("%s; %s: %d of %d in %s are spent", detail, scope, spent, pace.N, span(pace.Per))
	for range m.step.Items[1:] {
		times = append(times[:len(times):len(times)], l.now) // as if all but the last were spent
	}
	a := l.window(scope, pace.N, pace.Per, times)
	if a.effect == passes {
		return answer{effect: passes, detail: detail}
	}
	free := strings.Replace(a.lifts, "one is", "so many are", 1)
	if l.batches(m) > 0 { // its pace alone is what the next ids wait for
		return answer{waits, detail + ", " + free, free}
	}
	return answer{blocks, detail + ", " + free, free}
}

// batches counts those of a step that were taken already for this incident.
func (l *look) batches(m *move) (n int) {
	for _, a := range l.actions {
		if a.Undoes == "" && a.Index == m.index && a.Stage == signalbox.Done {
			n++
		}
	}
	return n
}

// ItemsPrefix begins the scope in which a step's ids are spent, one by one.
const ItemsPrefix = "items/"

func itemScope(s *signalbox.Step) string { return ItemsPrefix + s.Name }

// items are the ids that a step takes next: as many of those that are left as
// the step and its pace allow at once.
func (l *look) items(s *signalbox.Step) []string {
	most := s.Most
	if s.Pace.N > 0 {
		most = min(most, s.Pace.N)
	}
	return l.left(s, most)
}

// left are ids of the incident, in their order, that no earlier action of any
// incident has: the first of them, at most so many.
func (l *look) left(s *signalbox.Step, most int) []string {
	if s.Most == 0 {
		return nil
	}
	taken := map[string]bool{}
	for _, a := range l.actions {
		if mayHaveTaken(a) {
			for _, it := range a.Step.Items {
				taken[it] = true
			}
		}
	}
	spent, _, first := l.ledger(itemScope(s))
	var items []string
	for _, it := range l.inc.Reading.Items {
		if len(items) == most {
			break
		}
		if spent[ItemKey(it)] {
			l.at(first)
		} else if !taken[it] {
			items = append(items, it)
		}
	}
	return items
}
