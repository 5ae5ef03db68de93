package engine_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// A story is a switch of some class and what happens to it, to the daemon and
// to its store, in random order. Whatever happens, the invariants of
// docs/safety hold at each moment, and when the faults end all of it drains.

// event is one thing that happens, and how long nothing else does.
type event struct {
	what string
	then time.Duration
}

func (e event) String() string { return fmt.Sprintf("%s, %s", e.what, e.then) }

// happenings are what an event may be. They are total: what makes no sense at
// the moment changes nothing.
func happenings() map[string]func(s *story) {
	return map[string]func(s *story){
		"breach":                 func(s *story) { s.ill(true) },
		"well":                   func(s *story) { s.ill(false) },
		"blind":                  func(s *story) { s.see(false) },
		"seeing":                 func(s *story) { s.see(true) },
		"alert":                  (*story).alert,
		"kill -9":                (*story).die,
		"stop":                   (*story).stop,
		"start":                  (*story).start,
		"store away":             func(s *story) { s.storeAway() },
		"store back":             func(s *story) { s.away.Store(false); s.w.store.Mend() },
		"lease lost":             func(s *story) { s.w.store.Expire("engine") },
		"kill file":              func(s *story) { s.killFile(true) },
		"no file":                func(s *story) { s.killFile(false) },
		"pause":                  func(s *story) { s.pause(true) },
		"resume":                 func(s *story) { s.pause(false) },
		"target away":            func(s *story) { s.p.with(func() { s.p.down = true }) },
		"target back":            func(s *story) { s.p.with(func() { s.p.down, s.p.dies = false, false }) },
		"target dies":            func(s *story) { s.p.with(func() { s.p.dies = true }) },
		"deaf":                   func(s *story) { s.p.with(func() { s.p.deaf = true }) },
		"heard":                  func(s *story) { s.p.with(func() { s.p.deaf = false }) },
		"slow":                   func(s *story) { s.p.with(func() { s.p.lag = 15 * time.Second }) },
		"quick":                  func(s *story) { s.p.with(func() { s.p.lag = 0 }) },
		"pager away":             func(s *story) { s.pager(true) },
		"pager back":             func(s *story) { s.pager(false) },
		"killed at the door":     func(s *story) { s.atDoor(s.vanish) },
		"lease lost at the door": func(s *story) { s.atDoor(func() { s.w.store.Expire("engine") }) },
		"store away at the door": func(s *story) { s.atDoor(s.storeAway) },
		"kill file at the door":  func(s *story) { s.atDoor(func() { s.killFile(true) }) },
		"a sick":                 func(s *story) { s.w.make(replicaLag, "replica/a", 5) },
		"a well":                 func(s *story) { s.w.make(replicaLag, "replica/a", 0) },
	}
}

// story is one that is being told.
type story struct {
	w *world
	p *points

	// Requests are judged while other things happen.
	dead      atomic.Bool
	away      atomic.Bool // the store
	paused    atomic.Bool
	blindFrom atomic.Int64 // nanoseconds; 0: it can be seen
	wellFrom  atomic.Int64 // nanoseconds; 0: it is ill
	alerts    int
	taken     []signalbox.IncidentID // of alerts that got their 2xx
	claims    map[signalbox.ActionID]time.Time
	forgotten map[string]bool // pages that only a process that is gone knew of
	wrong     []string
}

// The budget and the cooldown of the story's policy.
const (
	most = 3
	rest = 15 * time.Minute
)

func newStory(t *testing.T, class signalbox.Class) *story {
	pol := flipPolicy()
	pol.Cooldown, pol.AfterHealthy = rest, 30*time.Second
	pol.Budget = []policy.Rate{{N: most, Per: 24 * time.Hour}}
	w := newWorld(t, pol)
	w.quiet = true
	s := &story{w: w, p: newPoints(w, class), claims: map[signalbox.ActionID]time.Time{}, forgotten: map[string]bool{}}
	s.p.declared = 30 * time.Second
	s.wellFrom.Store(time.Now().UnixNano())
	w.oracle = s.mayBeSent
	w.start()
	w.after(20 * time.Second)
	return s
}

// mayBeSent judges a request at the moment at which it reaches the switch.
func (s *story) mayBeSent(a *signalbox.Action) []string {
	var wrong []string
	say := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%s: action %s to %s: ", time.Now().Format(time.TimeOnly), a.ID, a.Step.To)+fmt.Sprintf(format, args...))
	}
	if _, err := os.Stat(s.w.kill); err == nil {
		say("sent under the kill file")
	}
	if s.paused.Load() {
		say("sent under a pause")
	}
	if s.dead.Load() {
		say("sent by a process that is gone")
	}
	// An action of class B in doubt may have been sent already: it is sent again
	// under its key, so that it is known, also when the breach is over by then.
	// No other class is ever sent again.
	resent := a.Forecast.Class == signalbox.ClassB && a.Attempts > 1
	if _, again := s.claims[a.ID]; !again && !resent && a.Undoes == "" {
		// What was asked again serves for a while: see confirmedFor.
		const serves = 30 * time.Second
		if d := since(&s.blindFrom); d > serves {
			say("thrown though nothing was known for %s", d)
		}
		if d := since(&s.wellFrom); d > serves {
			say("thrown though all was well for %s", d)
		}
	}
	s.claims[a.ID] = a.ClaimedAt
	return append(wrong, s.w.oneAtATime(a)...)
}

func since(at *atomic.Int64) time.Duration {
	n := at.Load()
	if n == 0 {
		return 0
	}
	return time.Since(time.Unix(0, n))
}

func (s *story) storeAway() {
	s.away.Store(true)
	s.w.store.Break(errDown)
}

// atDoor has something happen between the claim and the send of what is thrown
// next, or taken back.
func (s *story) atDoor(happens func()) {
	s.p.with(func() {
		s.p.atDoor = func() {
			s.p.with(func() { s.p.atDoor = nil })
			happens()
		}
	})
}

// vanish ends the process from within.
func (s *story) vanish() {
	s.dead.Store(true)
	s.w.cutOff()
}

func (s *story) ill(ill bool) {
	if !ill {
		s.w.make(readsLag, "db/eu", 0)
		s.wellFrom.CompareAndSwap(0, time.Now().UnixNano())
		return
	}
	s.w.make(readsLag, "db/eu", 5)
	s.wellFrom.Store(0)
}

func (s *story) see(seeing bool) {
	s.w.blind(readsLag, !seeing)
	if seeing {
		s.blindFrom.Store(0)
	} else {
		s.blindFrom.CompareAndSwap(0, time.Now().UnixNano())
	}
}

func (s *story) alert() {
	if s.dead.Load() {
		return
	}
	s.alerts++
	r := alert(time.Now(), signalbox.Breached)
	r.Series = fmt.Sprintf("f%d", s.alerts)
	if s.w.engine.Receive(s.w.t.Context(), signalbox.Batch{Source: alerts, At: time.Now(), Readings: []signalbox.Reading{r}}) == nil {
		s.taken = append(s.taken, signalbox.NewIncidentID(r))
	}
}

func (s *story) die() {
	s.forget()
	s.w.die()
	s.dead.Store(true)
}

func (s *story) stop() {
	if !s.dead.Load() {
		s.forget()
		s.w.halt()
		s.dead.Store(true)
	}
}

// forget notes the pages that a process takes with it: those that it sent
// straight and that the store does not know. People end these.
func (s *story) forget() {
	known := map[string]*signalbox.Page{}
	if !s.away.Load() {
		known = s.w.state().Pages
	}
	for key, event := range s.pages() {
		if event == signalbox.PageTrigger && known[key] == nil {
			s.forgotten[key] = true
		}
	}
}

// pages tells the last event of each page at the pager.
func (s *story) pages() map[string]signalbox.PageEvent {
	s.w.pager.mu.Lock()
	defer s.w.pager.mu.Unlock()
	last := map[string]signalbox.PageEvent{}
	for _, e := range s.w.pager.events {
		last[e.key] = e.event
	}
	return last
}

func (s *story) start() {
	if !s.dead.Load() {
		s.die()
	}
	s.dead.Store(false)
	s.w.start()
}

func (s *story) killFile(there bool) {
	if there {
		_ = os.WriteFile(s.w.kill, nil, 0o600)
	} else {
		_ = os.Remove(s.w.kill)
	}
}

func (s *story) pause(on bool) {
	c := signalbox.Control{Kind: signalbox.Resume, Scope: "all", Who: "test", Reason: "test"}
	if on {
		c.Kind = signalbox.Pause
	}
	if s.dead.Load() || on == s.paused.Load() {
		return
	}
	if s.w.engine.Control(s.w.t.Context(), c) == nil {
		s.paused.Store(on)
	}
}

func (s *story) pager(down bool) {
	s.w.pager.mu.Lock()
	defer s.w.pager.mu.Unlock()
	s.w.pager.down = down
}

// heal ends all faults and all illness, and lets it drain. What automation left
// thrown, as it may after a budget or doubts, a person takes back by hand.
func (s *story) heal() {
	s.p.with(func() { s.p.atDoor = nil })
	for _, what := range []string{"store back", "target back", "heard", "quick", "pager back", "no file", "seeing", "well", "a well", "start"} {
		happenings()[what](s)
	}
	s.w.after(20 * time.Second)
	s.pause(false)
	s.w.after(10 * time.Second)
	s.w.reconcile()
	s.w.after(10 * time.Minute)
	s.w.restorePolicy()
	s.p.with(func() {
		if s.p.value != "a" {
			s.p.value = "a"
			s.p.version++
		}
	})
	s.w.after(6 * time.Minute)
}

// tell tells one story to its end, and returns what was wrong.
func tellStory(t *testing.T, class signalbox.Class, events []event) (wrong []string) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t, class)
		for _, e := range events {
			happenings()[e.what](s)
			s.w.after(e.then)
		}
		s.heal()
		wrong = s.judge()
	})
	return wrong
}

func drawEvents(t *rapid.T) []event {
	var names []string
	for name := range happenings() {
		names = append(names, name)
	}
	slices.Sort(names)
	// A story is mostly about a breach that is acted on, and faults end.
	for range 4 {
		names = append(names, "breach", "breach", "start", "store back", "target back", "no file", "resume", "seeing", "heard")
	}
	one := rapid.Custom(func(t *rapid.T) event {
		return event{
			rapid.SampledFrom(names).Draw(t, "what"),
			rapid.SampledFrom([]time.Duration{0, 2 * time.Second, 5 * time.Second, 6 * time.Second, 10 * time.Second, 20 * time.Second, time.Minute, 3 * time.Minute}).Draw(t, "then"),
		}
	})
	first, more := one.Draw(t, "first"), rapid.SliceOfN(one, 2, 22).Draw(t, "more")
	first.then = 0
	return append([]event{first, {"breach", 6 * time.Second}}, more...)
}

func TestWhateverHappensTheInvariantsHoldAndAllDrains(t *testing.T) {
	stories(t, 60)
	rapid.Check(t, func(rt *rapid.T) {
		class := rapid.SampledFrom([]signalbox.Class{signalbox.ClassA, signalbox.ClassA, signalbox.ClassB, signalbox.ClassC}).Draw(rt, "class")
		events := drawEvents(rt)
		if wrong := tellStory(t, class, events); len(wrong) > 0 {
			rt.Fatalf("class %s, %v:\n%s", class, events, strings.Join(wrong, "\n"))
		}
	})
}

// stories says how many stories are told where the command line says nothing,
// and tells the seed with which the same are told again.
func stories(t *testing.T, n int) {
	t.Helper()
	set := func(name, value string) {
		f := flag.Lookup(name)
		if f == nil || f.Value.String() != f.DefValue {
			return
		}
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(name, f.DefValue) })
	}
	set("rapid.checks", fmt.Sprint(n))
	set("rapid.seed", fmt.Sprint(1+rand.Uint64N(1<<62)))
	t.Logf("-rapid.seed=%s -rapid.checks=%s", flag.Lookup("rapid.seed").Value, flag.Lookup("rapid.checks").Value)
}
