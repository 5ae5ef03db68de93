package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// mostSwept bounds what one sweep changes, in one transaction of the store.
const mostSwept = 100

// sweep forgets closed incidents, and their actions but those whose effect
// stands. What opened last on a subject stays, without its details, for as long
// as `flapping` looks back. What the store takes in no transaction is left to the
// next sweeps.
func (l *loop) sweep(now time.Time) {
	l.facts.DropReadings(now.Add(-24 * time.Hour))
	for most := mostSwept; most > 0 && l.auth != nil; most /= 2 {
		w := l.swept(now, most)
		if w.size()+len(w.deletes) == 0 {
			return
		}
		err := l.tryCommit(w)
		if err == nil {
			return
		}
		if !errors.Is(err, journal.ErrTooLarge) || most == 1 {
			l.fail(fmt.Errorf("commit: %w", err))
		}
	}
}

// swept is what one sweep changes: so many records at the most, and the words of
// which nothing is left to do.
func (l *loop) swept(now time.Time, most int) *write {
	w := &write{}
	for id, inc := range l.state.Incidents {
		room := most - w.size() - len(w.deletes)
		if room <= 0 {
			break
		}
		if inc.Closed() && now.Sub(inc.ClosedAt) >= l.e.timing.Tombstone && !l.stands(inc) {
			l.drop(w, id, inc, now, room)
		}
	}
	l.dropWords(w)
	if len(w.deletes) > 0 {
		w.entry(journal.IncidentForgotten, "", "", nil)
	}
	return w
}

// drop forgets one closed incident; what there is no room for is left to the
// next sweep.
func (l *loop) drop(w *write, id signalbox.IncidentID, inc *signalbox.Incident, now time.Time, room int) {
	k := subjectKey{inc.Reading.Detector, inc.Reading.Subject}
	last := l.index.latest[k] == id
	counts := last && now.Sub(inc.OpenedAt) < l.set().Handbook.Flapping().Window
	if counts && bare(inc) {
		return
	}
	gone := l.approvalsOf(id)
	for _, a := range inc.Actions {
		if l.state.Actions[a] != nil {
			gone = append(gone, signalbox.ActionKey(a))
		}
	}
	if len(gone) >= room {
		w.deletes = append(w.deletes, gone[:room]...)
		return
	}
	w.deletes = append(w.deletes, gone...)
	if counts {
		strip(l.incident(w, id))
		return
	}
	w.deletes = append(w.deletes, signalbox.IncidentKey(id))
	delete(l.index.newest, seriesKey{detector: inc.Reading.Detector, series: inc.Reading.Series})
	if last {
		delete(l.index.latest, k)
	}
}

// dropWords takes the words off the controls of which nothing is left to do: what
// they are about is over, or was taken back, or stays.
func (l *loop) dropWords(w *write) {
	idle := func(c signalbox.Control) bool {
		id := signalbox.IncidentID(strings.TrimPrefix(c.Scope, "incident/"))
		inc := l.state.Incidents[id]
		return c.Kind == signalbox.TakeBack && (inc == nil || inc.Closed() || len(l.thrownNow(l.state, id)) == 0 || l.staysThrown(id) != "")
	}
	next := l.state.Controls
	if !slices.ContainsFunc(next.Words, idle) {
		return
	}
	next.Words = slices.DeleteFunc(slices.Clone(next.Words), idle)
	w.require(l.state, signalbox.ControlsKey)
	w.put(journal.PutControls(next))
}

// strip leaves of a closed incident what it was and when it opened.
func strip(inc *signalbox.Incident) {
	inc.Plan, inc.Marks, inc.Actions, inc.Evidence, inc.Told, inc.AlsoPaged, inc.ETA = nil, nil, nil, nil, nil, nil, nil
	r := &inc.Reading
	r.Items, r.Links, r.Labels, r.Summary = nil, nil, nil, ""
}

// bare reports whether strip would leave an incident as it is.
func bare(inc *signalbox.Incident) bool {
	r := &inc.Reading
	lists := len(inc.Marks) + len(inc.Actions) + len(inc.Evidence) + len(inc.Told) + len(inc.AlsoPaged)
	return inc.Plan == nil && inc.ETA == nil && lists+len(r.Items)+len(r.Links)+len(r.Labels) == 0 && r.Summary == ""
}

// stands reports whether an action of the incident is still thrown.
func (l *loop) stands(inc *signalbox.Incident) bool {
	for _, id := range inc.Actions {
		if a := l.state.Actions[id]; a != nil && l.thrown(a) {
			return true
		}
	}
	return false
}

// thrown reports whether the action's effect stands on a target.
func (l *loop) thrown(a *signalbox.Action) bool {
	for _, t := range a.Forecast.Targets {
		if ts := l.state.Targets[t]; ts != nil && ts.Thrown == a.ID {
			return true
		}
	}
	return false
}
