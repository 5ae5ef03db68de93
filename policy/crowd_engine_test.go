package policy

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

// round decides on all that is open, and carries it out as the engine does: a
// decision that read what an earlier one of the round has changed is not.
func (c *crowd) round() []signalbox.Decision {
	decisions := c.h.Decide(c.w, c.open())
	changed := map[signalbox.Key]bool{}
	for i := range decisions {
		d := &decisions[i]
		whole(c.t, c.w, *d)
		c.saysWhy(d)
		if slices.ContainsFunc(d.Reads, func(k signalbox.Key) bool { return changed[k] }) {
			continue
		}
		for _, k := range c.carryOut(d) {
			changed[k] = true
		}
	}
	return decisions
}

// carryOut does what a decision asks, and returns the keys that it changed.
func (c *crowd) carryOut(d *signalbox.Decision) (changed []signalbox.Key) {
	inc := *c.w.State.Incidents[d.Incident]
	wants := c.w.Facts.PutWant(d.Incident, d.Want)
	changed = append(slices.Clone(wants), signalbox.IncidentKey(d.Incident), signalbox.SubjectKey(inc.Reading.Subject))
	switch d.Verdict {
	case signalbox.Preview:
		c.foreseen[d.Step.Hash()] = c.foresee(d)
		return append(wants, c.w.Facts.PutForecast(d.Step.Hash(), c.foreseen[d.Step.Hash()]))
	case signalbox.Act, signalbox.Undo:
		changed = append(changed, c.claim(d, &inc)...)
	case signalbox.Settle:
		a := *c.w.State.Actions[d.Takes]
		a.Outcome, a.JudgedAt, inc.Outcome = d.Outcome, c.w.Now, d.Outcome
		c.w.State.Actions[a.ID] = &a
		changed = append(changed, signalbox.ActionKey(a.ID))
	case signalbox.Resolve:
		inc.End, inc.ClosedAt = d.End, c.w.Now
		changed = append(changed, c.w.Facts.PutWant(d.Incident, nil)...)
	case signalbox.Ask:
		c.w.State.Approvals[d.Approval.ID] = d.Approval
		changed = append(changed, signalbox.ApprovalKey(d.Approval.ID))
	case signalbox.Advance:
		inc.Plan = d.Plan
		if d.Mark != nil {
			inc.Marks = append(slices.Clone(inc.Marks), *d.Mark)
		}
	case signalbox.Hold, signalbox.Verify:
		if d.Page == nil && d.Told == "" && d.GaveUp == "" { // as it was: what waits for others keeps none of them waiting
			return wants
		}
	case signalbox.Escalate:
	}
	if d.Page != nil {
		inc.Page = "page"
	}
	if d.Told != "" {
		inc.Told = append(slices.Clone(inc.Told), d.Told)
	}
	if d.GaveUp != "" {
		inc.GaveUp = d.GaveUp
	}
	c.w.State.PutIncident(&inc)
	return changed
}

// foresee finds where a step's switch stands.
func (c *crowd) foresee(d *signalbox.Decision) *signalbox.Forecast {
	t := signalbox.Target(d.Step.Name)
	at := c.stands[t]
	if at == "" {
		at = "a"
	}
	back := *d.Step
	back.To, back.Items, back.Most, back.Undo = at, nil, 0, ""
	f := &signalbox.Forecast{At: c.w.Now, Class: signalbox.ClassA, Targets: []signalbox.Target{t}, Found: at, Position: at, Undo: &back, ByHand: "by hand"}
	f.Already = at == d.Step.To && d.Step.Most == 0
	if c.cross {
		f.NeedsApproval = "a migration lies between 1 and 2"
	}
	return f
}

// claim takes a step, after asking by rules of its own whether it may be.
func (c *crowd) claim(d *signalbox.Decision, inc *signalbox.Incident) (changed []signalbox.Key) {
	f := c.w.Facts.Forecast(d.Step.Hash())
	c.mayAct(d, f)
	a := &signalbox.Action{
		ID: signalbox.ActionID(fmt.Sprint(d.Incident, "-", len(inc.Actions))), Incident: d.Incident, Index: d.Next, Step: *d.Step, Forecast: *f,
		Undoes: d.Takes, Stage: signalbox.Started, ClaimedAt: c.w.Now, Spends: d.Spends, Approval: d.Uses,
	}
	if d.Plan != nil {
		a.Policy, inc.Plan = d.Plan.Policy, d.Plan
	}
	if a.Undoes == "" {
		c.acts++
		c.tried = append(c.tried, a)
		for _, scope := range d.Spends {
			s := &signalbox.Spend{Scope: scope}
			if old := c.w.State.Budgets[scope]; old != nil {
				s.Times = slices.Clone(old.Times)
			}
			s.Times = append(s.Times, c.w.Now)
			if strings.HasPrefix(scope, ItemsPrefix) {
				for range d.Step.Items[1:] {
					s.Times = append(s.Times, c.w.Now)
				}
			}
			c.w.State.Budgets[scope] = s
			changed = append(changed, signalbox.BudgetKey(scope))
		}
	}
	for _, t := range f.Targets {
		s := c.targetState(t)
		s.Holder, s.Last = a.ID, a.ID
		if a.Undoes == "" {
			s.Acted = append(slices.Clone(s.Acted), c.w.Now)
			for _, scope := range d.Spends {
				if strings.HasPrefix(scope, "blast/") && !slices.Contains(s.Domains, scope) {
					s.Domains = append(slices.Clone(s.Domains), scope)
				}
			}
		}
		c.w.State.PutTarget(s)
		changed = append(changed, signalbox.TargetKey(t))
	}
	if d.Uses != "" {
		used := *c.w.State.Approvals[d.Uses]
		used.State, used.Action = signalbox.Used, a.ID
		c.w.State.Approvals[d.Uses] = &used
		changed = append(changed, signalbox.ApprovalKey(d.Uses))
	}
	c.w.State.Actions[a.ID] = a
	inc.Actions = append(slices.Clone(inc.Actions), a.ID)
	return append(changed, signalbox.ActionKey(a.ID))
}

// targetState is a copy of what is remembered of a target, to be changed.
func (c *crowd) targetState(t signalbox.Target) *signalbox.TargetState {
	if old := c.w.State.Targets[t]; old != nil {
		s := *old
		return &s
	}
	return &signalbox.TargetState{Target: t}
}

// endAll ends what is in flight.
func (c *crowd) endAll(stage signalbox.Stage) {
	for id, old := range c.w.State.Actions {
		if !old.InFlight() {
			continue
		}
		a := *old
		a.Stage = stage
		if stage != signalbox.Doubt {
			a.EndedAt = c.w.Now
			c.ended(&a)
		}
		c.w.State.Actions[id] = &a
	}
}

func (c *crowd) ended(a *signalbox.Action) {
	for _, t := range a.Forecast.Targets {
		s := c.targetState(t)
		s.Holder = ""
		if a.Stage == signalbox.Done {
			c.stands[t], s.Thrown = a.Step.To, a.ID
			if a.Undoes != "" {
				s.Thrown = ""
			}
		}
		c.w.State.PutTarget(s)
	}
	if a.Stage != signalbox.Done {
		return
	}
	if old := c.w.State.Actions[a.Undoes]; old != nil {
		undone := *old
		undone.Undone = a.ID
		c.w.State.Actions[old.ID] = &undone
	} else if c.helps {
		c.shows(c.memberOf(a.Incident).subject, signalbox.Clear)
	}
}

// drawn lives through random rounds of a random world.
func (c *crowd) drawn(rounds int) {
	for range rapid.IntRange(rounds/2, rounds).Draw(c.t, "rounds") {
		for range rapid.IntRange(0, 3).Draw(c.t, "events") {
			c.happens()
		}
		for range 3 { // previews are answered within a round of time
			c.round()
		}
		c.noneWaitInARing(c.round())
		c.later(rapid.SampledFrom(crowdSteps).Draw(c.t, "later"))
	}
}
