package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// informs has support told of backend's incidents.
func informs(w *world, policies ...policy.Policy) *phone {
	return onCall(w, func(c *policy.Config) {
		c.Policies = policies
		c.Owners[0].Informs = []string{"support"}
	})
}

// told are the words of the pages to somebody, in their order.
func (p *phone) told(owner string) (out []string) {
	for _, c := range p.accepted() {
		if c.owner == owner && c.event == signalbox.PageTrigger {
			out = append(out, c.body.Summary)
		}
	}
	return out
}

func newest(t *testing.T, told []string) string {
	t.Helper()
	if len(told) == 0 {
		t.Fatal("nothing was told")
	}
	return told[len(told)-1]
}

// The world of a bubble begins at midnight, UTC.
func TestSupportIsToldTheOwnersEstimateAndThatItPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := informs(w)
		w.start()
		w.after(20 * time.Second)
		w.make(plainOne, "queue/psp", 9)
		w.after(20 * time.Second)
		expect(t, "before an estimate", newest(t, p.told("support")), "queue/psp is ill, its owner is backend; ETA unknown")
		w.estimate(time.Now().Truncate(time.Hour).Add(30*time.Minute), "failing over")
		w.after(2 * time.Minute)
		expect(t, "estimated", newest(t, p.told("support")), "queue/psp is ill, its owner is backend; ETA 00:30Z, says @be-lead")
		n := len(p.told("support"))
		w.die() // another process knows it, and tells it no second time
		w.start()
		w.after(20 * time.Minute)
		if again := len(p.told("support")) - n; again != 0 {
			t.Errorf("told %d times again though nothing had changed: %q", again, p.told("support"))
		}
		w.after(10 * time.Minute)
		expect(t, "passed", newest(t, p.told("support")), "queue/psp is ill, its owner is backend; ETA 00:30Z, says @be-lead, which has passed")
		w.after(2 * time.Hour)
		if times := len(p.told("support")) - n; times != 1 {
			t.Errorf("told %d times that it has passed, want once: %q", times, p.told("support"))
		}
		w.estimate(time.Now().Add(24*time.Hour).Truncate(24*time.Hour).Add(time.Hour), "parts are ordered")
		w.after(2 * time.Minute)
		expect(t, "another day", newest(t, p.told("support")), "queue/psp is ill, its owner is backend; ETA 2000-01-02 01:00Z, says @be-lead")
		w.estimate(time.Now().Add(5*time.Minute), "they are here")
		w.after(7 * time.Minute)
		if got := newest(t, p.told("support")); !strings.HasSuffix(got, "which has passed") {
			t.Errorf("told %q, want that it has passed", got)
		}
		w.make(plainOne, "queue/psp", 0)
		w.after(2 * time.Minute)
		if open := p.open(); len(open) > 0 {
			t.Errorf("still open at the pager: %q", open)
		}
		w.audit(nil)
	})
}

// Of two incidents on one page neither's estimate hides the other's, and what is
// over is told of no more.
func TestEstimatesOfOnePageAreAllTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.On = []string{readsLag, plainOne}
		w := newWorld(t, pol)
		p := informs(w, pol)
		w.make(readsLag, "db/eu", 5)
		w.make(plainOne, "queue/psp", 9)
		w.start()
		w.after(2 * time.Minute)
		pages := map[string]int{}
		say := map[string]func(at string){}
		for _, inc := range w.status().Incidents {
			pages[inc.Page]++
			say[inc.Reading.Subject] = func(at string) {
				until, err := time.Parse(time.RFC3339, "2000-01-01T"+at+":00Z")
				if err != nil {
					t.Fatal(err)
				}
				c := signalbox.Control{Kind: signalbox.Estimate, Scope: "incident/" + string(inc.ID), Who: "@be-lead", Reason: "r", Until: until}
				if err := w.engine.Control(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				w.after(2 * time.Minute)
			}
		}
		if len(pages) != 1 || len(say) != 2 {
			t.Fatalf("got %v pages of %d incidents, want two on one", pages, len(say))
		}
		say["db/eu"]("01:00")
		expect(t, "one is unknown", after(newest(t, p.told("support")), "; "), "ETA unknown (queue/psp); ETA 01:00Z, says @be-lead (db/eu)")
		say["queue/psp"]("00:40")
		expect(t, "they differ", after(newest(t, p.told("support")), "; "), "ETA 01:00Z, says @be-lead (db/eu); ETA 00:40Z, says @be-lead (queue/psp)")
		say["queue/psp"]("01:00")
		expect(t, "they agree", newest(t, p.told("support")), "db/eu, queue/psp is ill, its owner is backend; ETA 01:00Z, says @be-lead")
		w.make(plainOne, "queue/psp", 0)
		w.after(2 * time.Minute)
		expect(t, "one is over", newest(t, p.told("support")), "db/eu is ill, its owner is backend; ETA 01:00Z, says @be-lead")
		w.make(readsLag, "db/eu", 0)
		w.after(15 * time.Minute)
		w.restorePolicy()
		w.after(time.Minute)
		if open := p.open(); len(open) > 0 {
			t.Errorf("still open at the pager: %q", open)
		}
		w.audit(nil)
	})
}

// after is what follows the first sep.
func after(text, sep string) string {
	_, rest, _ := strings.Cut(text, sep)
	return rest
}

// throttle is a switch whose effect ends by itself.
type throttle struct {
	*points
	lasts time.Duration
}

// Preview implements signalbox.Remediator.
func (x throttle) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f, err := x.points.Preview(ctx, s)
	f.Expires = signalbox.Duration(x.lasts)
	return f, err
}

// It is told until when a throttle holds, which is no estimate.
func TestSupportIsToldWhenAThrottleExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.VerifyWithin = 10 * time.Minute
		pol.Runbook = append([]signalbox.Step{{Kind: "page", Name: "backend", Spec: []byte(`"backend"`)}}, pol.Runbook...)
		w := newWorld(t, pol)
		p := informs(w, pol)
		w.set.Remediators["endpoint"] = throttle{newPoints(w, signalbox.ClassA), 45 * time.Minute}
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(90 * time.Second)
		var words []string
		for _, c := range p.accepted() {
			if c.owner == "support" {
				words = append(words, c.body.Summary+" "+fmt.Sprint(c.body.Evidence))
			}
		}
		got := newest(t, words)
		for _, want := range []string{"ETA unknown", "read-endpoint to b, until 00:45Z"} {
			if !strings.Contains(got, want) {
				t.Errorf("told %q, want %q in it", got, want)
			}
		}
		w.make(readsLag, "db/eu", 0)
		w.after(15 * time.Minute)
		w.restorePolicy()
		w.audit(nil)
	})
}
