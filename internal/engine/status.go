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
	Replica   string                 `json:"replica"`
	Leading   bool                   `json:"leading"`             // this process leads and its store answers
	StandsBy  bool                   `json:"stands_by,omitempty"` // another replica leads
	Leader    string                 `json:"leader,omitempty"`    // who leads, where that is known
	Present   []Present              `json:"present,omitempty"`   // the replicas that are there
	Loaded    string                 `json:"loaded"`              // the configuration that this process has
	KillFile  string                 `json:"kill_file,omitempty"`
	Config    signalbox.ActiveConfig `json:"config"`
	Controls  signalbox.Controls     `json:"controls"`
	Store     signalbox.StoreState   `json:"store"`
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
	if err := e.call(ctx, func(l *loop) { st = l.status() }); err != nil {
		return st, err
	}
	if st.Leading || st.StandsBy {
		within, cancel := context.WithTimeout(ctx, lookWait)
		defer cancel()
		st.Present, _ = e.Present(within) // all the rest is known without it
	}
	return st, nil
}

func (l *loop) status() Status {
	s := l.state
	if l.auth == nil && l.wasState != nil {
		s = l.wasState
	}
	st := Status{Replica: l.e.o.Replica, StandsBy: l.standing, Loaded: l.set().Hash, At: l.now(), Leading: l.auth != nil, KillFile: l.facts.KillFile, Config: s.Active, Controls: s.Controls, Store: s.Store, Thrown: l.thrownNow(s, "")}
	switch {
	case l.auth != nil:
		st.Leader = l.e.o.Replica
	case l.standing && l.mirrors != nil:
		st.Leader = leaderOf(s)
	}
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
