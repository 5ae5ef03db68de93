package acceptance

import (
	"fmt"
	"strings"
)

// opened wants an open incident of a detector.
func (b *box) opened(detector string) func() error {
	return func() error {
		for _, inc := range b.status().Incidents {
			if inc.Reading.Detector == detector {
				return nil
			}
		}
		return fmt.Errorf("no incident of %s is open", detector)
	}
}

// incidentBy is the open incident of a detector.
func (b *box) incidentBy(detector string) string {
	b.t.Helper()
	for _, inc := range b.status().Incidents {
		if inc.Reading.Detector == detector {
			return string(inc.ID)
		}
	}
	b.t.Fatalf("no incident of %s is open", detector)
	return ""
}

// waitsFor wants an incident that is held by a guard.
func (b *box) waitsFor(guard string) func() error {
	return func() error {
		for _, inc := range b.status().Incidents {
			for _, r := range inc.Because {
				if r.Guard == guard && !r.Passed {
					return nil
				}
			}
		}
		return fmt.Errorf("nothing is held by %s: %+v", guard, b.status().Incidents)
	}
}

// wouldAct wants that the incident of a detector is explained, and how far its
// policy may go.
func (b *box) wouldAct(detector, policy string) func() error {
	return func() error {
		said := "nothing: no incident is open"
		for _, inc := range b.status().Incidents {
			if inc.Reading.Detector == detector {
				said, _ = b.operate("explain", string(inc.ID))
			}
		}
		if !strings.Contains(said, "policy "+policy+" only watches; it would say act") {
			return fmt.Errorf("explain says %s", said)
		}
		return nil
	}
}

// explains wants that the story of an incident names these.
func (b *box) explains(incident string, words ...string) {
	b.t.Helper()
	said := b.must("explain", incident)
	for _, want := range words {
		if !strings.Contains(said, want) {
			b.t.Errorf("explain must tell %q:\n%s", want, said)
		}
	}
}

// pageSays wants that what was sent of the one page about a subject holds a text.
func (b *box) pageSays(subject, text string) func() error {
	return func() error {
		var said []string
		for _, inc := range b.pages(subject) {
			for i := range inc.Events {
				said = append(said, string(inc.Events[i].Raw))
			}
		}
		if !strings.Contains(strings.Join(said, "\n"), text) {
			return fmt.Errorf("%d events about %s, and none says %q: %q", len(said), subject, text, said)
		}
		return nil
	}
}

// unpaged asserts that nobody was paged; what each page said is told.
func (b *box) unpaged() {
	b.t.Helper()
	for _, i := range b.pager.Incidents() {
		for _, e := range i.Events {
			b.t.Errorf("nobody must be paged, got %s of %s: %q (%s)", e.Action, i.DedupKey, e.Payload.Summary, e.Raw)
		}
	}
}

// noneTwice wants that each key that was triggered at the pager was opened, once.
func (b *box) noneTwice() {
	b.t.Helper()
	b.oneEach(nil)
}

// oneEach is noneTwice where a source is ill more than once in the story, as
// often as illnesses says: each illness may have a page of its own, and by default
// there is one.
func (b *box) oneEach(illnesses map[string]int) {
	b.t.Helper()
	opened := map[string][]string{}
	for key, n := range b.pager.Counts() {
		if n.Incidents == 0 {
			b.t.Errorf("the page %s was triggered %d times, and never opened", key, n.Triggers)
		}
	}
	for _, inc := range b.pager.Incidents() {
		source := ""
		if len(inc.Events) > 0 {
			source = inc.Events[0].Payload.Source
		}
		opened[inc.DedupKey] = append(opened[inc.DedupKey], fmt.Sprintf("%s: %s", source, inc.Title))
		if most := max(1, illnesses[source]); len(opened[inc.DedupKey]) > most {
			b.t.Errorf("the page %s was opened %d times, want at most %d: %q", inc.DedupKey, len(opened[inc.DedupKey]), most, opened[inc.DedupKey])
		}
	}
}
