package policy

import (
	"cmp"
	"slices"
	"strings"

	signalbox "github.com/signalbox/signalbox"
)

// Decide says what should be done about each incident of due that is open, in
// the order of their ids. It is pure: it changes nothing in w, and equal worlds
// give equal decisions. Its cost follows due. What a decision points to is
// shared and must not be changed.
func (h *Handbook) Decide(w *World, due []signalbox.IncidentID) []signalbox.Decision {
	ids := slices.Clone(due)
	slices.Sort(ids)
	decisions := make([]signalbox.Decision, 0, len(ids))
	for _, id := range slices.Compact(ids) {
		inc := w.State.Incidents[id]
		if inc == nil || inc.Closed() {
			continue
		}
		l := newLook(h, w, inc)
		decisions = append(decisions, l.finish(l.decide()))
	}
	return decisions
}

// decide is the flow that the package's doc tells.
func (l *look) decide() signalbox.Decision {
	for _, a := range l.actions {
		if !a.InFlight() {
			continue
		}
		if d, ok := l.besides(); ok {
			return d
		}
		if d, late := l.late(a); late {
			return d
		}
		return l.hold("in_flight", "action %s, %s, is %s", a.ID, throw(&a.Step), a.Stage)
	}
	if d, asked := l.onWord(); asked {
		return d
	}
	if d, isNew := l.limited(); isNew {
		return d
	}
	if !l.clear() {
		if d, atRisk := l.promised(); atRisk {
			return d
		}
	}
	last := l.lastSwitched()
	switch {
	case last != nil && last.Stage == signalbox.Done && last.Outcome == "" && !l.goesOn(last):
		if d, ok := l.tellBeside(); ok {
			return d
		}
		return l.verify(last)
	case l.clear() && !l.idsLeft():
		return l.afterClear()
	case l.inc.GaveUp != "":
		return l.giveUp(l.inc.GaveUp, "")
	case l.unknown():
		return l.hold("freshness", "its series is unknown since %s: %s", clock(l.inc.UnknownAt), l.inc.Reading.Reason)
	case l.inc.Plan == nil:
		return l.begin()
	case l.lost != "":
		return l.giveUp("the record of action "+string(l.lost)+" is missing", "")
	}
	return l.proceed(last)
}

func (l *look) clear() bool {
	return !ill(l.inc)
}

// ill reports whether an incident's series is not known to be well again.
func ill(inc *signalbox.Incident) bool {
	return inc.Reading.Condition != signalbox.Clear || inc.ClearAt.IsZero()
}

// unknown reports whether nothing is known of the series. The incident of a
// source that is itself unknown is known well enough: it is to be paged.
func (l *look) unknown() bool {
	return l.inc.Reading.Condition == signalbox.Unknown && !strings.HasPrefix(l.inc.Reading.Detector, sourcePrefix)
}

// proceed goes on with a plan, after its last switch (nil: it threw none yet).
func (l *look) proceed(last *signalbox.Action) signalbox.Decision {
	if last == nil || last.Stage != signalbox.Done {
		return l.next()
	}
	switch last.Outcome {
	case signalbox.Unverified:
		return l.giveUp("whether "+throw(&last.Step)+" helped could not be verified", "")
	case signalbox.Recovered:
		if l.idsLeft() {
			break // what helped those that were taken does not help these
		}
		if d, waits := l.holdsRecovered(last); waits {
			if told, ok := l.tellBeside(); ok {
				return told
			}
			return d
		}
	case signalbox.NotRecovered:
		if d, waits := l.takeBackChain(last); waits {
			return d
		}
	}
	return l.next()
}

// next takes the plan's next step.
func (l *look) next() signalbox.Decision {
	return l.goOn(l.inc.Plan, l.h.rules[l.inc.Plan.Policy])
}

// record says in one line what the runbook has done, and why it is at its end.
func (l *look) record(plan *signalbox.Plan, why string) string {
	end := "the runbook of " + plan.Policy + " is at its end"
	if why != "" && why != "its last step is over" {
		end = "the runbook of " + plan.Policy + " ends: " + why
	}
	if len(l.actions) == 0 {
		return end
	}
	parts := make([]string, 0, len(l.actions))
	for _, a := range l.actions {
		if quiet(&a.Step) {
			continue
		}
		what := throw(&a.Step) + ": "
		switch {
		case a.Stage == signalbox.Broken && a.Ran():
			what += "ran and failed" + failedIDs(a) + ", " + a.Reason
		case a.Stage == signalbox.Broken:
			what += "failed, " + a.Reason
		case a.Undoes != "":
			what += "taken back"
		default:
			what += cmp.Or(strings.ReplaceAll(string(a.Outcome), "_", " "), "done")
		}
		parts = append(parts, what)
	}
	if len(parts) == 0 {
		return end + ": its pages went out"
	}
	return end + ": " + joinAnd(parts)
}
