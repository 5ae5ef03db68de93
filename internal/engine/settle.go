package engine

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/step"
)

// settle writes down what new evidence says of an action, and counts what did
// not help against its targets.
func (l *loop) settle(d *signalbox.Decision, now time.Time) {
	a := l.state.Actions[d.Takes]
	if a == nil || a.Outcome != "" {
		return
	}
	w := &write{}
	judged := l.action(w, a.ID)
	judged.Outcome, judged.JudgedAt = d.Outcome, now
	inc := l.incident(w, d.Incident)
	inc.Outcome, inc.Decided = d.Outcome, ""
	for _, t := range a.Forecast.Targets {
		ts := l.target(w, t)
		switch d.Outcome {
		case signalbox.Recovered:
			ts.Ineffective = 0
		case signalbox.NotRecovered:
			ts.Ineffective++
			if ts.Ineffective >= l.set().Handbook.Ineffective() {
				ts.StoppedAt = now
			}
		case signalbox.Unverified:
		}
	}
	l.outcome(w, a, d.Outcome)
	w.entry(journal.Settled, d.Incident, a.ID, d)
	l.e.metrics.outcomes[d.Outcome].Inc()
	l.e.o.Log.Info("verified", "action", a.ID, "incident", d.Incident, "outcome", d.Outcome, "because", blocking(d))
	l.refreshPage(w, inc)
	k := signalbox.PlainNote
	if d.Outcome == signalbox.Recovered {
		k = signalbox.StatusUpdate
	}
	l.tellNote(w, inc, k, "%s to %s: %s", a.Step.Name, a.Step.To, d.Outcome)
	step.At(step.VerifyBefore)
	if l.commit(w) {
		step.At(step.VerifyAfter)
	}
}

// resolve adds to w that an incident comes to its end, and its page with it.
func (l *loop) resolve(w *write, d *signalbox.Decision, now time.Time) {
	inc := l.incident(w, d.Incident)
	inc.End, inc.ClosedAt, inc.EndReason = d.End, now, blocking(d)
	for _, id := range d.Back {
		l.takenBack(w, id)
	}
	w.entry(journal.IncidentClosed, d.Incident, "", d)
	l.leavePage(w, inc)
	l.e.o.Log.Info("incident closed", "incident", d.Incident, "subject", inc.Reading.Subject, "end", d.End, "because", inc.EndReason)
}

// resolved forgets what was kept for an incident that is closed.
func (l *loop) resolved(d *signalbox.Decision) {
	l.e.metrics.closed[d.End].Inc()
	if inc := l.state.Incidents[d.Incident]; inc != nil {
		if r := inc.Reading; r.Condition == signalbox.Clear && r.Episode != "" {
			l.facts.Drop(r.Detector, r.Series, r.Episode)
		}
	}
	l.wants(d.Incident, nil)
	delete(l.last, d.Incident)
	delete(l.confirmed, d.Incident)
	delete(l.shadowed, d.Incident)
	l.due.schedule(d.Incident, "", time.Time{})
}

// thrownNow lists what stands where an action put it: of one incident, or of
// all.
func (l *loop) thrownNow(s *signalbox.State, of signalbox.IncidentID) []signalbox.Thrown {
	var out []signalbox.Thrown
	told := map[signalbox.ActionID]bool{} // it may stand on more than one target
	for _, ts := range s.Targets {
		a := s.Actions[ts.Thrown]
		if ts.Thrown == "" || a == nil || a.Step.Tells || of != "" && a.Incident != of || told[a.ID] {
			continue
		}
		told[a.ID] = true
		out = append(out, thrownBy(a))
	}
	sortThrown(out)
	return out
}

func thrownBy(a *signalbox.Action) signalbox.Thrown {
	was := a.Forecast.Position
	if was == "" {
		was = a.Forecast.Found
	}
	return signalbox.Thrown{
		Action: a.ID, What: fmt.Sprintf("%s is at %s (was %s)", a.Step.Name, a.Step.To, was), ByHand: a.Forecast.ByHand,
	}
}
