package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	signalbox "github.com/signalbox/signalbox"
)

// mostAsked is how often a person is asked for one step of one incident: after
// that automation gives up on it, until it is released.
const mostAsked = 3

// wantsApproval says why a person must approve a move; empty: nobody must.
func (l *look) wantsApproval(m *move) string {
	switch {
	case m.shadow:
		return ""
	case m.forecast != nil && m.forecast.NeedsApproval != "":
		return m.forecast.NeedsApproval
	case m.undoes == nil && m.autonomy() == Approve:
		return "policy " + m.plan.Policy + " is in approve"
	}
	return ""
}

// bound is the hash of what an approval is for: the policy's content, the steps
// as they are resolved, the versions found and the targets touched. What
// changes at each look is not in it.
func (m *move) bound() string {
	h := sha256.New()
	part := func(s string) { fmt.Fprintf(h, "%d:%s", len(s), s) }
	if m.plan != nil {
		part(m.plan.PolicyHash)
		part(m.plan.Hash())
	}
	part(m.step.Hash())
	f := m.forecast
	part(string(f.Class))
	part(f.Found)
	part(f.Position)
	part(f.Version)
	part(f.NeedsApproval)
	for _, t := range f.Targets {
		part(string(t))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// approved takes a move that every guard lets pass, and that a person must
// approve. go is what is done once one has.
func (l *look) approved(m *move, do signalbox.Decision, why string) signalbox.Decision {
	bound, changed, counted := m.bound(), false, 0
	for n := 0; counted < mostAsked; n++ {
		id := signalbox.NewApprovalID(l.inc.ID, m.index, m.undone(), n)
		l.read(signalbox.ApprovalKey(id))
		a := l.approval(id)
		if a != nil && (a.State != signalbox.Used || m.step.Most == 0) && (l.inc.ReleasedAt.IsZero() || a.AskedAt.After(l.inc.ReleasedAt)) {
			counted++ // not those of before a person gave it back, nor those of earlier ids
		}
		switch {
		case a == nil:
			return l.ask(m, id, bound, why, changed)
		case a.State == signalbox.Denied && m.step.Tells && m.undoes == nil:
			return l.advance(m.plan, m.index, signalbox.StepSkipped, fmt.Sprintf("not told: %s denied it at %s: %s", a.Who, clock(a.At), a.Reason))
		case a.State == signalbox.Denied && m.undoes == nil && l.clear(): // nothing else is left to do
			return l.giveUp(fmt.Sprintf("%s was denied by %s at %s: %s", throw(m.step), a.Who, clock(a.At), a.Reason), "")
		case a.State == signalbox.Denied:
			return l.hold("approval", "%s denied it at %s: %s", a.Who, clock(a.At), a.Reason)
		case a.Bound != bound:
			changed = changed || a.State != signalbox.Used
		case a.Open(l.now):
			l.at(a.Expires)
			l.because = append(l.because, signalbox.Reason{
				Guard:  "approval",
				Detail: fmt.Sprintf("%s: %s is asked for since %s, until %s", why, id, clock(a.AskedAt), clock(a.Expires)),
				Lifts:  "signalboxctl approve " + string(id),
			})
			return l.held()
		case a.Good(l.now):
			l.at(a.Expires)
			l.note("approval", true, "%s approved %s at %s: %s", a.Who, id, clock(a.At), a.Reason)
			do.Uses = id
			return do
		}
	}
	if m.step.Tells && m.undoes == nil {
		return l.advance(m.plan, m.index, signalbox.StepSkipped, fmt.Sprintf("not told: asked for %d times, and not approved", mostAsked))
	}
	l.note("approval", false, "%s: asked for %d times, and not given for what is there now", why, mostAsked)
	return l.giveUp(fmt.Sprintf("%s was not approved: asked for %d times", throw(m.step), mostAsked), "")
}

// approval is a request for approval, as it counts now: one of before the store
// went back in time has expired, since it may have been used.
func (l *look) approval(id signalbox.ApprovalID) *signalbox.Approval {
	l.read(signalbox.StoreKey)
	a, at := l.w.State.Approvals[id], l.w.State.Store.ConfirmedAt()
	if a == nil || at.IsZero() || a.AskedAt.After(at) || a.Expires.Before(at) {
		return a
	}
	old := *a
	old.Expires = at
	return &old
}

// undone is the action that a move takes back, for its approval's id.
func (m *move) undone() string {
	if m.undoes == nil {
		return ""
	}
	return string(m.undoes.ID)
}

// ask asks a person, by the incident's page and by the list of what waits.
func (l *look) ask(m *move, id signalbox.ApprovalID, bound, why string, changed bool) signalbox.Decision {
	within, two := defaultApprove, false
	if r := l.h.rules[m.policy()]; r != nil { // as it is configured now, also on the way back
		two = r.TwoPersons
		if r.ApproveWithin > 0 {
			within = r.ApproveWithin
		}
	}
	a := &signalbox.Approval{
		ID: id, Incident: l.inc.ID, Policy: m.policy(), Index: m.index, Undoes: signalbox.ActionID(m.undone()), Bound: bound,
		Why: why, Targets: m.forecast.Targets, AskedAt: l.now, Expires: l.now.Add(within), Trigger: l.inc.Trigger, TwoPersons: two,
		State: signalbox.Asked,
	}
	if m.plan != nil {
		a.Plan = l.planLines(m)
	}
	text := fmt.Sprintf("%s waits for approval until %s: %s; signalboxctl approve %s", throw(m.step), clock(a.Expires), why, id)
	if changed {
		text = "what was asked or approved before has changed; " + text
	}
	l.at(a.Expires)
	l.note("approval", false, "%s", text)
	d := signalbox.Decision{Verdict: signalbox.Ask, Approval: a, Plan: m.plan, Next: m.index, Step: m.step}
	if m.undoes != nil {
		d.Takes = m.undoes.ID
	}
	if l.suppressed() == "" {
		d.Page = l.pageNote(strings.ToUpper(text[:1])+text[1:], "")
		d.Page.Plan = a.Plan
	}
	return d
}
