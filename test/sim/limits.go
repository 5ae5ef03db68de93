package sim

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// detector is that of an action's incident.
func (o *oracle) detector(a *signalbox.Action) string {
	if inc := o.open[a.Incident]; inc != nil {
		return inc.Reading.Detector
	}
	return ""
}

// listed judges that an action does what its policy lists, or takes back what one
// did (I14).
func (o *oracle) listed(a *signalbox.Action) {
	if a.Undoes != "" {
		if was := o.actions[a.Undoes]; was != nil && (was.Step.Name != a.Step.Name || was.Forecast.Undo == nil || was.Forecast.Undo.To != a.Step.To) {
			o.say("I14: %s takes %s back by throwing %s to %s", a.ID, a.Undoes, a.Step.Name, a.Step.To)
		}
		return
	}
	for _, s := range o.s.policies[a.Policy].Runbook {
		if s.Kind == a.Step.Kind && s.Name == a.Step.Name && s.To == a.Step.To {
			return
		}
	}
	o.say("I14: %s throws %s to %s, which policy %s does not list", a.ID, a.Step.Name, a.Step.To, a.Policy)
}

// stopped judges that nothing is thrown on a target at which automation has
// stopped, since two actions on it did not help (I12).
func (o *oracle) stopped(p *points, a *signalbox.Action) {
	if ts := o.targets[p.target()]; ts != nil && !ts.StoppedAt.IsZero() && ts.StoppedAt.Before(a.ClaimedAt) {
		o.say("I12: %s is sent to %s, which is stopped since %s", a.ID, p.name, ts.StoppedAt)
	}
}

// onTarget judges an effect by what its policy may do to one target, whichever
// policies did it.
func (o *oracle) onTarget(p *points, e effect) {
	for _, r := range o.s.policies[e.policy].Budget {
		n := 1
		for _, old := range p.effects {
			if !old.back && e.claimed.Sub(old.claimed) < r.Per {
				n++
			}
		}
		if n > r.N {
			o.say("I6: %d throws of %s in %s, the budget of policy %s for one target is %d", n, p.name, r.Per, e.policy, r.N)
		}
	}
}

// blast judges an effect by the blast radius of its incident's detector: the
// targets of the same whole that were thrown within its time, or are in flight
// since before, with this one.
func (o *oracle) blast(p *points, a *signalbox.Action, e effect) {
	inc := o.open[a.Incident]
	if inc == nil {
		return
	}
	for i := range o.s.config.Blast {
		b := &o.s.config.Blast[i]
		if !hears(b, inc.Reading.Detector) {
			continue
		}
		touched := map[string]bool{p.name: true}
		for _, old := range o.s.throws {
			if hears(b, old.detector) && !old.claimed.After(e.claimed) && e.claimed.Sub(old.claimed) < b.Within {
				touched[old.name] = true
			}
		}
		for _, other := range o.actions {
			by := o.open[other.Incident]
			if other.InFlight() && other.Undoes == "" && other.ClaimedAt.Before(e.claimed) && by != nil && hears(b, by.Reading.Detector) {
				touched[other.Step.Name] = true
			}
		}
		known, sick := o.s.whole(b, e.claimed)
		if most := max(b.Floor, int(b.Share*float64(known))); len(touched) > most {
			o.say("I12: %s touches %d of %d in %s at once, at most %d", a.ID, len(touched), known, b.Name, most)
		}
		if b.Mass > 0 && float64(sick) > b.Mass*float64(known) && sick > b.Floor {
			o.say("I12: %s is thrown while %d of %d in %s are ill", a.ID, sick, known, b.Name)
		}
	}
}

func hears(b *policy.Blast, detector string) bool {
	for _, d := range b.Detectors {
		if d == detector {
			return true
		}
	}
	return false
}

// whole counts the subjects of a blast radius, and those that were surely seen to
// be ill when something was claimed: for longer than a round and what was asked
// again takes.
func (s *sim) whole(b *policy.Blast, claimed time.Time) (known, sick int) {
	s.co.mu.Lock()
	defer s.co.mu.Unlock()
	for _, d := range b.Detectors {
		seen := s.co.seen[d].IsZero()
		for _, x := range s.co.ill[d] {
			known++
			if seen && x.ill && x.since.Before(claimed.Add(-2*interval)) {
				sick++
			}
		}
	}
	return known, sick
}
