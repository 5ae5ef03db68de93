package sim

import (
	"maps"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// planPeople lays out what people do.
func (s *sim) planPeople() {
	s.again(2, s.pause)
	s.again(3, s.hand)
	s.again(4, s.morning)
}

// pause pauses something for a while.
func (s *sim) pause() {
	scope := pick(s, []string{"all", "owner/backend", "policy/reads-eu", "target/points edge-us"})
	c := signalbox.Control{Kind: signalbox.Pause, Scope: scope, Who: "@sre", Reason: "maintenance", Until: time.Now().Add(s.between(time.Minute, time.Hour))}
	if s.control(c) {
		s.count("pause")
	}
}

// hand is a person who throws a switch, and later puts it back.
func (s *sim) hand() {
	p := s.co.pos[pick(s, []string{"read-", "edge-"})+pick(s, regions)]
	s.count("thrown by hand")
	p.byHand(pick(s, []string{"a", "b"}))
	s.after(s.between(10*time.Minute, 3*time.Hour), func() { p.byHand("a") })
}

// morning is a person who looks what stands thrown or stopped, and tidies up.
func (s *sim) morning() {
	if s.live() == nil {
		return
	}
	s.count("tidied up")
	s.oracle.mu.Lock()
	targets := maps.Clone(s.oracle.targets)
	s.oracle.mu.Unlock()
	for _, t := range slices.Sorted(maps.Keys(targets)) {
		if ts := targets[t]; !ts.StoppedAt.IsZero() || ts.Hand != nil {
			s.control(signalbox.Control{Kind: signalbox.Release, Scope: "target/" + string(t), Who: "@sre", Reason: "looked at"})
		}
	}
}
