package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// hushed is a world that reads an Alertmanager's silences.
func hushed(t *testing.T) *world {
	t.Helper()
	w := guarded(t, func(c *policy.Config) { c.Silences = true }, flipPolicy())
	w.set.Silences = "alertmanager"
	w.start()
	w.after(20 * time.Second)
	return w
}

// silences tells the engine those that are in force, as of now.
func (w *world) silences(list ...signalbox.Silence) {
	w.t.Helper()
	w.engine.Silences(w.t.Context(), signalbox.Silences{At: time.Now(), List: list})
	synctest.Wait()
}

func silenceOf(subject string, until time.Time) signalbox.Silence {
	equal := func(want string) func(string) bool { return func(v string) bool { return v == want } }
	return signalbox.Silence{ID: "42", Who: "@sre", Comment: "known", Until: until, Matchers: []signalbox.Matcher{
		{Name: "alertname", Matches: equal(readsLag)}, {Name: "subject", Matches: equal(subject)},
	}}
}

// A silence holds the action and the page of what it matches, and both come once
// it ends: at its time, or when it is deleted; also over a restart.
func TestSilenceHoldsUntilItEnds(t *testing.T) {
	for name, c := range map[string]struct {
		subject string
		held    bool
		end     func(w *world)
	}{
		"at its time":       {"db/eu", true, func(w *world) { w.after(time.Minute) }},
		"deleted":           {"db/eu", true, func(w *world) { w.silences() }},
		"of something else": {"db/us", false, func(*world) {}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := hushed(t)
				s := silenceOf(c.subject, time.Now().Add(4*time.Minute))
				w.silences(s)
				w.make(readsLag, "db/eu", 5)
				w.after(time.Minute)
				if !c.held {
					expect(t, "effects", w.target.log(), "b")
				} else {
					expect(t, "effects while it is silenced", w.target.log(), "")
					expect(t, "pages while it is silenced", w.pager.log(), "")
					w.again()
					expect(t, "effects while the silences are not read yet", w.target.log(), "")
					w.silences(s)
					w.after(90 * time.Second)
					expect(t, "effects while it is silenced, after a restart", w.target.log(), "")
					c.end(w)
					w.after(20 * time.Second)
					expect(t, "effects once the silence is over", w.target.log(), "b")
				}
				w.make(readsLag, "db/eu", 0)
				w.silences()
				w.after(4 * time.Minute)
				w.silences()
				w.after(4 * time.Minute)
				w.audit(nil)
			})
		})
	}
}

// Silences that were never read, or can't be read for longer, hold the action, and
// its owner is paged; a failed reading takes nothing back before.
func TestSilencesThatAreNotReadHold(t *testing.T) {
	for name, read := range map[string]bool{"never read": false, "not read any more": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := hushed(t)
				if read {
					w.silences(silenceOf("db/us", time.Now().Add(time.Hour)))
				}
				for range 6 {
					w.after(time.Minute)
					w.engine.Silences(t.Context(), signalbox.Silences{Err: "away"})
				}
				w.make(readsLag, "db/eu", 5)
				w.after(3 * time.Minute)
				expect(t, "effects", w.target.log(), "")
				expect(t, "pages", w.pager.log(), "trigger")
				if why := fmt.Sprint(w.pager.last().body); !strings.Contains(why, "Alertmanager's silences were read") {
					t.Errorf("the page must tell why: %q", why)
				}
				w.silences()
				w.after(20 * time.Second)
				expect(t, "effects once they are read", w.target.log(), "b")
				w.make(readsLag, "db/eu", 0)
				w.after(4 * time.Minute)
				w.audit(nil)
			})
		})
	}
}

// An alert that its Alertmanager holds, by a silence or an inhibition, is acted on
// once it no longer is, and paged for nothing.
func TestAlertThatIsHeldAtItsSourceIsNotActedOn(t *testing.T) {
	for _, by := range []string{"silence 1", "inhibited by 2"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pol := flipPolicy()
				pol.On = []string{alerts}
				w := newWorld(t, pol)
				w.start()
				w.after(20 * time.Second)
				r := alert(time.Now(), signalbox.Breached)
				r.Confirmed, r.Suppressed = true, by
				w.reconcile(r)
				w.after(time.Minute)
				expect(t, "effects while it is held", w.target.log(), "")
				r.Suppressed, r.SampleAt = "", time.Now()
				w.reconcile(r)
				w.after(20 * time.Second)
				expect(t, "effects once it no longer is", w.target.log(), "b")
				expect(t, "pages", w.pager.log(), "")
				w.halt()
			})
		})
	}
}

// An incident that is silenced is not paged by a restart, though Alertmanager answers
// late.
func TestSilencedIsNotPagedByARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := hushed(t)
		equal := func(want string) func(string) bool { return func(v string) bool { return v == want } }
		s := signalbox.Silence{ID: "42", Who: "@sre", Comment: "known", Until: time.Now().Add(4 * time.Hour), Matchers: []signalbox.Matcher{{Name: "alertname", Matches: equal(plainOne)}}}
		w.silences(s)
		w.make(plainOne, "queue/psp", 5) // no policy is on it
		w.after(time.Minute)
		expect(t, "pages while it is silenced", w.pager.log(), "")
		w.die()
		w.start()
		w.after(20 * time.Second) // Alertmanager answers slowly
		w.silences(s)
		w.after(time.Minute)
		expect(t, "pages while it is silenced, after a restart", w.pager.log(), "")
		w.halt()
	})
}
