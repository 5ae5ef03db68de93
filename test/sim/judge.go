package sim

import (
	"maps"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// revision is the store's present one.
func (s *sim) revision() store.Revision {
	_, rev, err := s.store.List(s.t.Context(), "none/")
	if err != nil {
		return 0
	}
	return rev
}

// drain ends all faults and all illness. What automation left thrown, a person
// puts back by hand.
func (s *sim) drain() {
	s.store.Mend()
	s.pager.set(false)
	s.setKill(false)
	for _, d := range polled {
		s.see(d, true)
	}
	for _, p := range s.co.pos {
		p.mu.Lock()
		p.down, p.deaf, p.slow = false, false, false
		p.mu.Unlock()
	}
	for d, subjects := range s.co.ill {
		for subject := range subjects {
			s.co.heal(d, subject)
		}
	}
	if s.live() == nil {
		s.start()
	}
	s.sleep(time.Minute)
	s.planned = nil // alerts that are on their way, and what ends
	s.control(signalbox.Control{Kind: signalbox.Resume, Scope: "all", Who: "@sre", Reason: "over"})
	s.reconcile()
	s.morning(0)
	s.sleep(90 * time.Minute)
	for _, name := range s.switches() {
		if p := s.co.pos[name]; p.class != signalbox.ClassB {
			p.byHand("a")
		}
	}
	s.sleep(90 * time.Minute)
	s.morning(0)
	s.sleep(time.Minute)
}

// reconcile is Alertmanager's whole present state: nothing.
func (s *sim) reconcile() {
	p := s.live()
	if err := p.engine.Reconcile(s.t.Context(), signalbox.Batch{Source: alerts, At: time.Now(), Synced: true}); err != nil {
		s.t.Errorf("reconcile: %v", err)
	}
}

// judge looks at what is left when all is over.
func (s *sim) judge() {
	s.halt()
	s.onTheWay.Wait()
	s.sleep(time.Minute)
	if _, err := s.reader().Verify(s.t.Context()); err != nil {
		s.t.Errorf("I11: %v", err)
	}
	state := s.state()
	o := s.oracle
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(o.open)) {
		inc := o.open[id]
		o.say("I1, I15: incident %s (%s on %s) is open at the end: condition %s, gave up %q", id, inc.Reading.Detector, inc.Reading.Subject, inc.Reading.Condition, inc.GaveUp)
	}
	for _, id := range s.accepted {
		if _, over := o.ended[id]; !over {
			o.say("I1: alert %s got its 2xx and reached no end", id)
		}
	}
	for id, a := range state.Actions {
		if a.InFlight() {
			o.say("I8: action %s is still %s: %s", id, a.Stage, a.Reason)
		}
	}
	for _, ts := range state.Targets {
		if ts.Holder != "" {
			o.say("I3: target %s is still held by %s", ts.Target, ts.Holder)
		}
	}
	for key, p := range state.Pages {
		if p.Sent < p.Want {
			o.say("I15: page %s is still owed: %d of %d, %s", key, p.Sent, p.Want, p.Error)
		}
	}
	for key, a := range s.pager.alerts {
		if a.open {
			o.say("I15: the pager's alert %s is left open", key)
		}
	}
	for _, wrong := range o.wrong {
		s.t.Error(wrong)
	}
	s.report()
}

// report tells how much was played.
func (s *sim) report() {
	o := s.oracle
	s.t.Logf("seed %d: %d illnesses over %d days; %d incidents ended: %v", s.o.Seed, s.asked, s.o.Days, len(o.ended), o.ends)
	s.t.Logf("%d commits looked at, %d requests to targets, %d effects, %d events to the pager, %d lives; decisions %v", o.looks, o.sends, o.effects, s.pager.events, s.lives, o.verdicts)
	s.t.Logf("what happened: %v", s.counts)
}
