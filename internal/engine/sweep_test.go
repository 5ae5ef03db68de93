package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/policy"
)

// Flapping looks back for its whole window, also past the time for which closed
// incidents are kept: of a subject the last one stays, without its details, and
// no longer than the window.
func TestFlappingOutlastsWhatIsForgotten(t *testing.T) {
	for _, between := range []string{"nothing", "a restart"} {
		t.Run(between, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				flap := func(c *policy.Config) {
					c.Flapping = policy.Flapping{Window: 2 * time.Hour, After: 3, Pause: time.Second, Stop: 4}
					c.Ineffective = 100
				}
				w := guarded(t, flap, flips("one", readsLag, "one", "b"))
				w.timing.Tombstone = time.Minute
				y := newYard(w, "one")
				w.start()
				w.after(20 * time.Second)
				for range 4 {
					w.make(readsLag, "db/eu", 5)
					w.after(30 * time.Second)
					w.make(readsLag, "db/eu", 0)
					w.after(12 * time.Minute)
					if between == "a restart" {
						w.die()
						w.start()
						w.after(30 * time.Second)
					}
				}
				expect(t, "effects: three times, and not the fourth", y.order(), strings.TrimSpace(strings.Repeat("one:b one:a ", 3)))
				s := w.state()
				for _, inc := range s.Incidents {
					if !inc.Closed() || len(inc.Recent) != 3 || inc.Plan != nil || len(inc.Actions) > 0 {
						t.Errorf("what is kept: %+v", inc)
					}
				}
				if len(s.Incidents) != 1 || len(s.Actions) != 0 {
					t.Errorf("%d incidents and %d actions are kept, want the last incident", len(s.Incidents), len(s.Actions))
				}
				w.after(2 * time.Hour)
				if n := len(w.state().Incidents); n != 0 {
					t.Errorf("%d incidents are kept beyond the window", n)
				}
				y.audit(w)
			})
		})
	}
}

// What never opened here is no opening, also after a restart.
func TestFlappingPassesOverWhatNeverOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flap := func(c *policy.Config) {
			c.Flapping = policy.Flapping{Window: time.Hour, After: 2, Pause: time.Second, Stop: 3}
		}
		w := guarded(t, flap, flips("one", readsLag, "one", "b"))
		w.start()
		w.after(20 * time.Second)
		for range 2 {
			w.make(readsLag, "db/eu", 5)
			w.after(time.Minute)
			w.make(readsLag, "db/eu", 0)
			w.after(5 * time.Minute)
		}
		now := time.Now()
		w.engine.Observe(t.Context(), readsLag, now, true, nil, []signalbox.Reading{{
			Detector: readsLag, Series: "db/eu", Subject: "db/eu", Episode: "missed", Condition: signalbox.Clear, At: now, OnsetAt: now.Add(-time.Minute),
		}})
		w.after(time.Minute)
		w.die()
		w.start()
		w.after(30 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		for _, inc := range w.state().Incidents {
			if !inc.Closed() && len(inc.Recent) != 2 {
				t.Errorf("it remembers %v, want both openings", inc.Recent)
			}
		}
		w.halt()
	})
}

// An incident with more actions than one transaction takes is forgotten bit by
// bit.
func TestManyActionsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.timing.Tombstone = time.Minute
		now := time.Now()
		inc := &signalbox.Incident{
			ID: "0000000000000001", DedupKey: "k", Owner: "backend", OnsetAt: now, OpenedAt: now.Add(-2 * time.Hour), ClosedAt: now.Add(-time.Hour), End: signalbox.Acted,
			Reading: signalbox.Reading{Detector: readsLag, Series: "db/us", Subject: "db/us", Condition: signalbox.Clear, At: now},
		}
		j := w.reader()
		for i := range 150 {
			a := &signalbox.Action{ID: signalbox.ActionID(fmt.Sprintf("%s-%d", inc.ID, i)), Incident: inc.ID, Policy: "failover", Stage: signalbox.Done, ClaimedAt: now, EndedAt: now}
			inc.Actions = append(inc.Actions, a.ID)
			rec := journal.Record{Kind: journal.Housekeeping, At: now, Put: []journal.Change{journal.PutIncident(inc), journal.PutAction(a)}}
			if _, err := j.Write(t.Context(), nil, nil, []journal.Record{rec}, nil); err != nil {
				t.Fatal(err)
			}
		}
		w.start()
		w.after(time.Minute)
		if s := w.state(); len(s.Actions) != 0 || len(s.Incidents) != 0 || !w.status().Leading {
			t.Errorf("%d actions and %d incidents are left, leading: %t", len(s.Actions), len(s.Incidents), w.status().Leading)
		}
		w.halt()
	})
}

// A word that nothing can be done on is refused, with how to do it by hand; and
// one whose incident is gone is not kept.
func TestWordsThatNothingIsDoneOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := flipPolicy()
		p.Runbook[0].Undo = signalbox.UndoNever
		w := newWorld(t, p)
		gone := signalbox.Controls{Words: []signalbox.Control{{Kind: signalbox.TakeBack, Scope: "incident/0000000000000001", Who: "test"}}}
		rec := journal.Record{Kind: journal.Housekeeping, At: time.Now(), Put: []journal.Change{journal.PutControls(gone)}}
		if _, err := w.reader().Write(t.Context(), nil, nil, []journal.Record{rec}, nil); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		word := signalbox.Control{Kind: signalbox.TakeBack, Scope: "incident/" + ids(w.status()), Who: "test", Reason: "test"}
		err := w.engine.Control(t.Context(), word)
		if want := "read-endpoint has undo: never, and is taken back by hand: kubectl patch … a"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		expect(t, "effects", w.target.log(), "b")
		if words := w.state().Controls.Words; len(words) != 0 {
			t.Errorf("kept: %v", words)
		}
		w.halt()
	})
}

// Of two series on one subject, each opening counts, whatever happens to the one
// that stays open.
func TestOpeningsOfTwoSeriesOnOneSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flap := func(c *policy.Config) {
			c.Flapping = policy.Flapping{Window: time.Hour, After: 3, Pause: time.Second, Stop: 4}
			c.Ineffective = 100
		}
		w := guarded(t, flap, flipPolicy())
		w.start()
		w.after(20 * time.Second)
		say := func(series string, n int, condition signalbox.Condition) {
			now := time.Now()
			w.engine.Observe(t.Context(), alerts, now, true, nil, []signalbox.Reading{{
				Detector: alerts, Series: series, Subject: "db/eu", Episode: fmt.Sprint(series, n), Condition: condition, At: now, OnsetAt: now, WellAt: now.Add(-time.Minute),
			}})
			w.after(30 * time.Second)
		}
		say("chronic", 0, signalbox.Breached)
		for n := range 6 {
			say("flaps", n, signalbox.Breached)
			most := 0
			for _, inc := range w.state().Incidents {
				if inc.Reading.Series == "flaps" && !inc.Closed() {
					most = len(inc.Recent)
				}
			}
			if most != n+1 {
				t.Errorf("opening %d of it remembers %d before it, want %d", n+1, most, n+1)
			}
			say("flaps", n, signalbox.Clear)
			w.after(time.Minute)
			// something small happens to the chronic one
			var id string
			for _, inc := range w.state().Incidents {
				if inc.Reading.Series == "chronic" {
					id = string(inc.ID)
				}
			}
			if err := w.engine.Control(t.Context(), signalbox.Control{Kind: signalbox.Estimate, Scope: "incident/" + id, Who: "@x", Until: time.Now().Add(time.Hour), Reason: "r"}); err != nil {
				t.Fatal(err)
			}
			w.after(10 * time.Second)
		}
		w.halt()
	})
}

// What one sweep changes fits one transaction of the store also in bytes.
func TestSweepFitsInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.timing.Tombstone = time.Minute
		now := time.Now()
		j := w.reader()
		const n = 120
		for i := range n {
			subject := fmt.Sprintf("pod/%d", i)
			inc := &signalbox.Incident{
				ID: signalbox.IncidentID(fmt.Sprintf("%016x", i+1)), DedupKey: fmt.Sprint("k", i), Owner: "backend", OnsetAt: now, OpenedAt: now.Add(-10 * time.Minute), ClosedAt: now.Add(-5 * time.Minute), End: signalbox.Escalated,
				EndReason: strings.Repeat("y", 6<<10), // which stays
				Told:      []string{"would/failover"},
				Reading:   signalbox.Reading{Detector: readsLag, Series: subject, Subject: subject, Condition: signalbox.Clear, At: now, Labels: map[string]string{"description": strings.Repeat("x", 6<<10)}},
			}
			rec := journal.Record{Kind: journal.Housekeeping, At: now, Put: []journal.Change{journal.PutIncident(inc)}}
			if _, err := j.Write(t.Context(), nil, nil, []journal.Record{rec}, nil); err != nil {
				t.Fatal(err)
			}
		}
		w.start()
		lost := 0
		for range 120 {
			w.after(time.Second)
			if !w.status().Leading {
				lost++
			}
		}
		left := 0
		for _, inc := range w.state().Incidents {
			if len(inc.Told) > 0 {
				left++
			}
		}
		if left > 0 || lost > 2 {
			t.Errorf("after two minutes: %d incidents keep their details, and it did not lead in %d of 120 seconds", left, lost)
		}
		w.halt()
	})
}
