package sim

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// plan lays out what happens: illness, people, and faults.
func (s *sim) plan() {
	s.again(float64(s.o.Incidents)/float64(s.o.Days), s.sicken)
	s.again(0.3, s.storm)
	s.again(0.5, s.mass)
	s.again(0.2, s.audit)
	s.planPeople()
	faults := []struct {
		perDay float64
		do     func()
	}{
		{6, func() { s.restart((*sim).die, s.between(time.Second, 2*time.Minute)) }},
		{1, func() { s.restart((*sim).halt, s.between(time.Second, 10*time.Minute)) }},
		{4, func() { s.count("lease lost"); s.expire() }},
		{3, s.storeAway},
		{2, s.pagerAway},
		{6, s.blind},
		{0.5, s.killFile},
		{12, func() { s.spoil("target away", func(p *points, on bool) { p.down = on }) }},
		{12, func() { s.spoil("answers lost", func(p *points, on bool) { p.deaf = on }) }},
		{12, func() { s.spoil("slow", func(p *points, on bool) { p.slow = on }) }},
	}
	for _, f := range faults {
		s.again(f.perDay, f.do)
	}
	s.after(time.Hour, s.compact)
}

func (s *sim) count(what string) { s.counts[what]++ }

// pick takes one of a list.
func pick[T any](s *sim, list []T) T { return list[s.rng.IntN(len(list))] }

// sicken makes one thing ill, for some time or until something cures it.
func (s *sim) sicken() {
	region := pick(s, regions)
	cure := func(to string, chance float64) string {
		if s.rng.Float64() < chance {
			return to
		}
		return ""
	}
	detector, subject, cured := "", "", ""
	switch x := s.rng.Float64(); {
	case x < 0.62:
		s.alert(region)
		return
	case x < 0.84:
		detector, subject, cured = pods+region, fmt.Sprintf("pod/%s-%d", region, s.rng.IntN(podsPerRegion)), cure("fresh", 0.85)
	case x < 0.92:
		detector, subject, cured = faults, "app/"+region, cure("b", 0.8)
	case x < 0.96:
		detector, subject, cured = lag, "db/"+region, cure("b", 0.85)
	case x < 0.98:
		detector, subject, cured = replica, "replica/"+region+"/"+pick(s, []string{"a", "b"}), ""
	default:
		detector, subject, cured = backlog, "queue/"+region, ""
	}
	if s.co.sicken(detector, subject, cured) {
		s.asked++
		s.after(30*time.Second+s.random(20*time.Minute, 1), func() { s.co.heal(detector, subject) })
	}
}

// alert is one that Alertmanager sends until it is taken, and then its end;
// sometimes twice.
func (s *sim) alert(region string) {
	s.asked++
	began := time.Now()
	r := signalbox.Reading{
		Detector: alerts, Series: fmt.Sprintf("%x", s.asked), Episode: began.UTC().Format(time.RFC3339Nano), OnsetAt: began, WellAt: began.Add(-time.Minute),
		Subject: fmt.Sprintf("alert-%d/%s", s.rng.IntN(12), region), Condition: signalbox.Breached, Summary: "an alert",
		Labels: map[string]string{"region": region},
	}
	over := 30*time.Second + s.random(15*time.Minute, 1)
	s.deliver(r, began.Add(over), false)
	s.after(over, func() {
		r.Condition, r.EndedAt = signalbox.Clear, time.Now()
		s.deliver(r, time.Time{}, true)
	})
}

// deliver posts an alert until it gets its 2xx, or is over before that.
func (s *sim) deliver(r signalbox.Reading, over time.Time, again bool) {
	r.At = time.Now()
	if !over.IsZero() && !r.At.Before(over) {
		return
	}
	if s.receive(r) {
		if r.Condition == signalbox.Breached {
			s.accepted = append(s.accepted, signalbox.NewIncidentID(r))
		}
		if !again && s.rng.Float64() < 0.05 {
			s.after(s.between(time.Second, time.Minute), func() { s.deliver(r, over, true) })
		}
		return
	}
	s.after(s.between(time.Second, 10*time.Second), func() { s.deliver(r, over, again) })
}

func (s *sim) receive(r signalbox.Reading) bool {
	p := s.live()
	if p == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	return p.engine.Receive(ctx, signalbox.Batch{Source: alerts, At: r.At, Readings: []signalbox.Reading{r}}) == nil
}

// storm is many alerts in a minute.
func (s *sim) storm() {
	s.count("storm")
	for range 200 {
		s.after(s.between(0, time.Minute), func() { s.alert(pick(s, regions)) })
	}
}

// mass is most of a region's pods at once, by one cause.
func (s *sim) mass() {
	s.count("mass failure")
	region := pick(s, regions)
	over := s.between(5*time.Minute, time.Hour)
	for i := range podsPerRegion {
		if name := fmt.Sprintf("pod/%s-%d", region, i); s.co.sicken(pods+region, name, "fresh") {
			s.after(over, func() { s.co.heal(pods+region, name) })
		}
	}
}

// audit verifies the journal and its archive beside the daemon that writes them.
func (s *sim) audit() {
	if s.revision() == 0 {
		return // the store is away
	}
	s.count("audit")
	if _, err := s.reader().Verify(s.t.Context()); err != nil {
		s.t.Errorf("I11: %v", err)
	}
}

func (s *sim) restart(end func(*sim), gone time.Duration) {
	if s.live() == nil {
		return
	}
	s.count("restart")
	end(s)
	s.forget()
	s.after(gone, func() {
		if s.live() == nil {
			s.start()
		}
	})
}

// forget forgives the pages that only the process knows: those that it sent
// straight while it had no store. People end these.
func (s *sim) forget() {
	s.pager.mu.Lock()
	defer s.pager.mu.Unlock()
	s.oracle.mu.Lock()
	defer s.oracle.mu.Unlock()
	for key, a := range s.pager.alerts {
		if a.open && !s.oracle.pages[string(signalbox.PageKey(key))] {
			a.open = false
			s.count("page forgotten")
		}
	}
}

func (s *sim) storeAway() {
	s.count("store away")
	s.store.Break(errDown)
	s.after(s.between(time.Second, 5*time.Minute), s.store.Mend)
}

func (s *sim) pagerAway() {
	s.count("pager away")
	s.pager.set(true)
	s.after(s.between(time.Second, 10*time.Minute), func() { s.pager.set(false) })
}

func (p *pager) set(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (s *sim) blind() {
	d := pick(s, polled)
	s.count("blind")
	s.see(d, false)
	s.after(s.between(time.Minute, 20*time.Minute), func() { s.see(d, true) })
}

func (s *sim) see(detector string, seen bool) {
	s.co.mu.Lock()
	defer s.co.mu.Unlock()
	switch {
	case seen:
		s.co.seen[detector] = time.Time{}
	case s.co.seen[detector].IsZero():
		s.co.seen[detector] = time.Now()
	}
}

func (s *sim) killFile() {
	s.count("kill file")
	s.setKill(true)
	s.after(s.between(time.Minute, 30*time.Minute), func() { s.setKill(false) })
}

func (s *sim) setKill(there bool) {
	s.door.Lock()
	defer s.door.Unlock()
	at := time.Time{}
	if there {
		if err := os.WriteFile(s.kill, nil, 0o600); err != nil {
			s.t.Error(err)
		}
		at = time.Now()
	} else {
		_ = os.Remove(s.kill) // it may be gone already
	}
	s.oracle.mu.Lock()
	defer s.oracle.mu.Unlock()
	s.oracle.killedAt = at
}

// atDoor is what happens between the claim of an action and its send.
func (s *sim) atDoor(x float64) {
	const lasts = 2 * time.Minute
	switch {
	case x < 0.4:
		s.setKill(true)
		time.AfterFunc(lasts, func() { s.setKill(false) })
	case x < 0.8:
		s.control(signalbox.Control{Kind: signalbox.Pause, Scope: "all", Who: "@sre", Reason: "stop", Until: time.Now().Add(lasts)})
	default:
		s.expire()
	}
	time.Sleep(time.Millisecond) //nolint:forbidigo // bubble time
}

// expire ends the leader's lease.
func (s *sim) expire() {
	s.door.Lock()
	defer s.door.Unlock()
	s.term.Add(1)
	s.store.Expire("engine")
}

// switches are the names of all, in order.
func (s *sim) switches() []string {
	names := make([]string, 0, len(s.co.pos))
	for name := range s.co.pos {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// spoil spoils one switch for a while.
func (s *sim) spoil(what string, set func(p *points, on bool)) {
	s.count(what)
	p := s.co.pos[pick(s, s.switches())]
	with := func(on bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		set(p, on)
	}
	with(true)
	s.after(s.between(10*time.Second, 20*time.Minute), func() { with(false) })
}

// compact forgets the store's history, as etcd's compaction does, and has the
// watches fall behind it: the term ends with them.
func (s *sim) compact() {
	s.after(time.Hour, s.compact)
	rev := s.revision()
	if rev == 0 {
		return // the store is away
	}
	if err := s.store.Compact(s.t.Context(), rev); err != nil {
		s.t.Errorf("compact: %v", err)
	}
	s.store.Break(errDown)
	synctest.Wait()
	s.store.Mend()
}
