package engine

import (
	"fmt"
	"slices"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/policy"
)

// consequences are what a decision leaves on record beside itself: marks of
// steps, a request for approval, another's hand, a demotion, and what its
// policies would have done.
func (l *loop) consequences(w *write, inc *signalbox.Incident, d *signalbox.Decision) {
	now := l.now()
	if d.Verdict == signalbox.Advance {
		l.begun(inc, d.Plan, now)
	}
	if d.Mark != nil {
		m := *d.Mark
		m.At = now
		inc.Marks = append(slices.Clone(inc.Marks), m)
	}
	if d.Approval != nil {
		*l.approval(w, d.Approval.ID) = *d.Approval
		w.entry(journal.ApprovalAsked, inc.ID, "", d.Approval)
	}
	for _, h := range d.Hands {
		l.target(w, h.Target).Hand = &signalbox.Hand{At: now, Found: h.Found, Position: h.Position}
		w.entry(journal.HandFound, inc.ID, "", h)
	}
	for _, id := range d.Back {
		l.takenBack(w, id)
	}
	if d.Told != "" {
		told(inc, d.Told)
	}
	if d.Demotes != "" && l.state.Policies[d.Demotes] != nil {
		l.policyState(w, d.Demotes).Record.ByHand++
		l.demote(w, inc.ID, d.Demotes, d.Demote)
	}
	if d.Page != nil && len(d.Page.Plan) > 0 && d.Verdict == signalbox.Escalate && d.Plan != nil && told(inc, policy.ToldPlan+d.Plan.Policy) {
		l.policyState(w, d.Plan.Policy).Record.Suggested++
	}
	for _, s := range d.Shadow {
		if s.Verdict == signalbox.Act && l.state.Policies[s.Policy] != nil && told(inc, wouldHave+s.Policy) {
			l.policyState(w, s.Policy).Record.Would++
		}
	}
}

// wouldHave marks that a policy in shadow would have acted on an incident.
const wouldHave = "would/"

// told marks that something of an incident was told or counted; false: it was
// before.
func told(inc *signalbox.Incident, what string) bool {
	if slices.Contains(inc.Told, what) {
		return false
	}
	inc.Told = append(slices.Clone(inc.Told), what)
	return true
}

// demote takes autonomy from a policy, and tells it. It changes nothing where
// the policy can't fall further.
func (l *loop) demote(w *write, inc signalbox.IncidentID, name, why string) {
	ps := l.state.Policies[name]
	if w.pols[name] != nil {
		ps = w.pols[name]
	}
	to, ok := l.set().Handbook.Demoted(name, ps)
	if ps == nil || !ok || inc != "" && ps.Demoted != nil && ps.Demoted.Incident == inc {
		return // one incident is one reason, however many of its steps did not help
	}
	next := l.policyState(w, name)
	next.Demoted = &signalbox.Demotion{To: to, Why: why, At: l.now(), Incident: inc}
	next.Record.Demotions++
	w.entry(journal.PolicyDemoted, inc, "", demotedEntry{name, *next.Demoted})
	l.e.o.Log.Warn("policy demoted", "policy", name, "to", to, "because", why, "incident", inc)
	l.demotionPage(w, name, fmt.Sprintf("policy %s was demoted to %s: %s; signalboxctl restore %s, once it may act again", name, to, why, name))
}

// demotedEntry is what the journal tells of a demotion.
type demotedEntry struct {
	Policy string `json:"policy"`
	signalbox.Demotion
}

// demotionPage tells the default owner that a policy is demoted; an empty text,
// that it no longer is.
func (l *loop) demotionPage(w *write, name, why string) {
	key := "signalbox-demoted-" + signalbox.KeyPart(name)
	if why == "" && l.state.Pages[key] == nil {
		return
	}
	p := l.page(w, key)
	p.Owner, p.At, p.Event = l.set().DefaultOwner, l.now(), signalbox.PageResolve
	if why != "" {
		p.Why, p.Event = why, signalbox.PageTrigger
		p.Body = signalbox.PageBody{Summary: why, Severity: "warning", Source: "signalbox/" + l.e.o.Replica, At: p.At}
	}
	p.Want++
	w.entry(journal.PageWanted, "", "", p.Why)
}

// outcome counts what came of an action in its policy's record, and demotes a
// policy whose action did not help.
func (l *loop) outcome(w *write, a *signalbox.Action, o signalbox.Outcome) {
	if a.Undoes != "" || telling(a) || l.state.Policies[a.Policy] == nil {
		return
	}
	r := &l.policyState(w, a.Policy).Record
	switch o {
	case signalbox.Recovered:
		r.Recovered++
	case signalbox.Unverified:
		r.Unverified++
	case signalbox.NotRecovered:
		r.NotRecovered++
		l.demote(w, a.Incident, a.Policy, fmt.Sprintf("%s to %s did not help incident %s", a.Step.Name, a.Step.To, a.Incident))
	}
}

// count keeps the censuses that the handbook needs.
func (l *loop) count() { l.set().Handbook.Counted(l.facts.CountBy) }

// PolicyStatus is what is known of one policy.
type PolicyStatus struct {
	signalbox.PolicyState
	Configured signalbox.Autonomy `json:"configured"`
	Effective  signalbox.Autonomy `json:"effective"`
}
