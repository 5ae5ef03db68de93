package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// ErrNoApproval says that an id names no request for approval.
var ErrNoApproval = errors.New("no such approval")

// Approvals returns the requests of incidents that are remembered, the newest
// first.
func (e *Engine) Approvals(ctx context.Context) ([]signalbox.Approval, error) {
	var list []signalbox.Approval
	var gone error
	err := e.call(ctx, func(l *loop) {
		if gone = l.unread(); gone != nil {
			return
		}
		for _, a := range l.state.Approvals {
			list = append(list, *a)
		}
	})
	slices.SortFunc(list, func(a, b signalbox.Approval) int {
		return cmp.Or(b.AskedAt.Compare(a.AskedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, errors.Join(err, gone)
}

// Answer records a person's answer to a request. may says whether the person
// has the right; its error refuses the answer. A request is answered once, in
// its time, and with two_persons never by the one who set the step in motion.
func (e *Engine) Answer(ctx context.Context, id signalbox.ApprovalID, approve bool, who, reason string, may func(a *signalbox.Approval, owner string) error) (signalbox.Approval, error) {
	var answered signalbox.Approval
	var result error
	if err := e.call(ctx, func(l *loop) { answered, result = l.answer(id, approve, who, reason, may) }); err != nil {
		return signalbox.Approval{}, err
	}
	return answered, result
}

func (l *loop) answer(id signalbox.ApprovalID, approve bool, who, reason string, may func(*signalbox.Approval, string) error) (signalbox.Approval, error) {
	if err := l.noTerm(); err != nil {
		return signalbox.Approval{}, err
	}
	a := l.state.Approvals[id]
	if a == nil {
		return signalbox.Approval{}, fmt.Errorf("%w: %q", ErrNoApproval, id)
	}
	now := l.now()
	inc := l.state.Incidents[a.Incident]
	owner := ""
	if inc != nil {
		owner = inc.Owner
	}
	if err := may(a, owner); err != nil {
		return *a, err
	}
	switch {
	case who == "":
		return *a, errors.New("an approval needs a person with a name")
	case a.State != signalbox.Asked:
		return *a, fmt.Errorf("approval %s is %s already, by %s", id, a.State, a.Who)
	case !a.Open(now):
		return *a, fmt.Errorf("approval %s expired at %s: it is asked for anew while it is wanted", id, a.Expires.UTC().Format("15:04:05Z"))
	case inc == nil || inc.Closed():
		return *a, fmt.Errorf("incident %s of approval %s is over", a.Incident, id)
	case approve && a.TwoPersons && l.setGoing(a, inc, who):
		return *a, fmt.Errorf("approval %s needs two persons: %s set it in motion", id, who)
	}
	w := &write{}
	next := l.approval(w, id)
	next.State, next.Who, next.At, next.Reason = signalbox.Denied, who, now, reason
	if approve {
		next.State = signalbox.Approved
	}
	w.require(l.state, signalbox.ApprovalKey(id))
	w.entries = append(w.entries, journal.Record{Kind: journal.ApprovalGiven, Incident: a.Incident, Who: who, Data: next})
	l.recordAnswer(w, a, approve, fmt.Sprintf("%s denied %s: %s", who, id, reason))
	if !l.commit(w) {
		return *a, ErrNoTerm
	}
	l.e.o.Log.Warn("approval answered", "approval", id, "incident", a.Incident, "state", next.State, "who", who, "reason", reason)
	return *next, nil
}

// recordAnswer counts an answer, says a denial on the incident's page, and
// demotes the policy that was refused.
func (l *loop) recordAnswer(w *write, a *signalbox.Approval, approve bool, denied string) {
	known := l.state.Policies[a.Policy] != nil
	inc := l.incident(w, a.Incident)
	tells := false
	if of := l.state.Actions[a.Undoes]; of != nil {
		tells = of.Step.Tells
	} else if a.Undoes == "" && inc.Plan != nil && a.Index < len(inc.Plan.Steps) {
		tells = inc.Plan.Steps[a.Index].Tells
	}
	switch {
	case approve && known:
		l.policyState(w, a.Policy).Record.Approved++
	case !approve:
		if known {
			l.policyState(w, a.Policy).Record.Denied++
			if !tells { // not to tell something says nothing of what the policy does
				l.demote(w, a.Incident, a.Policy, denied)
			}
		}
		l.wantPage(w, inc, signalbox.PageNote{Owner: inc.Owner, Why: denied})
	}
}

// approvalsOf are the keys of an incident's requests.
func (l *loop) approvalsOf(id signalbox.IncidentID) (keys []signalbox.Key) {
	for _, a := range slices.Sorted(maps.Keys(l.state.Approvals)) {
		if l.state.Approvals[a].Incident == id {
			keys = append(keys, signalbox.ApprovalKey(a))
		}
	}
	return keys
}

// Policies tells how far each policy may go, and what it did, in the order of
// their names.
func (e *Engine) Policies(ctx context.Context) ([]PolicyStatus, error) {
	var list []PolicyStatus
	var gone error
	err := e.call(ctx, func(l *loop) {
		if gone = l.unread(); gone != nil {
			return
		}
		book := l.set().Handbook
		for name, ps := range l.state.Policies {
			list = append(list, PolicyStatus{PolicyState: *ps, Configured: book.Configured(name), Effective: book.Effective(name, ps)})
		}
	})
	slices.SortFunc(list, func(a, b PolicyStatus) int { return cmp.Compare(a.Name, b.Name) })
	return list, errors.Join(err, gone)
}
