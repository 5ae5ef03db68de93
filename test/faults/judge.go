package faults

import (
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// verdict is what a cell came to, once it was drained. All but the first block
// must be zero.
type verdict struct {
	Alerts    int     `json:"alerts"`            // that had their 2xx
	Actions   int     `json:"actions"`           // that were claimed
	Effects   int     `json:"effects"`           // by the targets' log
	InDoubt   int     `json:"in_doubt"`          // actions that ever were
	LeftDoubt int     `json:"left_in_doubt"`     // … and are left to a person
	Gaps      []int64 `json:"gaps_ms,omitempty"` // from each fault to the next effect
	Lapsed    int     `json:"lapsed,omitempty"`  // leases that a leader which lived did not renew in time

	Lost  int      `json:"lost"`  // alerts with a 2xx and without an incident, or without its end
	Twice int      `json:"twice"` // effects beyond the first of one action, or of one throw of an incident
	Wrong []string `json:"wrong,omitempty"`
}

func (v *verdict) wrong(format string, args ...any) {
	v.Wrong = append(v.Wrong, fmt.Sprintf(format, args...))
}

// drain lets everything come to its end. What is still ill once patience is over
// gets well by itself, and must then be over within the bound.
func (c *cell) drain(patience time.Duration) {
	c.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for _, over := range []bool{false, true} {
		deadline := time.Now().Add(patience)
		for left := c.sender.drained(over); left != ""; left = c.sender.drained(over) {
			if time.Now().After(deadline) {
				c.t.Logf("not drained: %s", left) // the judge says what that means
				break
			}
			<-tick.C
		}
		c.sender.endAll()
		patience = 90 * time.Second
	}
}

// judge holds the targets' log against the journal and the sender's answers.
func (c *cell) judge(patience time.Duration) *verdict {
	c.t.Helper()
	c.drain(patience)
	c.sender.stop()
	v := &verdict{}
	var b *books
	var err error
	exported := time.Now()
	if c.plan.members > 1 { // a cluster is not read once it is stopped
		b, err = c.readExport()
	}
	c.close()
	c.town.pending.Wait() // what is still on its way
	if c.plan.members <= 1 {
		b, err = c.read()
	}
	if err != nil {
		v.wrong("the journal: %v", err)
		return v
	}
	v.claims(b)
	for i := range c.forgotten {
		v.claims(c.forgotten[len(c.forgotten)-1-i])
		b.remember(c.forgotten[len(c.forgotten)-1-i])
	}
	b.sort()
	v.Actions, v.InDoubt = len(b.order), len(b.doubts)
	v.left(b, c.sender.back)
	v.alerts(c.sender, b)
	log := c.town.arrivals()
	if c.plan.members > 1 {
		log = b.onRecord(log, exported)
	}
	v.effects(log, b)
	v.order(log, b)
	v.targets(log)
	v.doubts(b, doubtBound+c.away)
	v.gaps(log, c.deaths)
	v.Lapsed = c.lapsed()
	return v
}

// left counts what stays in doubt until a person settles it. All else must be
// settled.
func (v *verdict) left(b *books, back time.Time) {
	for _, a := range b.order {
		switch {
		case !a.InFlight():
		case forAPerson(a, back):
			v.LeftDoubt++
		default:
			v.wrong("action %s is left in flight at %s, which is not for a person to settle", a.ID, a.Step.Name)
		}
	}
}

// forAPerson reports whether an action is of those that are left to a person: at
// a target of class D, and, where the store went back in time, at one of class A
// or C what was claimed before that.
func forAPerson(a *signalbox.Action, back time.Time) bool {
	switch name := a.Step.Name; {
	case strings.HasPrefix(name, classD):
		return true
	case strings.HasPrefix(name, classA), strings.HasPrefix(name, classC):
		return a.ClaimedAt.Before(back)
	}
	return false
}

// overUnseen is why an incident is closed of which only the end was heard.
const overUnseen = "over before it was seen"

// alerts: each is acknowledged once all faults are over. Each that was is in the
// journal, and has one end, unless its action's doubt, or what it threw, is left
// to a person.
func (v *verdict) alerts(s *sender, b *books) {
	if left, example := s.untaken(); left > 0 {
		v.wrong("%d alerts were never answered 2xx, %s among them, though all faults are over", left, example)
	}
	for _, a := range s.alerts {
		if a.Taken.IsZero() {
			continue
		}
		v.Alerts++
		inc := b.incidents[a.Name]
		if inc == nil {
			v.Lost++
			v.wrong("%s was answered 2xx and is not in the journal", a.Name)
			continue
		}
		if inc.EndReason == overUnseen {
			v.Lost++
			v.wrong("%s was answered 2xx and is not in the journal: only its end is", a.Name)
			continue
		}
		inDoubt := slices.ContainsFunc(inc.Actions, func(id signalbox.ActionID) bool {
			act := b.actions[id]
			return act != nil && act.InFlight() && forAPerson(act, s.back)
		})
		if !inc.Closed() && !inDoubt && b.staysThrown(inc) {
			v.LeftDoubt++
			continue
		}
		if !inc.Closed() && !inDoubt {
			v.Lost++
			v.wrong("%s has not come to an end, and nothing of it is in doubt", a.Name)
		}
	}
}

// effects: each belongs to one action with an earlier intent, no action has
// two, no throw of an incident is made twice, and the journal tells the truth.
func (v *verdict) effects(log []arrival, b *books) {
	effects := map[signalbox.ActionID]int{}
	throws := map[signalbox.IncidentID]int{}
	last := map[string]time.Time{} // claims of class K
	for _, in := range log {
		if !in.Effect {
			continue
		}
		v.Effects++
		a := b.of(in)
		if a == nil {
			v.wrong("an effect at %s (%s) has no intent before it", in.Target, in.Action)
			continue
		}
		if effects[a.ID]++; effects[a.ID] > 1 {
			v.Twice++
			v.wrong("action %s had %d effects at %s", a.ID, effects[a.ID], in.Target)
		}
		if a.Undoes == "" {
			if throws[a.Incident]++; throws[a.Incident] > 1 {
				v.Twice++
				v.wrong("incident %s had %d throws at %s", a.Incident, throws[a.Incident], in.Target)
			}
		}
		if a.Stage == signalbox.Broken && !a.Ran() {
			v.wrong("action %s had an effect at %s, and is on record as one without (%s)", a.ID, in.Target, a.Reason)
		}
		if in.Target[:1] == classK {
			if was := last[in.Target]; !was.IsZero() && in.At.Sub(was) < cooldownOfK {
				v.wrong("%s was thrown again after %v, within its cooldown", in.Target, in.At.Sub(was).Round(time.Millisecond))
			}
			last[in.Target] = a.ClaimedAt
		}
	}
	for _, a := range b.order {
		if a.Stage == signalbox.Done && !a.Forecast.Already && a.Step.Kind != "page" && effects[a.ID] == 0 {
			v.wrong("action %s is on record as done, and had no effect (%s)", a.ID, a.Receipt.Detail)
		}
	}
}

// claims: what is claimed at a target waits until all before it there has its
// end, in each journal by itself: what a store has forgotten was claimed when
// what it remembers was over.
func (v *verdict) claims(b *books) {
	b.sort()
	free := map[string]*signalbox.Action{} // the last that was claimed
	for _, a := range b.order {
		if was := free[a.Step.Name]; was != nil && (was.InFlight() || a.ClaimedAt.Before(was.EndedAt)) {
			v.wrong("action %s was claimed at %s while action %s was in flight there", a.ID, a.Step.Name, was.ID)
		}
		free[a.Step.Name] = a
	}
}

// order: no effect of what was claimed before comes after one of what was
// claimed later, as one does from a process that was stopped before its send.
func (v *verdict) order(log []arrival, b *books) {
	newest := map[string]*signalbox.Action{}
	for _, in := range log {
		a := b.of(in)
		if !in.Effect || a == nil {
			continue
		}
		if was := newest[in.Target]; was != nil && a.ClaimedAt.Before(was.ClaimedAt) {
			v.wrong("an effect at %s of action %s came after one of action %s, which was claimed later", in.Target, a.ID, was.ID)
		}
		newest[in.Target] = a
	}
}

// doubtBound is two minutes, as promised, and one for the times when nobody
// leads between kills. How long a row keeps the leader away comes on top. The
// guarantees say the same.
const doubtBound = 3 * time.Minute

// doubts: each is settled within the bound, or its incident is paged.
func (v *verdict) doubts(b *books, bound time.Duration) {
	for _, a := range b.order {
		if !b.doubts[a.ID] {
			continue
		}
		until := b.last
		if !a.EndedAt.IsZero() {
			until = a.EndedAt
		}
		if paged, told := b.paged[a.Incident]; told && paged.Before(until) {
			until = paged
		}
		if took := until.Sub(a.ClaimedAt); took > bound {
			v.wrong("action %s was in doubt for %v, and neither settled nor paged", a.ID, took.Round(time.Second))
		}
	}
}

// targets: no token decreases, and no two effects overlap.
func (v *verdict) targets(log []arrival) {
	token, busy := map[string]int64{}, map[string]time.Time{}
	byArrival := slices.Clone(log)
	slices.SortStableFunc(byArrival, func(x, y arrival) int { return x.At.Compare(y.At) })
	for _, in := range log {
		if !in.Applied || in.Target[:1] != classA {
			continue
		}
		if in.Token < token[in.Target] {
			v.wrong("the token at %s went back from %d to %d", in.Target, token[in.Target], in.Token)
		}
		token[in.Target] = in.Token
	}
	for _, in := range byArrival {
		if !in.Effect {
			continue
		}
		if in.At.Before(busy[in.Target]) {
			v.wrong("two effects at %s overlap", in.Target)
		}
		if in.Done.After(busy[in.Target]) {
			busy[in.Target] = in.Done
		}
	}
}

// gaps are the times from each fault to the next effect that was sent after it.
func (v *verdict) gaps(log []arrival, deaths []time.Time) {
	for i, at := range deaths {
		best := time.Time{}
		for _, in := range log {
			if in.Effect && in.At.After(at) && (best.IsZero() || in.At.Before(best)) {
				best = in.At
			}
		}
		if best.IsZero() || i+1 < len(deaths) && best.After(deaths[i+1]) {
			continue // nothing came before the next fault
		}
		v.Gaps = append(v.Gaps, best.Sub(at).Milliseconds())
	}
}
