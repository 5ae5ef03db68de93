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
	"github.com/signalbox/signalbox/policy"
)

// Explanation is all that is known of one incident.
type Explanation struct {
	Incident signalbox.Incident  `json:"incident"`
	Decision *signalbox.Decision `json:"decision,omitempty"` // the newest; nil once it is closed
	Actions  []signalbox.Action  `json:"actions,omitempty"`
	// Approvals are its requests, oldest first; Controls are those in force
	// that touch it; Pages tell of it, each with its rungs.
	Approvals []signalbox.Approval `json:"approvals,omitempty"`
	Controls  []signalbox.Control  `json:"controls,omitempty"`
	Pages     []PageStatus         `json:"pages,omitempty"`
	Entries   []journal.Entry      `json:"entries"` // its journal, oldest first
}

// PageStatus is who was paged, and who took it.
type PageStatus struct {
	Key     string         `json:"key"`
	Owner   string         `json:"owner"`
	Rung    signalbox.Rung `json:"rung,omitempty"` // empty: the owner's primary
	Why     string         `json:"why"`
	SentAt  time.Time      `json:"sent_at,omitzero"`
	AckedAt time.Time      `json:"acked_at,omitzero"`
	AckedBy string         `json:"acked_by,omitempty"`
	Owed    bool           `json:"owed,omitempty"` // the pager has not accepted all of it
	Error   string         `json:"error,omitempty"`
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
	if err := l.unread(); err != nil {
		return Explanation{}, err
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
	l.around(&x, match)
	return x, nil
}

// around tells what people said and were told of an incident.
func (l *loop) around(x *Explanation, inc *signalbox.Incident) {
	for _, a := range l.state.Approvals {
		if a.Incident == inc.ID {
			x.Approvals = append(x.Approvals, *a)
		}
	}
	slices.SortFunc(x.Approvals, func(a, b signalbox.Approval) int {
		return cmp.Or(a.AskedAt.Compare(b.AskedAt), cmp.Compare(a.ID, b.ID))
	})
	scopes := l.reach(inc, x.Actions)
	c := l.state.Controls
	if c.Killed != nil {
		x.Controls = append(x.Controls, *c.Killed)
	}
	for _, p := range slices.Concat(c.Pauses, c.Taken, c.Words) {
		if inForce(p, l.now()) && slices.Contains(scopes, p.Scope) {
			x.Controls = append(x.Controls, p)
		}
	}
	keys := append([]string{inc.Page}, inc.AlsoPaged...)
	for _, p := range l.state.Pages {
		if p.Key != "" && (slices.Contains(keys, p.Key) || p.Of != "" && slices.Contains(keys, p.Of)) {
			x.Pages = append(x.Pages, PageStatus{
				Key: p.Key, Owner: p.Owner, Rung: p.Rung, Why: p.Why, SentAt: p.SentAt, AckedAt: p.AckedAt, AckedBy: p.AckedBy,
				Owed: p.Sent < p.Want, Error: p.Error,
			})
		}
	}
	slices.SortFunc(x.Pages, func(a, b PageStatus) int {
		return cmp.Or(a.SentAt.Compare(b.SentAt), cmp.Compare(a.Key, b.Key))
	})
}

// reach are all scopes whose controls hold something of an incident.
func (l *loop) reach(inc *signalbox.Incident, actions []signalbox.Action) []string {
	scopes := append([]string{"all", "incident/" + string(inc.ID), "subject/" + inc.Reading.Subject}, scopesOfIncident(inc)...)
	for _, a := range actions {
		for _, t := range a.Forecast.Targets {
			scopes = append(scopes, "target/"+string(t))
		}
	}
	if d := l.last[inc.ID]; d != nil && d.Step != nil {
		if f := l.facts.Forecast(d.Step.Hash()); f != nil {
			for _, t := range f.Targets {
				scopes = append(scopes, "target/"+string(t))
			}
		}
	}
	return scopes
}

// WhyNot is what one policy would answer for one incident.
type WhyNot struct {
	Incident signalbox.Incident `json:"incident"`
	Policy   string             `json:"policy"`
	Decision signalbox.Decision `json:"decision"`
}

// ErrNoPolicy says that a name is of no policy of the configuration in force.
var ErrNoPolicy = errors.New("no such policy")

// WhyNot tells what a policy would answer for an incident now, and why, without
// any effect. The id may be shortened, as for Explain.
func (e *Engine) WhyNot(ctx context.Context, id, name string) (WhyNot, error) {
	x := WhyNot{Policy: name}
	var refused error
	err := e.call(ctx, func(l *loop) {
		if refused = l.noTerm(); refused != nil { // its facts are the leader's
			return
		}
		inc, err := l.find(id)
		if err != nil {
			refused = err
			return
		}
		x.Incident = *inc
		var ok bool
		x.Decision, ok = l.set().Handbook.WhyNot(&policy.World{State: l.state, Facts: l.facts, Now: l.now(), Unseen: l.unseen()}, inc.ID, name)
		if !ok {
			refused = fmt.Errorf("%w: %q is not in the configuration in force", ErrNoPolicy, name)
		}
	})
	return x, errors.Join(err, refused)
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
