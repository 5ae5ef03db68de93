package engine_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/policy"
)

// exchange begins a world in which all is well and pages go to a phone.
func exchange(t *testing.T, policies ...policy.Policy) (*world, *phone) {
	t.Helper()
	w := newWorld(t, policies...)
	p := newPhone(w)
	w.start()
	w.after(20 * time.Second)
	return w, p
}

func (p *phone) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func refuseAll(err error) func(int, call) error {
	return func(int, call) error { return err }
}

func TestPageIsSentUntilItIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := exchange(t)
		p.set(func() {
			p.answer = func(n int, _ call) error {
				if n < 6 {
					return errDown
				}
				return nil
			}
		})
		w.make(plainOne, "queue/psp", 9)
		w.after(5 * time.Minute)
		expect(t, "accepted", p.log(), "trigger")
		if n := len(p.attempts); n != 7 {
			t.Errorf("attempts: got %d, want 7", n)
		}
		for i := 2; i < len(p.attempts); i++ {
			was, now := p.attempts[i-1].at.Sub(p.attempts[i-2].at), p.attempts[i].at.Sub(p.attempts[i-1].at)
			if now < was {
				t.Errorf("attempt %d came %s after the one before, which had waited %s", i, now, was)
			}
		}
		w.make(plainOne, "queue/psp", 0)
		w.after(time.Minute)
		expect(t, "accepted", p.log(), "trigger resolve")
		w.audit(nil)
	})
}

func TestPageHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := exchange(t)
		p.set(func() {
			p.answer = func(n int, _ call) error {
				if n == 0 {
					return &signalbox.RetryAfter{After: 90 * time.Second, Err: errors.New("slow down")}
				}
				return nil
			}
		})
		w.make(plainOne, "queue/psp", 9)
		w.after(5 * time.Minute)
		expect(t, "accepted", p.log(), "trigger")
		if waited := p.attempts[1].at.Sub(p.attempts[0].at); waited < 90*time.Second || waited > 95*time.Second {
			t.Errorf("it was tried again after %s, want 90s", waited)
		}
		w.audit(nil)
	})
}

// An incident that joins a page which is on its way must be told by another.
func TestMemberThatJoinsAPageOnItsWayIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.On = []string{readsLag, plainOne}
		w := newWorld(t, pol)
		p := newPhone(w)
		p.takes = 9 * time.Second
		w.make(readsLag, "db/eu", 5)
		w.make(plainOne, "queue/psp", 9)
		w.blind(plainOne, true)
		w.start()
		w.after(6 * time.Second)
		w.blind(plainOne, false)
		w.after(time.Minute)
		got := p.accepted()
		if len(got) == 0 {
			t.Fatal("nobody was paged")
		}
		last := got[len(got)-1]
		if n := len(last.body.Evidence); n != 3 && n != 2 {
			t.Errorf("the last page must tell both incidents, got %q", last.body.Evidence)
		}
		if text := strings.Join(last.body.Evidence, "\n"); !strings.Contains(text, "db/eu") || !strings.Contains(text, "queue/psp") {
			t.Errorf("the last page must tell both incidents, got %q", text)
		}
		for _, c := range got[1:] {
			expect(t, "key", c.key, got[0].key)
		}
		w.audit(nil)
	})
}

// A witness of a policy has an incident of its own, and no page of its own: in
// whichever order they are seen, one page tells both, and ends with the last.
func TestWitnessIsOnThePageOfWhatItSees(t *testing.T) {
	for name, order := range map[string][2]string{"witness first": {plainOne, readsLag}, "witness last": {readsLag, plainOne}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pol := flipPolicy()
				pol.Witnesses = []signalbox.Witness{{Detector: plainOne}}
				pol.Runbook = append([]signalbox.Step{{Kind: "page", Name: "backend", Spec: json.RawMessage(`{}`)}}, pol.Runbook...)
				w, p := exchange(t, pol)
				value := map[string]float64{readsLag: 5, plainOne: 9}
				for _, d := range order {
					w.make(d, "db/eu", value[d])
					w.after(40 * time.Second)
				}
				keys := map[string]bool{}
				for _, c := range p.accepted() {
					if c.owner == "backend" {
						keys[c.key] = true
					}
				}
				if len(keys) != 1 {
					t.Errorf("pages: %d, want one", len(keys))
				}
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				if strings.Contains(p.log(), "resolve") {
					t.Errorf("it was resolved with one of them: %s", p.log())
				}
				w.make(plainOne, "db/eu", 0)
				w.after(10 * time.Minute)
				if !strings.HasSuffix(p.log(), "resolve") {
					t.Errorf("it was not resolved with the last: %s", p.log())
				}
				w.audit(nil)
			})
		})
	}
}

func TestRefusedPageGoesToTheDefaultOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := exchange(t)
		p.set(func() {
			p.answer = func(_ int, c call) error {
				if c.owner == "backend" {
					return &signalbox.Failure{Reason: "invalid routing key"}
				}
				return nil
			}
		})
		w.make(plainOne, "queue/psp", 9)
		w.after(time.Minute)
		got := p.accepted()
		if len(got) != 1 || got[0].owner != "devops" {
			t.Fatalf("accepted: got %+v, want one by devops", got)
		}
		w.make(plainOne, "queue/psp", 0)
		w.after(time.Minute)
		expect(t, "accepted", p.log(), "trigger resolve")
		w.audit(nil)
	})
}

func TestOwnerThatIsGoneFromTheConfigurationIsAnsweredForByTheDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := exchange(t)
		p.set(func() { p.answer = refuseAll(errDown) })
		w.make(plainOne, "queue/psp", 9)
		w.after(10 * time.Second)
		w.configure("two")
		delete(w.set.Owners, "backend")
		w.set.Pager = p
		for name, step := range w.set.Owners {
			step.Spec = []byte(`"` + name + `"`)
			w.set.Owners[name] = step
		}
		if err := w.engine.Swap(t.Context(), w.set); err != nil {
			t.Fatal(err)
		}
		p.set(func() { p.answer = nil })
		w.after(time.Minute)
		w.make(plainOne, "queue/psp", 0)
		w.after(time.Minute)
		expect(t, "accepted", p.log(), "trigger resolve")
		for _, c := range p.accepted() {
			expect(t, "owner", c.owner, "devops")
		}
		w.audit(nil)
	})
}

func TestAcknowledgeByAPersonReachesThePager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := exchange(t)
		w.make(plainOne, "queue/psp", 9)
		w.after(20 * time.Second)
		scope := "incident/" + ids(w.status())
		if err := w.engine.Control(t.Context(), signalbox.Control{Kind: signalbox.Acknowledge, Scope: scope, Who: "test"}); err != nil {
			t.Fatal(err)
		}
		w.after(time.Minute)
		expect(t, "accepted", p.log(), "trigger acknowledge")
		w.make(plainOne, "queue/psp", 0)
		w.after(time.Minute)
		expect(t, "accepted", p.log(), "trigger acknowledge resolve")
		w.audit(nil)
	})
}

// Whatever becomes of terms and processes while a trigger is on its way, the
// last that the pager hears of a page that is over is its resolve.
func TestResolveIsTheLastWord(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world)
	}{
		{"nothing happens", func(*world) {}},
		{"the term changes", func(w *world) { w.store.Expire("engine") }},
		{"the store breaks for a moment", func(w *world) {
			w.store.Break(errDown)
			w.after(time.Second)
			w.store.Mend()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := exchange(t)
				p.set(func() { p.takes = 9 * time.Second })
				w.make(plainOne, "queue/psp", 9)
				w.after(6 * time.Second)
				c.do(w)
				p.set(func() { p.takes = 0 })
				w.make(plainOne, "queue/psp", 0)
				w.after(2 * time.Minute)
				got := p.accepted()
				if len(got) == 0 || got[len(got)-1].event != signalbox.PageResolve {
					t.Errorf("accepted: got %q, want a resolve at last", p.log())
				}
				w.audit(nil)
			})
		})
	}
}

// A store that can be read and not written, as with a full disk, is no store.
func TestStoreThatCannotBeWrittenPagesStraightAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := exchange(t, flipPolicy())
		w.store.BeforeCommit(func(txn store.Txn) error {
			if len(txn.Puts) > 0 {
				return errors.Join(store.ErrUnavailable, errors.New("no space"))
			}
			return nil
		})
		w.make(readsLag, "db/eu", 5)
		w.after(15 * time.Second)
		expect(t, "pages", p.log(), "trigger")
		w.after(time.Minute)
		expect(t, "pages, with the one about the store", p.log(), "trigger trigger")
		expect(t, "effects", w.target.log(), "")
		w.store.BeforeCommit(nil)
		w.after(time.Minute)
		if n := len(w.status().Incidents); n != 1 {
			t.Errorf("incidents: got %d, want 1", n)
		}
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		w.restorePolicy() // the only switch did not help, so that it was demoted
		w.after(time.Second)
		got := map[string]signalbox.PageEvent{}
		for _, c := range p.accepted() {
			got[c.key] = c.event
		}
		for key, event := range got {
			expect(t, "last event of "+key, string(event), string(signalbox.PageResolve))
		}
		w.audit(nil)
	})
}

// A pager that hangs until the deadline, each time, is tried again.
func TestDirectPageOutlastsAPagerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := exchange(t)
		p.set(func() { p.takes = time.Hour })
		w.store.Break(errDown)
		w.make(readsLag, "db/eu", 5)
		w.after(2 * time.Minute)
		p.set(func() { p.takes = 0 })
		w.after(30 * time.Second)
		if n := len(p.accepted()); n != 2 {
			t.Errorf("accepted: got %q, want the breach and the store", p.log())
		}
		w.store.Mend()
		w.after(time.Minute)
		w.audit(nil)
	})
}

// A page that was owed when the store went away does not wait for it.
func TestPageThatIsOwedWhenTheStoreGoesIsSentStraight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := exchange(t)
		p.set(func() { p.answer = refuseAll(errDown) })
		w.make(plainOne, "queue/psp", 9)
		w.after(10 * time.Second)
		w.store.Break(errDown)
		p.set(func() { p.answer = nil })
		w.after(20 * time.Second)
		expect(t, "accepted", p.log(), "trigger")
		w.store.Mend()
		w.make(plainOne, "queue/psp", 0)
		w.after(3 * time.Minute)
		if got := p.accepted(); got[len(got)-1].event != signalbox.PageResolve {
			t.Errorf("accepted: got %q, want a resolve at last", p.log())
		}
		w.audit(nil)
	})
}

// Each outage pages what is ill in it, also the same series again, and the
// store's own page is resolved also by a pager that was away at that moment.
func TestEachOutagePagesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := exchange(t)
		for round := range 3 {
			before := len(p.accepted())
			w.store.Break(errDown)
			w.make(readsLag, "db/eu", 5)
			w.after(20 * time.Second)
			if n := len(p.accepted()) - before; n != 1 {
				t.Errorf("round %d: %d pages of the breach, want 1", round, n)
			}
			w.after(30 * time.Second)
			w.make(readsLag, "db/eu", 0)
			w.after(10 * time.Second)
			p.set(func() { p.answer = refuseAll(errDown) })
			w.store.Mend()
			w.after(time.Minute)
			p.set(func() { p.answer = nil })
			w.after(5 * time.Minute)
			open := map[string]bool{}
			for _, c := range p.accepted() {
				open[c.key] = c.event == signalbox.PageTrigger
			}
			for key, still := range open {
				if still {
					t.Errorf("round %d: page %s is still open at the pager: %q", round, key, p.log())
				}
			}
		}
		w.audit(nil)
	})
}
