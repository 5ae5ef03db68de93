package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// guarded makes a world whose handbook has what edit puts into it.
func guarded(t *testing.T, edit func(c *policy.Config), policies ...policy.Policy) *world {
	t.Helper()
	w := newWorld(t, policies...)
	w.reguard("one", edit, policies...)
	return w
}

// reguard makes the set of a configuration with what edit puts into it.
func (w *world) reguard(hash string, edit func(c *policy.Config), policies ...policy.Policy) {
	w.t.Helper()
	cfg := policy.Config{Hash: hash, DefaultOwner: "devops", Policies: policies}
	for _, d := range []string{readsLag, replicaLag, plainOne, alerts} {
		cfg.Detectors = append(cfg.Detectors, policy.Detector{Name: d, Owner: "backend"})
	}
	edit(&cfg)
	book, err := policy.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	old := w.set.Remediators
	w.configure(hash, policies...)
	w.set.Handbook, w.set.Remediators = book, old
	for _, p := range policies {
		w.set.Policies[p.Name] = book.PolicyHash(p.Name)
	}
}

// flips is a policy about one detector that puts a switch to a position.
func flips(name, detector, at, to string) policy.Policy {
	p := flipPolicy()
	p.Name, p.On, p.Cooldown, p.Budget = name, []string{detector}, 0, nil
	p.Runbook[0].Name, p.Runbook[0].To = at, to
	return p
}

func (w *world) well(subject string, n int) {
	for i := range n {
		w.make(readsLag, fmt.Sprintf("%s%d", subject, i), 0)
	}
}

// thrown are the domains of the targets that an action counts in.
func (w *world) domains() (all []string) {
	for _, s := range w.state().Targets {
		all = append(all, s.Domains...)
	}
	slices.Sort(all)
	return all
}

// Of one failure domain one target is touched; the next one waits until the
// first is taken back, also across a restart and a new configuration.
func TestBlastRadiusOverRealClaims(t *testing.T) {
	blast := func(c *policy.Config) {
		c.Blast = []policy.Blast{{Name: "databases", Detectors: []string{readsLag, plainOne}, Share: 0.1, Floor: 1, Within: time.Minute}}
	}
	one, two := flips("one", readsLag, "one", "b"), flips("two", plainOne, "two", "b")
	for _, between := range []string{"nothing", "restart", "swap"} {
		t.Run(between, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := guarded(t, blast, one, two)
				y := newYard(w, "one", "two")
				w.well("db/", 8)
				w.start()
				w.after(20 * time.Second)
				w.make(readsLag, "db/eu", 5)
				w.after(20 * time.Second)
				w.make(readsLag, "db/eu", 0) // it helped, and stands until its old position is well
				w.make(replicaLag, "replica/a", 5)
				w.after(20 * time.Second)
				expect(t, "domains on record", strings.Join(w.domains(), " "), "blast/databases")
				switch between {
				case "restart":
					w.die()
					w.start()
					w.after(30 * time.Second)
				case "swap":
					w.reguard("two", blast, one, two)
					if err := w.engine.Swap(t.Context(), w.set); err != nil {
						t.Fatal(err)
					}
				}
				w.after(2 * time.Minute)
				w.make(plainOne, "queue/psp", 5)
				w.after(time.Minute)
				expect(t, "effects while the first stands", y.each(), "one:b, two:")
				page := w.pager.lastOf("signalbox-demoted-", false).body
				if !strings.Contains(fmt.Sprint(page), "blast/databases: 2 touched at once") {
					t.Errorf("the page must tell the figures: %v", page)
				}
				w.make(replicaLag, "replica/a", 0)
				w.after(6 * time.Minute)
				expect(t, "effects once it was taken back", y.order(), "one:b one:a two:b two:a")
				y.audit(w)
			})
		})
	}
}

// What depends on something that is ill waits for it, and goes on once it is
// over.
func TestRootIsActedOnFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		depends := func(c *policy.Config) {
			c.Depends = []policy.Dependency{{Subject: "queue/{{name}}", On: []string{"db/{{name}}"}}}
		}
		w := guarded(t, depends, flips("one", readsLag, "one", "b"), flips("two", plainOne, "two", "b"))
		y := newYard(w, "one", "two")
		w.make(readsLag, "db/psp", 0)
		w.start()
		w.after(20 * time.Second)
		w.make(plainOne, "queue/psp", 5)
		w.after(6 * time.Second)
		w.make(readsLag, "db/psp", 5) // the root is seen a little later
		w.after(time.Minute)
		expect(t, "effects while the root is ill", y.each(), "one:b, two:")
		w.make(readsLag, "db/psp", 0)
		w.after(8 * time.Minute)
		if got := y.order(); !strings.HasPrefix(got, "one:b") || !strings.Contains(got, "two:b") || strings.Index(got, "two:b") < strings.Index(got, "one:b") {
			t.Errorf("effects: %s", got)
		}
		y.audit(w)
	})
}

// What opens again and again is acted on ever later, and then no more; a restart
// forgets none of it.
func TestFlappingIsRememberedAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flap := func(c *policy.Config) {
			c.Flapping = policy.Flapping{Window: 6 * time.Hour, After: 4, Pause: time.Minute, Stop: 5}
			c.Ineffective = 100
		}
		w := guarded(t, flap, flips("one", readsLag, "one", "b"))
		y := newYard(w, "one")
		w.start()
		w.after(20 * time.Second)
		for i := 1; i <= 5; i++ {
			w.make(readsLag, "db/eu", 5)
			w.after(30 * time.Second)
			if i == 4 {
				expect(t, "effects before the pause", y.order(), strings.TrimSpace(strings.Repeat("one:b one:a ", 3)))
				w.after(time.Minute)
				expect(t, "effects after the pause", y.order(), strings.Repeat("one:b one:a ", 3)+"one:b")
			}
			w.make(readsLag, "db/eu", 0)
			w.after(5 * time.Minute)
			if i == 2 {
				w.die()
				w.start()
				w.after(30 * time.Second)
			}
		}
		expect(t, "effects: four times, and not the fifth", y.order(), strings.TrimSpace(strings.Repeat("one:b one:a ", 4)))
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		release := signalbox.Control{Kind: signalbox.Release, Scope: "incident/" + string(w.status().Incidents[0].ID), Who: "@be-lead", Reason: "its cause is mended"}
		if err := w.engine.Control(t.Context(), release); err != nil {
			t.Fatal(err)
		}
		for i := range 2 { // the one that was released, and one more
			w.after(30 * time.Second)
			w.make(readsLag, "db/eu", 0)
			w.after(5 * time.Minute)
			expect(t, "effects since it was released", y.order(), strings.TrimSpace(strings.Repeat("one:b one:a ", 5+i)))
			w.make(readsLag, "db/eu", 5)
		}
		y.audit(w)
	})
}

// Budgets by class, owner and kind count what was thrown, and not what surely
// had no effect.
func TestScopedBudgetsAreSpentAndGivenBack(t *testing.T) {
	for _, scope := range []string{"class/A", "owner/backend", "kind/endpoint"} {
		t.Run(scope, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				budget := func(c *policy.Config) {
					c.Budgets = []policy.ScopedRates{{Scope: scope, Rates: []policy.Rate{{N: 1, Per: time.Hour}}}}
				}
				w := guarded(t, budget, flips("one", readsLag, "one", "b"), flips("two", plainOne, "two", "b"))
				y := newYard(w, "one", "two")
				y["one"].refuses = true
				w.start()
				w.after(20 * time.Second)
				w.make(readsLag, "db/eu", 5)
				w.after(90 * time.Second)
				if n := len(w.state().Budgets[scope].Times); n != 0 || len(y["one"].sends) != 3 {
					t.Errorf("%d spent by %d attempts that had no effect", n, len(y["one"].sends))
				}
				w.make(readsLag, "db/eu", 0)
				w.make(plainOne, "queue/psp", 5)
				w.after(time.Minute)
				expect(t, "effects", y.each(), "one:, two:b")
				if n := len(w.state().Budgets[scope].Times); n != 1 {
					t.Errorf("%d spent, want 1", n)
				}
				y["one"].with(func() { y["one"].refuses = false })
				w.make(readsLag, "db/us", 0)
				w.after(10 * time.Second)
				w.make(readsLag, "db/us", 5)
				w.after(30 * time.Second)
				if got := y["one"].log(); got != "" {
					t.Errorf("thrown over the budget: %s", got)
				}
				y.audit(w)
			})
		})
	}
}

// Two policies that want one switch at different positions: the stricter waits.
func TestConflictOfTwoPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := flips("second", plainOne, "one", "c")
		to.Runbook[0].Health["c"] = signalbox.Witness{Detector: replicaLag, Subject: "replica/b"}
		w := guarded(t, func(*policy.Config) {}, flips("first", readsLag, "one", "b"), to)
		y := newYard(w, "one")
		y["one"].lag = 10 * time.Millisecond // so that a look and an end are never of one moment
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		w.make(plainOne, "queue/psp", 5) // later: of two that are ill at once either may be the first
		w.after(30 * time.Second)
		expect(t, "effects", y.order(), "one:b")
		w.make(readsLag, "db/eu", 0)
		w.after(30 * time.Second)
		expect(t, "effects while it stands for the first", y.order(), "one:b")
		w.after(5 * time.Minute)
		expect(t, "effects once the first is over", y.order(), "one:b one:a one:c one:a")
		y.audit(w)
	})
}
