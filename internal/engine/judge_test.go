package engine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// judge looks at what is left when all is over.
func (s *story) judge() []string {
	s.w.halt()
	s.w.after(time.Minute) // what was on its way arrives
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	say := func(format string, args ...any) { s.wrong = append(s.wrong, fmt.Sprintf(format, args...)) }
	s.wrong = append(s.wrong, s.p.wrong...)
	if _, err := s.w.reader().Verify(s.w.t.Context()); err != nil {
		say("journal: %v", err)
	}
	state := s.w.state()
	for id, a := range state.Actions {
		if a.InFlight() {
			say("action %s is still %s: %s", id, a.Stage, a.Reason)
		}
	}
	for key, p := range state.Pages {
		if p.Sent < p.Want {
			say("page %s is still owed: %d of %d", key, p.Sent, p.Want)
		}
	}
	for _, ts := range state.Targets {
		if ts.Holder != "" {
			say("target %s is still held by %s", ts.Target, ts.Holder)
		}
	}
	s.judgeJournal(state, say)
	s.judgeThrows(say)
	for key, e := range s.pages() {
		if e != signalbox.PageResolve && !s.forgotten[key] {
			say("the pager's alert %s is left at %s", key, e)
		}
	}
	return s.wrong
}

// judgeJournal looks that each incident ended once, each alert that was taken
// is one, and each effect had its intent before it.
func (s *story) judgeJournal(state *signalbox.State, say func(string, ...any)) {
	opened, closed, intents := map[signalbox.IncidentID]int{}, map[signalbox.IncidentID]int{}, map[signalbox.ActionID]time.Time{}
	for _, e := range s.w.entries() {
		judgeDecision(e, say)
		switch e.Kind {
		case journal.IncidentOpened:
			opened[e.Incident]++
		case journal.IncidentClosed:
			closed[e.Incident]++
		case journal.Intent:
			intents[e.Action] = e.At
		}
	}
	for id, n := range opened {
		if n != 1 || closed[id] != 1 {
			inc := state.Incidents[id]
			say("incident %s was opened %d times and closed %d times: %+v", id, n, closed[id], inc)
		}
	}
	for _, id := range s.taken {
		if opened[id] == 0 {
			say("alert %s got its 2xx and is in no incident", id)
		}
	}
	for _, e := range s.p.effects {
		if at, ok := intents[e.id]; !ok || at.After(e.at) {
			say("effect %s at %s has no intent before it", e.id, e.at)
		}
	}
}

// judgeDecision looks that what is held says why, and what ends says how.
func judgeDecision(e journal.Entry, say func(string, ...any)) {
	if e.Kind != journal.Decision && e.Kind != journal.IncidentClosed {
		return
	}
	var d signalbox.Decision
	if err := json.Unmarshal(e.Data, &d); err != nil {
		say("entry %d can't be read: %v", e.Seq, err)
		return
	}
	why := slices.ContainsFunc(d.Because, func(r signalbox.Reason) bool { return !r.Passed && r.Guard != "" && r.Detail != "" })
	if d.Verdict == signalbox.Hold && !why {
		say("incident %s was held without a reason: %s", e.Incident, e.Data)
	}
	ends := []signalbox.End{signalbox.Acted, signalbox.Suppressed, signalbox.Failed, signalbox.Escalated}
	if e.Kind == journal.IncidentClosed && (!slices.Contains(ends, d.End) || len(d.Because) == 0) {
		say("incident %s ended as %q, because of %v", e.Incident, d.End, d.Because)
	}
}

// judgeThrows looks that effects keep the cooldown and the budget.
func (s *story) judgeThrows(say func(string, ...any)) {
	var forward []time.Time
	for _, e := range s.p.effects {
		if e.to == "b" {
			forward = append(forward, s.claims[e.id])
		}
	}
	if len(forward) > most {
		say("%d throws, the budget is %d", len(forward), most)
	}
	for i := 1; i < len(forward); i++ {
		if gap := forward[i].Sub(forward[i-1]); gap < rest {
			say("throws %d and %d are %s apart, the cooldown is %s", i-1, i, gap, rest)
		}
	}
}
