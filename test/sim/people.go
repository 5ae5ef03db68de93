package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// planPeople lays out what people do.
func (s *sim) planPeople() {
	s.again(2, s.pause)
	s.again(3, s.hand)
	s.again(48, func() { s.morning(6 * time.Hour) })
	s.again(3, s.take)
	s.again(480, s.answer)
	s.again(200, s.acknowledge)
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

// morning is a person who looks what stands stopped, was found with another's
// hand on it, or was demoted for a while, and gives it back.
func (s *sim) morning(demotedFor time.Duration) {
	if s.live() == nil {
		return
	}
	s.count("tidied up")
	s.oracle.mu.Lock()
	targets, demoted := maps.Clone(s.oracle.targets), maps.Clone(s.oracle.demoted)
	s.oracle.mu.Unlock()
	for _, t := range slices.Sorted(maps.Keys(targets)) {
		if ts := targets[t]; !ts.StoppedAt.IsZero() || ts.Hand != nil {
			s.control(signalbox.Control{Kind: signalbox.Release, Scope: "target/" + string(t), Who: "@sre", Reason: "looked at"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(demoted)) {
		if time.Since(demoted[name].At) < demotedFor {
			continue
		}
		s.control(signalbox.Control{Kind: signalbox.Restore, Scope: "policy/" + name, Who: "@sre", Reason: "looked at"})
	}
}

// take takes something for a while.
func (s *sim) take() {
	scope := pick(s, []string{"owner/backend", "policy/edge-eu", "target/points read-us", "policy/reads-ap"})
	c := signalbox.Control{Kind: signalbox.Take, Scope: scope, Who: "@be-lead", Reason: "mine", Until: time.Now().Add(s.between(time.Minute, time.Hour))}
	if s.control(c) {
		s.count("taken")
	}
}

// answer is a person who looks at what waits for approval: most is approved,
// some denied, some left to expire.
func (s *sim) answer() {
	p := s.live()
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	list, err := p.engine.Approvals(ctx)
	if err != nil {
		return
	}
	for _, a := range list {
		x := s.rng.Float64()
		if a.State != signalbox.Asked || x > 0.8 {
			continue
		}
		allowed := func(*signalbox.Approval, string) error { return nil }
		if _, err := p.engine.Answer(ctx, a.ID, x < 0.7, "@sre-lead", "looked at", allowed); err == nil {
			s.count(fmt.Sprintf("approved %t", x < 0.7))
		}
	}
}

// acknowledge is a person who takes up the page of something that is open.
func (s *sim) acknowledge() {
	s.oracle.mu.Lock()
	var paged []signalbox.IncidentID
	for id, inc := range s.oracle.open {
		if inc.Page != "" {
			paged = append(paged, id)
		}
	}
	s.oracle.mu.Unlock()
	if len(paged) == 0 {
		return
	}
	slices.Sort(paged) // so that it follows from the seed
	c := signalbox.Control{Kind: signalbox.Acknowledge, Scope: "incident/" + string(pick(s, paged)), Who: "@be-lead", Reason: "on it"}
	if s.control(c) {
		s.count("acknowledged")
	}
}
