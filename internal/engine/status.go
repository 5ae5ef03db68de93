package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
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
