package engine_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// expiring is a limit that stands for a time.
type expiring struct {
	*limit
	stands time.Duration
}

// Preview implements signalbox.Remediator.
func (x *expiring) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f, err := x.limit.Preview(ctx, s)
	if f.Undo != nil {
		f.Expires = signalbox.Duration(x.stands)
	}
	return f, err
}

// A limit's time runs out while the daemon is away: its successor lifts it where all
// is well, though a freeze is in force, its budget is spent and an undo would wait longer; and
// where it is still ill it asks the owner, once, and lifts it once all is well.
func TestLimitThatExpiredWhileTheDaemonWasAway(t *testing.T) {
	for name, c := range map[string]struct {
		well bool // before the daemon is killed
		want string
	}{
		"well":      {true, "b a"},
		"still ill": {false, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pol := flipPolicy()
				pol.Runbook[0].Health, pol.Runbook[0].Tool = nil, true // as a throttle has it
				pol.AfterHealthy, pol.Budget = 6*time.Hour, []policy.Rate{{N: 1, Per: 24 * time.Hour}}
				w := newWorld(t, pol)
				w.freeze(policy.Freeze{Name: "quiet week", From: time.Now().Add(10 * time.Minute), To: time.Now().Add(7 * 24 * time.Hour)}, pol)
				points := newPoints(w, signalbox.ClassA)
				w.set.Remediators["endpoint"] = &expiring{limit: &limit{points: points, lifts: true}, stands: time.Hour}
				p := newPhone(w)
				w.start()
				w.after(20 * time.Second)
				w.make(readsLag, "db/eu", 5)
				w.after(20 * time.Second)
				expect(t, "thrown", points.log(), "b")
				if c.well {
					w.make(readsLag, "db/eu", 0)
				}
				w.after(20 * time.Minute)
				w.die()
				w.after(2 * time.Hour)
				expect(t, "while it was away", points.log(), "b")
				w.start()
				w.after(5 * time.Minute)
				expect(t, "once it is back", points.log(), c.want)
				asked := 0
				for _, call := range p.accepted() {
					if call.owner == "backend" && strings.Contains(call.body.Summary, "should have ended at") {
						asked++
					}
				}
				if want := map[bool]int{true: 0, false: 1}[c.well]; asked != want {
					t.Errorf("the owner was asked %d times, want %d: %s", asked, want, p.log())
				}
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				expect(t, "once all is well", points.log(), "b a")
				w.after(3 * time.Hour)
				expect(t, "and then", points.log(), "b a")
				w.audit(points)
			})
		})
	}
}

// freeze puts a freeze into the configuration.
func (w *world) freeze(f policy.Freeze, policies ...policy.Policy) {
	w.t.Helper()
	w.configure("frozen", policies...)
	cfg := policy.Config{Hash: "frozen", DefaultOwner: "devops", Policies: policies, Freeze: []policy.Freeze{f}}
	for name := range w.set.Detectors {
		cfg.Detectors = append(cfg.Detectors, policy.Detector{Name: name, Owner: "backend"})
	}
	book, err := policy.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.set.Handbook = book
	for _, p := range policies {
		w.set.Policies[p.Name] = book.PolicyHash(p.Name)
	}
}
