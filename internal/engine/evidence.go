package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/evidence"
	"github.com/signalbox/signalbox/internal/journal"
)

// The bounds of looking around new incidents: so many at once, and not around
// one that was opened longer ago: in a storm the sources are left alone, and the
// first pages have what there is to see.
const (
	mostLooks = 4
	lookSoon  = time.Minute
)

// wantLook queues an incident to be looked around.
func (l *loop) wantLook(inc *signalbox.Incident) {
	if inc.LookedAt.IsZero() && !l.looks[inc.ID] && len(evidence.Apply(l.set().Evidence, inc)) > 0 {
		l.looks[inc.ID] = true
		l.unlooked = append(l.unlooked, inc.ID)
	}
}

// look begins to look around the incidents that wait for it.
func (l *loop) look() {
	for len(l.unlooked) > 0 && l.looking < mostLooks {
		id := l.unlooked[0]
		l.unlooked = l.unlooked[1:]
		inc := l.state.Incidents[id]
		if inc == nil || inc.Closed() || !inc.LookedAt.IsZero() || l.now().Sub(inc.OpenedAt).Abs() > lookSoon {
			if delete(l.looks, id); inc != nil && inc.LookedAt.IsZero() {
				l.e.metrics.looks["passed over"].Inc()
			}
			continue
		}
		l.looking++
		entries, about, at, readings := evidence.Apply(l.set().Evidence, inc), *inc, l.now(), l.readingsFor(inc)
		auth := l.auth
		go func() {
			ctx, cancel := context.WithTimeout(auth.ctx, l.e.timing.Look)
			defer cancel()
			found := evidence.Gather(ctx, entries, &about, at, readings)
			l.e.post(context.WithoutCancel(ctx), func(l *loop) { l.found(auth, id, found) })
		}()
	}
}

// readingsFor are the present readings of the detectors that entries for an
// incident tell of.
func (l *loop) readingsFor(inc *signalbox.Incident) map[string][]signalbox.Reading {
	of := map[string][]signalbox.Reading{}
	for _, e := range evidence.Apply(l.set().Evidence, inc) {
		for _, name := range e.Readings {
			if _, known := of[name]; known {
				continue
			}
			of[name] = nil
			for _, r := range l.facts.OfDetector(name) {
				of[name] = append(of[name], *r)
			}
		}
	}
	return of
}

// found records what was found around an incident, and tells it on its page: in
// the page, where that was not sent yet, else beside it.
func (l *loop) found(auth *authority, id signalbox.IncidentID, found []signalbox.Finding) {
	l.looking--
	delete(l.looks, id)
	if l.auth != auth || l.state.Incidents[id] == nil {
		return // the next term looks again
	}
	w := &write{}
	inc := l.incident(w, id)
	inc.Evidence, inc.LookedAt = found, l.now()
	w.entry(journal.EvidenceFound, id, "", found)
	p := l.state.Pages[inc.Page]
	switch {
	case p == nil:
	case p.Sent == 0 && !l.sending[p.Key]:
		l.refreshPage(w, inc)
		if q := l.page(w, p.Key); p.Key == inc.DedupKey {
			q.Due = time.Time{} // nothing else is waited for
		}
	default:
		l.tellNote(w, inc, signalbox.PlainNote, "%s", strings.Join(findings(inc), "; "))
	}
	if l.commit(w) {
		l.e.metrics.looks["done"].Inc()
	}
}

// findings are the evidence of an incident as lines, without what is a link
// only.
func findings(inc *signalbox.Incident) (lines []string) {
	for _, f := range inc.Evidence {
		if f.Text == "" {
			continue
		}
		at := ""
		if !f.At.IsZero() {
			at = " " + f.At.UTC().Format("15:04:05Z")
		}
		lines = append(lines, fmt.Sprintf("%s:%s %s", f.Name, at, f.Text))
	}
	return lines
}

// links are the links of an incident: its detector's, and those of its
// evidence.
func links(inc *signalbox.Incident) []signalbox.Link {
	list := inc.Reading.Links[:len(inc.Reading.Links):len(inc.Reading.Links)]
	for _, f := range inc.Evidence {
		if f.Link != nil {
			text := f.Name
			if f.Link.Text != "" && f.Link.Text != f.Name {
				text += ": " + f.Link.Text
			}
			list = append(list, signalbox.Link{Text: text, Href: f.Link.Href})
		}
	}
	return list
}
