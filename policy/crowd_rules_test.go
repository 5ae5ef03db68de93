package policy

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

// crowdSteps are how long a crowd is let alone between two rounds.
var crowdSteps = []time.Duration{0, time.Second, 16 * time.Second, time.Minute, 6 * time.Minute, 16 * time.Minute, 31 * time.Minute, 61 * time.Minute}

// mayAct fails where a step that is about to be taken must not be, by rules
// that are written apart from the guards.
func (c *crowd) mayAct(d *signalbox.Decision, f *signalbox.Forecast) {
	m := c.memberOf(d.Incident)
	why := c.heldBy(m, f)
	if why == "" && d.Takes == "" {
		why = c.evidence(m, d)
	}
	if why == "" && d.Takes == "" {
		why = c.spent(m, f)
	}
	if why == "" && d.Takes == "" {
		why = c.items(d)
	}
	if why == "" && d.Takes == "" && m.detector == "lag" {
		why = c.blast(m)
	}
	if a := c.w.State.Approvals[d.Uses]; why == "" && f.NeedsApproval != "" && (a == nil || a.State != signalbox.Approved || !c.w.Now.Before(a.Expires)) {
		why = "over a migration without an approval"
	}
	if why != "" {
		c.t.Fatalf("%s for %s at %s, though %s\n%s", d.Verdict, m.subject, clock(c.w.Now), why, tell(*d))
	}
}

// heldBy is what forbids to act, forward or back.
func (c *crowd) heldBy(m member, f *signalbox.Forecast) string {
	covers := func(one signalbox.Control) bool {
		return slices.Contains([]string{"all", "policy/for-" + m.subject, "owner/backend", "target/" + string(m.target)}, one.Scope)
	}
	for _, a := range c.w.State.Actions {
		if a.InFlight() && slices.ContainsFunc(a.Forecast.Targets, func(t signalbox.Target) bool { return slices.Contains(f.Targets, t) }) {
			return "an action on its target is in flight"
		}
	}
	switch s := c.w.State.Controls; {
	case c.w.Facts.KillFile != "" || s.Killed != nil:
		return "it is killed"
	case slices.ContainsFunc(s.Pauses, covers):
		return "it is paused"
	case slices.ContainsFunc(s.Taken, covers):
		return "a person has it"
	}
	return ""
}

// evidence is what of the world's signals forbids to act.
func (c *crowd) evidence(m member, d *signalbox.Decision) string {
	now := func(subject string, fresh time.Duration) signalbox.Condition {
		s := c.series[subject]
		if r := c.w.Facts.Reading(s.detector, subject, ""); r != nil && c.w.Now.Sub(r.SampleAt) <= fresh {
			return r.Condition
		}
		return signalbox.Unknown
	}
	over := c.w.State.Incidents[d.Incident].Reading.Condition == signalbox.Clear
	switch {
	case now(m.subject, time.Minute) != signalbox.Breached && (d.Step.Most == 0 || !over): // ids are as undone once it is well
		return "its series is not seen to be breached"
	case now("replica/"+m.to, time.Minute) != signalbox.Clear:
		return "its destination is not seen to be clear"
	case now("deploy/"+m.cluster, 5*time.Minute) != signalbox.Clear:
		return "a deploy may be under way"
	case now("migration/"+m.cluster, 5*time.Minute) != signalbox.Clear:
		return "a migration may be under way"
	case !c.w.Now.Before(noon.Add(4*time.Hour)) && c.w.Now.Before(noon.Add(5*time.Hour)):
		return "it is frozen"
	}
	for _, inc := range c.w.State.Incidents {
		if !inc.Closed() && inc.Reading.Condition != signalbox.Clear && slices.Contains(m.on, inc.Reading.Subject) {
			return "its root " + inc.Reading.Subject + " is ill"
		}
	}
	return ""
}

// spent is which budget forbids to act.
func (c *crowd) spent(m member, f *signalbox.Forecast) string {
	var hour, policy, target int
	for _, a := range c.tried {
		ago := c.w.Now.Sub(a.ClaimedAt)
		same := slices.Contains(a.Forecast.Targets, f.Targets[0])
		if ago < time.Hour {
			hour++
		}
		if ago < 24*time.Hour && a.Policy == "for-"+m.subject {
			policy++
		}
		if ago < 24*time.Hour && same {
			target++
		}
		if ago < crowdCooldown && same {
			return "its target was acted on " + ago.String() + " ago"
		}
	}
	if hour >= c.k.Budget || policy >= memberBudget || target >= memberBudget {
		return "its budget is spent"
	}
	return ""
}

// items is what forbids to take a step's ids.
func (c *crowd) items(d *signalbox.Decision) string {
	if d.Step.Most == 0 {
		return ""
	}
	lately, taken := 0, map[string]bool{}
	for _, a := range c.w.State.Actions {
		if c.w.Now.Sub(a.ClaimedAt) < time.Hour {
			lately += len(a.Step.Items)
		}
		for _, it := range a.Step.Items {
			taken[it] = taken[it] || a.Incident == d.Incident && a.Stage != signalbox.Broken
		}
	}
	switch {
	case len(d.Step.Items) == 0 || len(d.Step.Items) > replayMost:
		return "it takes none or too many ids"
	case lately+len(d.Step.Items) > replayPace:
		return "its pace is spent"
	case slices.ContainsFunc(d.Step.Items, func(it string) bool { return taken[it] }):
		return "an id was taken before"
	}
	return ""
}

// blast counts the databases of a cluster that are touched with this one.
func (c *crowd) blast(m member) string {
	touched := map[signalbox.Target]bool{m.target: true}
	known, unknown := 0, 0
	for _, other := range crowdOf {
		if other.detector != "lag" || other.cluster != m.cluster {
			continue
		}
		if known++; c.series[other.subject].condition == signalbox.Unknown {
			unknown++
		}
	}
	for _, a := range c.tried {
		by := c.memberOf(a.Incident)
		if by.detector != "lag" || by.cluster != m.cluster {
			continue
		}
		s := c.w.State.Targets[by.target]
		if c.w.Now.Sub(a.ClaimedAt) < time.Hour || s.Holder == a.ID || s.Thrown == a.ID {
			touched[by.target] = true
		}
	}
	allowed := c.k.Floor
	if share := int(c.k.Share * float64(known)); 2*unknown <= known && share > allowed {
		allowed = share
	}
	if len(touched) > allowed {
		return "the blast radius is used up"
	}
	return ""
}

// saysWhy fails where a decision to hold does not tell why, with a figure or a
// name, and what would change it.
func (c *crowd) saysWhy(d *signalbox.Decision) {
	if d.Verdict != signalbox.Hold {
		return
	}
	if !slices.ContainsFunc(d.Because, func(r signalbox.Reason) bool {
		named := slices.ContainsFunc(crowdOf, func(m member) bool { return strings.Contains(r.Detail, string(m.target)) })
		return !r.Passed && r.Lifts != "" && (named || strings.ContainsAny(r.Detail, "0123456789") || strings.Contains(r.Detail, "it is there"))
	}) {
		c.t.Fatalf("holds without figures\n%s", tell(*d))
	}
}

// noneWaitInARing fails where incidents of which nobody was paged wait for each
// other.
func (c *crowd) noneWaitInARing(decisions []signalbox.Decision) {
	next := map[signalbox.IncidentID][]signalbox.IncidentID{}
	for i := range decisions {
		d := &decisions[i]
		if d.Verdict == signalbox.Hold && c.w.State.Incidents[d.Incident].Page == "" {
			next[d.Incident] = waitsFor(d)
		}
	}
	for id := range next {
		reached := slices.Clone(next[id])
		for i := 0; i < len(reached); i++ {
			if reached[i] == id {
				c.t.Fatalf("%s waits for itself, and nobody is paged: %v", id, next)
			}
			for _, further := range next[reached[i]] {
				if !slices.Contains(reached, further) {
					reached = append(reached, further)
				}
			}
		}
	}
}

// Whatever happens, in one round and over many, nothing is done that the rules
// above forbid, each hold says why, and no two incidents wait for each other.
func TestPropertyCrowd(t *testing.T) {
	acts := 0
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t, drawKnobs(t))
		c.drawn(25)
		acts += c.acts
	})
	t.Logf("%d actions", acts)
}

// Equal worlds that were put together in another order are decided alike.
func TestPropertyOrderOfWorldsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t, drawKnobs(t))
		c.drawn(12)
		w := c.shuffled()
		ids := c.open()
		want, got := c.h.Decide(c.w, ids), c.h.Decide(w, rapid.Permutation(ids).Draw(t, "due"))
		for i := range want {
			if want[i].Signature() != got[i].Signature() || tell(want[i]) != tell(got[i]) || !slices.Equal(want[i].Reads, got[i].Reads) {
				t.Fatalf("equal worlds, other decisions:\n%s\n%s", tell(want[i]), tell(got[i]))
			}
		}
	})
}

// shuffled is an equal world, put together in an order of its own.
func (c *crowd) shuffled() *World {
	w := &World{State: signalbox.NewState(), Facts: signalbox.NewFacts(), Now: c.w.Now}
	c.h.Counted(w.Facts.CountBy)
	for _, subject := range rapid.Permutation(slices.Sorted(maps.Keys(c.series))).Draw(c.t, "order") {
		w.Facts.Replace(c.w.Facts.Reading(c.series[subject].detector, subject, ""))
	}
	wants := map[signalbox.IncidentID]*signalbox.Want{}
	for _, m := range crowdOf {
		for _, by := range c.w.Facts.Wants(string(m.target)) {
			maps.Copy(wants, by)
		}
	}
	for _, id := range rapid.Permutation(slices.Sorted(maps.Keys(c.w.State.Incidents))).Draw(c.t, "incidents") {
		w.State.PutIncident(c.w.State.Incidents[id])
		w.Facts.PutWant(id, wants[id])
	}
	for _, t := range rapid.Permutation(slices.Sorted(maps.Keys(c.w.State.Targets))).Draw(c.t, "targets") {
		w.State.PutTarget(c.w.State.Targets[t])
	}
	for hash, f := range c.foreseen {
		w.Facts.PutForecast(hash, f)
	}
	w.State.Actions = maps.Clone(c.w.State.Actions)
	w.Facts.KillFile, w.State.Controls, w.State.Budgets = c.w.Facts.KillFile, c.w.State.Controls, maps.Clone(c.w.State.Budgets)
	w.State.Policies, w.State.Approvals = maps.Clone(c.w.State.Policies), maps.Clone(c.w.State.Approvals)
	return w
}
