package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/policy"
)

// Those to whom a target is given are told, once, that it was thrown for another
// owner's incident, at whatever commit the process is killed; they are not woken
// by a ladder, and it ends with the incident.
func TestTargetsOwnerIsToldOnce(t *testing.T) {
	killedAnywhere(t, func(t *testing.T, n int) (reached bool) {
		synctest.Test(t, func(t *testing.T) {
			pol := flipPolicy()
			pol.VerifyWithin = 20 * time.Minute
			w := newWorld(t, pol)
			w.quiet = true
			p := onCall(w, func(c *policy.Config) {
				c.Policies = []policy.Policy{pol}
				c.Ownership = []policy.OwnerRule{{Target: "configmap core/*", Owner: "support"}, {Target: "configmap core/core-env *", Owner: "backend"}}
			})
			killed := w.killAt(n)
			w.start()
			w.after(20 * time.Second)
			w.make(readsLag, "db/eu", 5)
			w.lives(10*time.Minute, killed)
			expect(t, "effects", w.target.log(), "b")
			keys := map[string]bool{}
			for _, c := range p.accepted() {
				if c.owner != "support" {
					t.Errorf("%s was paged: %q", c.owner, c.body.Summary)
					continue
				}
				keys[c.key] = true
				if c.body.Severity != "info" || !strings.Contains(c.body.Summary, "read-endpoint was thrown to b for an incident of backend") {
					t.Errorf("told %q with severity %s", c.body.Summary, c.body.Severity)
				}
			}
			if n := len(p.triggered("support")); len(keys) != 1 || n > 2 || n > 1 && !killed.Load() {
				t.Errorf("support was told %d times under %d keys, want once: %q", n, len(keys), p.to())
			}
			w.make(readsLag, "db/eu", 0)
			if killed.Load() {
				w.after(15 * time.Minute)
			} else {
				w.lives(15*time.Minute, killed)
			}
			if open := p.open(); len(open) > 0 {
				t.Errorf("still open at the pager: %q", open)
			}
			reached = killed.Load()
			w.audit(nil)
		})
		return reached
	})
}

// together are the pages of the open incidents of backend, by their subjects.
func (w *world) together() map[string]string {
	pages := map[string]string{}
	for _, inc := range w.status().Incidents {
		pages[inc.Reading.Subject] = inc.Page
	}
	return pages
}

func TestIncidentsWithNothingInCommonArePagedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := guarded(t, func(*policy.Config) {})
		p := newPhone(w)
		w.make(readsLag, "db/psp", 0)
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/psp", 5)
		w.after(10 * time.Second)
		w.make(plainOne, "queue/psp", 5)
		w.after(20 * time.Second)
		if got := w.together(); got["db/psp"] == got["queue/psp"] || got["queue/psp"] == "" {
			t.Errorf("pages: %v, want two", got)
		}
		expect(t, "events", p.log(), "trigger trigger")
		w.audit(nil)
	})
}

// What depends on something ill, or has the same deploy under way, is on its page;
// that one is over does not end it for the other, and it ends with the last, also
// with a restart between.
func TestIncidentsOfOneCauseShareAPage(t *testing.T) {
	depends := func(c *policy.Config) {
		c.Depends = []policy.Dependency{{Subject: "queue/{{name}}", On: []string{"db/{{name}}"}}}
	}
	deploys := func(c *policy.Config) {
		c.Changes = []policy.Change{{Name: "release", Detector: replicaLag, Subject: "replica/b"}}
	}
	for _, c := range []struct {
		name        string
		edit        func(*policy.Config)
		first, over string // who is ill first, and who is well first
	}{
		{"dependant, the root is over first", depends, "db/psp", "db/psp"},
		{"dependant is over first", depends, "db/psp", "queue/psp"},
		{"one deploy, the first is over first", deploys, "db/psp", "db/psp"},
		{"one deploy, the second is over first", deploys, "queue/psp", "db/psp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := guarded(t, c.edit)
				p := newPhone(w)
				detector := map[string]string{"db/psp": readsLag, "queue/psp": plainOne}
				other := map[string]string{"db/psp": "queue/psp", "queue/psp": "db/psp"}
				w.make(readsLag, "db/psp", 0)
				w.make(replicaLag, "replica/b", 5) // a deploy, where it is one
				w.start()
				w.after(20 * time.Second)
				before := len(p.accepted())
				w.make(detector[c.first], c.first, 5)
				w.after(20 * time.Second)
				w.make(detector[other[c.first]], other[c.first], 5)
				w.after(20 * time.Second)
				got := w.together()
				key := got["db/psp"]
				if key == "" || key != got["queue/psp"] {
					t.Fatalf("pages: %v, want one", got)
				}
				last := p.accepted()[len(p.accepted())-1]
				if text := strings.Join(last.body.Evidence, "\n"); !strings.Contains(text, "db/psp") || !strings.Contains(text, "queue/psp") {
					t.Errorf("the page must tell both, got %q", text)
				}
				if !strings.HasPrefix(last.body.Summary, c.first+" and ") || last.body.Source != c.first {
					t.Errorf("the page must be headed by %s, got %q from %q", c.first, last.body.Summary, last.body.Source)
				}
				w.die()
				w.start()
				w.after(20 * time.Second)
				w.make(detector[c.over], c.over, 0)
				w.after(time.Minute)
				if got := w.together(); got[other[c.over]] != key || got[c.over] != "" {
					t.Errorf("open: %v, want %s only", got, other[c.over])
				}
				if !slices.Contains(p.open(), key) {
					t.Errorf("the page is over though %s is ill: %q", other[c.over], p.to()[before:])
				}
				w.make(detector[other[c.over]], other[c.over], 0)
				w.make(replicaLag, "replica/b", 0) // is on it too, where it is a cause
				w.after(time.Minute)
				if slices.Contains(p.open(), key) {
					t.Errorf("the page is open though all is well: %q", p.to()[before:])
				}
				w.audit(nil)
			})
		})
	}
}

// What depends on a root cause is paged before it: the page is headed by the root
// all the same, once that is on it.
func TestPageOfACauseIsHeadedByTheRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := guarded(t, func(c *policy.Config) {
			c.Depends = []policy.Dependency{{Subject: "queue/{{name}}", On: []string{"db/{{name}}"}}}
		})
		p := newPhone(w)
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/psp", 5)
		w.make(plainOne, "queue/psp", 5)
		w.after(20 * time.Second)
		last := p.accepted()[len(p.accepted())-1]
		if !strings.HasPrefix(last.body.Summary, "db/psp and 1 more: ") || last.body.Source != "db/psp" {
			t.Errorf("the page must be headed by db/psp, got %q from %q", last.body.Summary, last.body.Source)
		}
		w.make(readsLag, "db/psp", 0)
		w.make(plainOne, "queue/psp", 0)
		w.after(10 * time.Minute)
		w.audit(nil)
	})
}

// Two incidents whose plans touch one target are one page.
func TestIncidentsOfOneTargetShareAPage(t *testing.T) {
	for _, c := range []struct {
		name, one, two string
		shared         bool
	}{{"one target", "one", "one", true}, {"two targets", "one", "two", false}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one, two := flips("one", readsLag, c.one, "b"), flips("two", plainOne, c.two, "b")
				one.Autonomy, two.Autonomy = policy.Suggest, policy.Suggest
				w := guarded(t, func(*policy.Config) {}, one, two)
				newYard(w, "one", "two")
				newPhone(w)
				w.start()
				w.after(20 * time.Second)
				w.make(readsLag, "db/eu", 5)
				w.after(20 * time.Second)
				w.make(plainOne, "queue/psp", 5)
				w.after(20 * time.Second)
				got := w.together()
				if (got["db/eu"] == got["queue/psp"]) != c.shared || got["db/eu"] == "" || got["queue/psp"] == "" {
					t.Errorf("pages: %v, want one: %t", got, c.shared)
				}
				w.make(readsLag, "db/eu", 0)
				w.make(plainOne, "queue/psp", 0)
				w.after(10 * time.Minute)
				w.audit(nil)
			})
		})
	}
}
