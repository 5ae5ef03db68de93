package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// 10,000 alerts of 50 names to five owners within a minute are tens of pages.
// Each incident is on exactly one of them, and all of them end.
func TestStormOfAlertsIsTensOfPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.quiet = true
		for i := range 5 {
			name := fmt.Sprintf("owner-%d", i)
			w.set.Owners[name] = signalbox.Step{Kind: "page", Name: name}
		}
		w.start()
		w.after(20 * time.Second)
		began := time.Now()
		storm := make([]signalbox.Reading, 10_000)
		if underRace || testing.Short() {
			storm = storm[:1_000] // `make sim` plays all of it
		}
		for i := range storm {
			storm[i] = signalbox.Reading{
				Detector: alerts, Series: fmt.Sprintf("f%05d", i), Episode: began.Format(time.RFC3339Nano), OnsetAt: began, At: began,
				Subject: fmt.Sprintf("Alert%d/host-%d", i%50, i), Condition: signalbox.Breached, Summary: "it fires", Owner: fmt.Sprintf("owner-%d", i%5),
			}
		}
		send := func() {
			for i := 0; i < len(storm); i += 100 {
				if err := w.engine.Receive(t.Context(), signalbox.Batch{Source: alerts, At: time.Now(), Readings: storm[i : i+100]}); err != nil {
					t.Fatal(err)
				}
				w.after(500 * time.Millisecond)
				w.compact()
			}
			w.after(time.Minute)
		}
		send()
		on, pages := map[signalbox.IncidentID]int{}, 0
		for key, p := range w.state().Pages {
			pages++
			for _, id := range p.Incidents {
				on[id]++
			}
			if p.Sent != p.Want {
				t.Errorf("page %s is still owed", key)
			}
		}
		t.Logf("%d incidents on %d pages, %d events to the pager", len(on), pages, len(strings.Fields(w.pager.log())))
		if pages >= 100 || len(on) != len(storm) {
			t.Errorf("%d incidents on %d pages, want %d on fewer than 100", len(on), pages, len(storm))
		}
		for id, n := range on {
			if n != 1 {
				t.Errorf("incident %s is on %d pages", id, n)
			}
		}
		for i := range storm {
			storm[i].Condition, storm[i].At, storm[i].EndedAt = signalbox.Clear, time.Now(), time.Now()
		}
		send()
		if left := len(w.state().Pages); left > 0 {
			t.Errorf("%d pages are left", left)
		}
		last := map[string]signalbox.PageEvent{}
		for _, e := range w.pager.events {
			last[e.key] = e.event
		}
		for key, event := range last {
			if event != signalbox.PageResolve {
				t.Errorf("%s is left at %s", key, event)
			}
		}
		w.audit(nil)
	})
}

// A storm of one detector's alerts keeps those of another waiting no longer than
// some rounds of decisions.
func TestStormKeepsNoOtherDetectorWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.quiet = true
		w.start()
		w.after(20 * time.Second)
		const stormy, others = 2000, 10
		at := time.Now()
		all := signalbox.Batch{Source: alerts, At: at}
		for i := range stormy + others {
			r := signalbox.Reading{
				Detector: alerts, Series: fmt.Sprintf("f%05d", i), Episode: at.Format(time.RFC3339Nano), OnsetAt: at, At: at,
				Subject: fmt.Sprintf("host-%d", i), Condition: signalbox.Breached,
			}
			if i >= stormy {
				r.Detector = stream
			}
			all.Readings = append(all.Readings, r)
		}
		if err := w.engine.Receive(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		w.after(10 * time.Second)
		before, found := 0, 0
		state := w.state()
		for _, e := range w.entries() {
			if e.Kind != journal.Decision {
				continue
			}
			if inc := state.Incidents[e.Incident]; inc.Reading.Detector != stream {
				before++
			} else if found++; before > stormy/4 {
				t.Errorf("%s was decided after %d of the storm", inc.Reading.Subject, before)
			}
		}
		if before < stormy || found < others {
			t.Errorf("%d decisions of the storm and %d of the others, want %d and %d at least", before, found, stormy, others)
		}
		w.audit(nil)
	})
}

// What incidents share is not written once for each: a page that hundreds join
// within a moment is written some times, and told the pager as often as it
// has gathered.
func TestStormWritesASharedPageSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.quiet = true
		w.start()
		w.after(20 * time.Second)
		const waves, each = 20, 20
		for wave := range waves {
			at := time.Now()
			b := signalbox.Batch{Source: alerts, At: at}
			for i := range each {
				b.Readings = append(b.Readings, signalbox.Reading{
					Detector: alerts, Series: fmt.Sprintf("f%d-%d", wave, i), Episode: at.Format(time.RFC3339Nano), OnsetAt: at, At: at,
					Subject: fmt.Sprintf("host-%d-%d", wave, i), Condition: signalbox.Breached,
				})
			}
			if err := w.engine.Receive(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			w.after(500 * time.Millisecond)
		}
		w.after(20 * time.Second)
		shared := ""
		for key, p := range w.state().Pages {
			if len(p.Incidents) > waves*each/2 {
				shared = key
			}
		}
		written, told := 0, 0
		for _, e := range w.entries() {
			for _, c := range e.Changes {
				if c.Key == signalbox.PageKey(shared) {
					written++
				}
			}
		}
		for _, e := range w.pager.events {
			if e.key == shared {
				told++
			}
		}
		if shared == "" || written > waves*each/5 || told == 0 || told > waves/3 {
			t.Errorf("the shared page %q of %d incidents was written %d times and told %d times", shared, waves*each, written, told)
		}
		w.audit(nil)
	})
}

// compact forgets the store's history, which the one in memory looks through.
func (w *world) compact() {
	_, rev, err := w.store.List(w.t.Context(), "none/")
	if err == nil {
		_ = w.store.Compact(w.t.Context(), rev) // it may be compacted so far already
	}
}
