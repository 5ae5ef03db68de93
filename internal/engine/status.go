package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// Status is what the engine is about, for people and for scripts.
type Status struct {
	At        time.Time              `json:"at"`
	Leading   bool                   `json:"leading"` // this process leads and its store answers
	KillFile  string                 `json:"kill_file,omitempty"`
	Config    signalbox.ActiveConfig `json:"config"`
	Controls  signalbox.Controls     `json:"controls"`
	Incidents []IncidentStatus       `json:"incidents"` // open ones, oldest first
	Thrown    []signalbox.Thrown     `json:"thrown"`
	Stopped   []signalbox.Target     `json:"stopped"` // targets that automation has stopped on until they are released
	Owed      int                    `json:"pages_owed"`
}

// IncidentStatus is one open incident with its newest decision.
type IncidentStatus struct {
	signalbox.Incident
	Verdict signalbox.Verdict  `json:"verdict,omitempty"`
	Because []signalbox.Reason `json:"because,omitempty"`
}

// Status returns the present status. Between terms it shows what was known
// last.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	var st Status
	err := e.call(ctx, func(l *loop) { st = l.status() })
	return st, err
}

func (l *loop) status() Status {
	s := l.state
	if l.auth == nil && l.wasState != nil {
		s = l.wasState
	}
	st := Status{At: l.now(), Leading: l.auth != nil, KillFile: l.facts.KillFile, Config: s.Active, Controls: s.Controls, Thrown: l.thrownNow(s, "")}
	for id, inc := range s.Incidents {
		if inc.Closed() {
			continue
		}
		is := IncidentStatus{Incident: *inc}
		if d := l.last[id]; d != nil {
			is.Verdict, is.Because = d.Verdict, d.Because
		}
		st.Incidents = append(st.Incidents, is)
	}
	slices.SortFunc(st.Incidents, func(a, b IncidentStatus) int {
		return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	for t, ts := range s.Targets {
		if !ts.StoppedAt.IsZero() {
			st.Stopped = append(st.Stopped, t)
		}
	}
	slices.Sort(st.Stopped)
	for _, p := range s.Pages {
		if p.Sent < p.Want {
			st.Owed++
		}
	}
	return st
}

// Explanation is all that is known of one incident.
type Explanation struct {
	Incident signalbox.Incident  `json:"incident"`
	Decision *signalbox.Decision `json:"decision,omitempty"` // the newest; nil once it is closed
	Actions  []signalbox.Action  `json:"actions,omitempty"`
	Entries  []journal.Entry     `json:"entries"` // its journal, oldest first
}

// ErrNoIncident says that an id names no incident, or more than one.
var ErrNoIncident = errors.New("no such incident")

// Explain tells an incident from its journal. The id may be shortened as long
// as it is the only one.
func (e *Engine) Explain(ctx context.Context, id string) (Explanation, error) {
	var x Explanation
	var found error
	err := e.call(ctx, func(l *loop) { x, found = l.explain(id) })
	if err != nil {
		return x, err
	}
	if found != nil {
		return x, found
	}
	for entry, err := range e.o.Journal.Incident(ctx, x.Incident.ID) {
		if err != nil {
			return x, fmt.Errorf("read the journal: %w", err)
		}
		x.Entries = append(x.Entries, entry)
	}
	return x, nil
}

func (l *loop) explain(id string) (Explanation, error) {
	if l.auth == nil {
		return Explanation{}, ErrNoTerm
	}
	match, err := l.find(id)
	if err != nil {
		return Explanation{}, err
	}
	x := Explanation{Incident: *match, Decision: l.last[match.ID]}
	for _, a := range match.Actions {
		if act := l.state.Actions[a]; act != nil {
			x.Actions = append(x.Actions, *act)
		}
	}
	return x, nil
}

// find returns the incident whose id begins so, if it is the only one.
func (l *loop) find(id string) (*signalbox.Incident, error) {
	var match *signalbox.Incident
	for k, inc := range l.state.Incidents {
		if len(id) < 4 || len(k) < len(id) || string(k[:len(id)]) != id {
			continue
		}
		if match != nil {
			return nil, fmt.Errorf("%w: %q is not the only one that begins so", ErrNoIncident, id)
		}
		match = inc
	}
	if match == nil {
		return nil, fmt.Errorf("%w: %q is not in the store (give at least 4 characters of its id; older ones are in the archive)", ErrNoIncident, id)
	}
	return match, nil
}
