package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

// mostRounds is within how many rounds of ten minutes an incident that nothing
// holds back any more has ended, or has a person.
const mostRounds = 30

// settled is a world from now on: controls are lifted, what is asked is
// approved, and what is in flight ends.
func (c *crowd) settled(stage signalbox.Stage) {
	c.calm()
	c.answer(signalbox.Approved)
	c.endAll(stage)
	for range 4 {
		c.round()
	}
	c.later(10 * time.Minute)
}

// Every incident ends: from whatever state, once its series is well and the
// world's controls are lifted. What does not go back by itself, or was denied,
// a person takes back by hand.
func TestPropertyEveryIncidentEnds(t *testing.T) {
	ends := map[signalbox.End]int{}
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t, drawKnobs(t))
		c.drawn(16)
		c.cross, c.helps = false, true
		for round := range mostRounds {
			for _, m := range crowdOf {
				c.shows(m.subject, signalbox.Clear)
			}
			if round >= mostRounds/2 { // by hand
				clear(c.stands)
			}
			if round == mostRounds/2 { // nobody waits longer for ids whose budget is spent
				c.later(idsFor)
			}
			c.settled(signalbox.Done)
		}
		for _, d := range c.h.Decide(c.w, c.open()) {
			t.Fatalf("%s does not end, at %s\n%s", c.memberOf(d.Incident).subject, clock(c.w.Now), tell(d))
		}
		for _, inc := range c.w.State.Incidents {
			ends[inc.End]++
		}
	})
	t.Log(ends)
}

// A breach that lasts comes to a person, from whatever state and whether or not
// its steps have an effect: each incident is paged, or waits for a root that is.
func TestPropertyEveryBreachComesToAPerson(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t, drawKnobs(t))
		c.drawn(16)
		stage := rapid.SampledFrom([]signalbox.Stage{signalbox.Done, signalbox.Broken}).Draw(t, "stage")
		ids := c.open()
		for range mostRounds / 2 {
			for _, id := range ids {
				c.shows(c.memberOf(id).subject, signalbox.Breached)
			}
			c.settled(stage)
		}
		decisions := c.h.Decide(c.w, ids)
		for i := range decisions {
			d := &decisions[i]
			if !c.has(d.Incident, decisions) {
				t.Fatalf("%s has nobody, at %s\n%s", c.memberOf(d.Incident).subject, clock(c.w.Now), tell(*d))
			}
		}
	})
}

// has reports whether somebody was paged of an incident, or of one for which it
// waits.
func (c *crowd) has(id signalbox.IncidentID, decisions []signalbox.Decision) bool {
	if inc := c.w.State.Incidents[id]; inc == nil || inc.Closed() || inc.Page != "" {
		return true
	}
	for i := range decisions {
		if d := &decisions[i]; d.Incident == id {
			for _, root := range waitsFor(d) {
				if c.w.State.Incidents[root].Page != "" {
					return true
				}
			}
		}
	}
	return false
}
