package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/policy"
)

// onCall gives the world's set ladders: backend's backup after two minutes, then
// devops as the last resort; a second channel; and who else there is.
func onCall(w *world, change func(*policy.Config)) *phone {
	w.t.Helper()
	p := newPhone(w)
	cfg := policy.Config{
		Hash: "ladders", DefaultOwner: "devops",
		Owners: []policy.Owner{
			{Name: "backend", Escalates: true, AcknowledgeWithin: 2 * time.Minute, Backup: true, LastResort: "devops"},
			{Name: "devops"},
			{Name: "support"},
		},
	}
	for name := range w.set.Detectors {
		cfg.Detectors = append(cfg.Detectors, policy.Detector{Name: name, Owner: "backend"})
	}
	if change != nil {
		change(&cfg)
	}
	book, err := policy.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	step := func(spec string) *signalbox.Step {
		return &signalbox.Step{Kind: "page", Name: spec, Spec: []byte(`"` + spec + `"`)}
	}
	w.set.Handbook = book
	w.set.Owners["support"] = *step("support")
	w.set.Ladders = map[string]engine.Ladder{"backend": {BackupName: "second", Backup: step("backend-backup"), Second: step("chat")}, "devops": {Second: step("chat")}}
	for i := range cfg.Policies {
		w.set.Policies[cfg.Policies[i].Name] = book.PolicyHash(cfg.Policies[i].Name)
	}
	return p
}

// to lists what was taken, as "who event".
func (p *phone) to() (out []string) {
	for _, c := range p.accepted() {
		out = append(out, c.owner+" "+string(c.event))
	}
	return out
}

// triggered is when the nth trigger to somebody was taken.
func (p *phone) triggered(owner string) (at []time.Time) {
	for _, c := range p.accepted() {
		if c.owner == owner && c.event == signalbox.PageTrigger {
			at = append(at, c.at)
		}
	}
	return at
}

func (w *world) word(k signalbox.ControlKind, key string) {
	w.t.Helper()
	c := signalbox.Control{Kind: k, Scope: "page/" + key, Who: "the primary", At: time.Now()}
	if err := w.engine.Receive(w.t.Context(), signalbox.Batch{Source: "pagerduty", At: time.Now(), Words: []signalbox.Control{c}}); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func within(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want || got > want+2*time.Second {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

func TestUnacknowledgedPageClimbsItsLadderAtItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := onCall(w, nil)
		w.start()
		w.after(20 * time.Second)
		w.make(plainOne, "queue/psp", 9)
		w.after(3 * time.Minute)
		w.die() // another process goes on, and pages no rung twice
		w.start()
		w.after(10 * time.Minute)
		primary, backup, last := p.triggered("backend"), p.triggered("backend-backup"), p.triggered("devops")
		if len(primary) != 1 || len(backup) != 1 || len(last) != 1 {
			t.Fatalf("taken: got %q, want each rung once", p.to())
		}
		within(t, "backup after", backup[0].Sub(primary[0]), 2*time.Minute)
		within(t, "last resort after", last[0].Sub(backup[0]), 2*time.Minute)
		w.make(plainOne, "queue/psp", 0)
		w.after(2 * time.Minute)
		open := p.open()
		if len(open) > 0 {
			t.Errorf("still open at the pager: %q", open)
		}
		w.audit(nil)
	})
}

// open are the keys whose last event is no resolve.
func (p *phone) open() (keys []string) {
	last := map[string]signalbox.PageEvent{}
	for _, c := range p.accepted() {
		if c.owner != "chat" {
			last[c.key] = c.event
		}
	}
	for key, event := range last {
		if event != signalbox.PageResolve {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// The next rung's time is that of the configuration in force, also for a page
// that waits already.
func TestReloadMovesTheNextRung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var cfg policy.Config
		p := onCall(w, func(c *policy.Config) {
			c.Owners[0].AcknowledgeWithin = 30 * time.Minute
			cfg = *c
		})
		w.start()
		w.after(20 * time.Second)
		w.make(plainOne, "queue/psp", 9)
		w.after(5 * time.Minute)
		if len(p.triggered("backend")) != 1 || len(p.triggered("backend-backup")) != 0 {
			t.Fatalf("before the reload: taken %q, want the primary alone", p.to())
		}
		cfg.Hash, cfg.Owners = "sooner", slices.Clone(cfg.Owners)
		cfg.Owners[0].AcknowledgeWithin = 2 * time.Minute
		book, err := policy.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		set := *w.set
		set.Hash, set.Handbook = cfg.Hash, book
		w.set = &set
		if err := w.engine.Swap(t.Context(), w.set); err != nil {
			t.Fatal(err)
		}
		w.after(2 * time.Second)
		if len(p.triggered("backend-backup")) != 1 {
			t.Errorf("after the reload: taken %q, want the backup too", p.to())
		}
		w.audit(nil)
	})
}

func TestAcknowledgementStopsTheLadderUntilItIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := onCall(w, nil)
		w.start()
		w.after(20 * time.Second)
		w.make(plainOne, "queue/psp", 9)
		w.after(time.Minute)
		key := p.accepted()[0].key
		w.word(signalbox.Acknowledge, key)
		w.after(10 * time.Minute)
		expect(t, "taken while acknowledged", strings.Join(p.to(), ", "), "backend trigger")
		w.word(signalbox.Unacknowledge, key)
		back := time.Now()
		w.after(5 * time.Minute)
		backup := p.triggered("backend-backup")
		if len(backup) != 1 {
			t.Fatalf("taken: got %q, want the backup once", p.to())
		}
		within(t, "backup after it was taken back", backup[0].Sub(back), 2*time.Minute)
		// What was acknowledged before that, and comes late or again, stops nothing.
		late := signalbox.Control{Kind: signalbox.Acknowledge, Scope: "page/" + key, Who: "the primary", At: back.Add(-time.Minute)}
		if err := w.engine.Receive(t.Context(), signalbox.Batch{Source: "pagerduty", At: time.Now(), Words: []signalbox.Control{late}}); err != nil {
			t.Fatal(err)
		}
		w.after(time.Second)
		if p := w.state().Pages[key]; !p.AckedAt.IsZero() {
			t.Errorf("a late acknowledgement counts: %+v", p)
		}
		// The backup's acknowledgement is the ladder's.
		w.word(signalbox.Acknowledge, key+"-backup")
		w.after(10 * time.Minute)
		told := p.to()
		slices.Sort(told[3:])
		expect(t, "taken after the backup acknowledged", strings.Join(told, ", "), "backend trigger, backend-backup trigger, devops trigger, backend acknowledge, devops acknowledge")
		w.audit(nil)
	})
}

// Whoever acknowledges, and wherever: all who were paged for it are notified no
// more, each once.
func TestWhoAcknowledgesDoesSoForAllWhoWerePaged(t *testing.T) {
	for name, acknowledge := range map[string]func(w *world, key string){
		"the primary, in the pager": func(w *world, key string) { w.word(signalbox.Acknowledge, key) },
		"by signalboxctl": func(w *world, _ string) {
			c := signalbox.Control{Kind: signalbox.Acknowledge, Scope: "incident/" + ids(w.status()), Who: "@be-lead"}
			if err := w.engine.Control(w.t.Context(), c); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				p := onCall(w, nil)
				w.start()
				w.after(20 * time.Second)
				w.make(plainOne, "queue/psp", 9)
				w.after(3 * time.Minute)
				if n := len(p.triggered("backend-backup")); n != 1 {
					t.Fatalf("taken: %q, want the backup once", p.to())
				}
				acknowledge(w, p.accepted()[0].key)
				w.after(10 * time.Minute)
				want := []string{"backend trigger", "backend-backup trigger", "backend-backup acknowledge"}
				if name == "by signalboxctl" {
					want = append(want, "backend acknowledge")
				}
				got := p.to()
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("taken: got %q, want %q", got, want)
				}
				w.audit(nil)
			})
		})
	}
}

// An owner that is gone from the configuration has the default owner's ladder.
func TestLadderOfAnOwnerThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := onCall(w, func(c *policy.Config) {
			c.Owners = []policy.Owner{{Name: "devops", Escalates: true, AcknowledgeWithin: time.Minute, Backup: true}}
		})
		w.set.Ladders["devops"] = w.set.Ladders["backend"]
		w.start()
		w.after(20 * time.Second)
		w.make(plainOne, "queue/psp", 9)
		w.after(5 * time.Minute)
		if n := len(p.triggered("backend-backup")); n != 1 {
			t.Errorf("taken: got %q, want the default owner's backup once", p.to())
		}
		w.audit(nil)
	})
}

func TestPagerDownForTenMinutesLosesAndDoublesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := onCall(w, nil)
		w.start()
		w.after(20 * time.Second)
		p.set(func() {
			p.answer = func(_ int, c call) error {
				if c.owner != "chat" {
					return errDown
				}
				return nil
			}
		})
		raise := func(i int, c signalbox.Condition, start time.Time) {
			r := alert(start, c)
			r.Series, r.Subject = fmt.Sprintf("f%d", i), fmt.Sprintf("HighLatency/%d", i)
			w.receive(r)
		}
		start := time.Now()
		for i := range 30 {
			raise(i, signalbox.Breached, start)
			w.after(10 * time.Second)
		}
		w.after(2 * time.Minute)
		for i := range 10 {
			raise(i, signalbox.Clear, start)
		}
		w.after(3 * time.Minute)
		second := map[string]int{}
		for _, c := range p.accepted() {
			second[c.key+" "+string(c.event)]++
		}
		told := 0
		for what, n := range second {
			if n != 1 && !strings.Contains(what, "storm") {
				t.Errorf("the second channel got %q %d times", what, n)
			}
			if strings.HasPrefix(what, "signalbox-pager-") {
				told++
			}
		}
		if told == 0 {
			t.Errorf("nobody was told that the pager takes nothing: %v", second)
		}
		p.set(func() { p.answer = nil })
		w.after(3 * time.Minute)
		for _, inc := range w.status().Incidents {
			if inc.Page == "" || !slices.Contains(p.open(), inc.Page) {
				t.Errorf("incident %s is open and its page %q is not", inc.ID, inc.Page)
			}
		}
		if n := len(w.status().Incidents); n != 20 {
			t.Errorf("open incidents: got %d, want 20", n)
		}
		for i := range 30 {
			raise(i, signalbox.Clear, start)
		}
		w.after(3 * time.Minute)
		if open := p.open(); len(open) > 0 {
			t.Errorf("still open at the pager: %q", open)
		}
		w.audit(nil)
	})
}
