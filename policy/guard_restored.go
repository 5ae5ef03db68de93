package policy

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// guardRestored holds what is bounded by a window of the past after a person
// confirmed a store that had gone back in time: what was spent since the copy is
// not known, so it counts as all of it. What is taken back is not held.
func guardRestored(l *look, m *move) answer {
	l.read(signalbox.StoreKey)
	at := l.w.State.Store.ConfirmedAt()
	if at.IsZero() {
		return answer{effect: passes, detail: "the store never went back in time"}
	}
	window, of := l.longestWindow(m)
	end := at.Add(window)
	if !l.now.Before(end) {
		return answer{effect: passes, detail: fmt.Sprintf("the store was confirmed at %s, longer ago than %s", clock(at), of)}
	}
	l.at(end)
	return answer{
		blocks, fmt.Sprintf("the store was restored, and confirmed at %s: %s counts as spent", clock(at), of),
		"passes at " + clock(end),
	}
}

// longestWindow is the longest time for which a guard of the move looks back,
// and whose it is.
func (l *look) longestWindow(m *move) (longest time.Duration, of string) {
	longer := func(d time.Duration, what string) {
		if d > longest {
			longest, of = d, what+" of "+span(d)
		}
	}
	longer(m.plan.Cooldown, "the cooldown")
	rates := func(scope string, rates []Rate) {
		for _, r := range rates {
			longer(r.Per, "the budget "+scope)
		}
	}
	if m.rule != nil {
		rates(budgetScope(m.plan.Policy), m.rule.Budget)
	}
	for _, scope := range l.scopes(m) {
		rates(scope, l.h.budgets[scope])
	}
	for _, t := range m.targets {
		rates("target/"+string(t), l.h.budgets["target/"+string(t)])
	}
	for _, b := range l.h.blasts[l.inc.Reading.Detector] {
		longer(b.within(), "the blast radius "+b.Name)
	}
	if m.step.Most > 0 {
		longer(LedgerFor, "the ledger of ids")
	}
	return longest, of
}
