package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// tells has a page say what is so when the write is committed. Others that
// join it in the same write need no body of their own.
func (w *write) tells(key string) {
	if w.told == nil {
		w.told = map[string]bool{}
	}
	w.told[key] = true
}

// tell makes the bodies of the pages that are to say what is so.
func (l *loop) tell(w *write) {
	for key := range w.told {
		if p := w.pages[key]; p != nil && p.Event == signalbox.PageTrigger {
			plan, also := p.Body.Plan, p.Body.Also
			p.Body = l.body(w, p)
			p.Body.Plan, p.Body.Also = plan, also
		}
	}
	w.told = nil
}

// body writes what a person reads: what is ill, what was done, what is thrown
// now and how each is taken back.
func (l *loop) body(w *write, p *signalbox.Page) signalbox.PageBody {
	b := signalbox.PageBody{Severity: "critical", At: p.At, Labels: map[string]string{}}
	var head *signalbox.Incident
	ofCause := strings.HasPrefix(p.Key, groupBase(causeGroup))
	for i, id := range p.Incidents {
		inc := l.known(w, id)
		if inc == nil || i > mostLines { // more would be cut off again
			continue
		}
		r := &inc.Reading
		if p.Key == inc.DedupKey || ofCause && p.Key == l.groupKey(w, causeGroup+string(id)) {
			head = inc
		}
		b.Evidence = append(append(b.Evidence, incidentLine(inc)), findings(inc)...)
		b.Links = append(b.Links, links(inc)...)
		b.Source = r.Subject
		for k, v := range r.Labels {
			b.Labels[k] = v
		}
		for _, a := range inc.Actions {
			if act := l.knownAction(w, a); act != nil {
				b.Done = append(b.Done, done(act))
				if act.Stage == signalbox.Done && act.Undoes == "" && act.Undone == "" && !telling(act) {
					b.Thrown = append(b.Thrown, thrownBy(act))
				}
			}
		}
	}
	shorten(&b, len(p.Incidents))
	switch n := len(p.Incidents); {
	case n == 0:
		b.Summary = p.Why
	case n == 1:
		b.Summary = fmt.Sprintf("%s: %s", b.Source, p.Why)
	case head != nil: // the cause of the others, or the first of them
		b.Source, b.Labels = head.Reading.Subject, maps.Clone(head.Reading.Labels)
		b.Summary = fmt.Sprintf("%s and %d more: %s", b.Source, n-1, p.Why)
	default:
		b.Source, b.Labels = "signalbox", nil
		b.Summary = fmt.Sprintf("%d incidents: %s", n, p.Why)
	}
	return b
}

// mostAlso is how many reasons a page keeps that later ones took the place of.
const mostAlso = 5

// also is what a page is to tell beside why: what it was to tell before, and has
// not been sent.
func also(p *signalbox.Page, why string) []string {
	if p.Sent == p.Want || p.Event != signalbox.PageTrigger || p.Why == "" {
		return nil
	}
	kept := slices.DeleteFunc(append(slices.Clone(p.Body.Also), p.Why), func(said string) bool { return said == why })
	if n := len(kept); n > 1 && slices.Contains(kept[:n-1], kept[n-1]) {
		kept = kept[:n-1]
	}
	return kept[max(0, len(kept)-mostAlso):]
}

// mostLines is how many lines of each kind a page carries.
const mostLines = 100

// shorten bounds a page, however many incidents it speaks of.
func shorten(b *signalbox.PageBody, incidents int) {
	if incidents > mostLines {
		b.Evidence = append(b.Evidence[:mostLines:mostLines], fmt.Sprintf("and %d more", incidents-mostLines))
	}
	for _, lines := range []*[]string{&b.Evidence, &b.Done} {
		if n := len(*lines); n > mostLines+1 {
			*lines = append((*lines)[:mostLines:mostLines], fmt.Sprintf("and %d more", n-mostLines))
		}
	}
	b.Links = b.Links[:min(len(b.Links), mostLines)]
	if n := len(b.Thrown); n > mostLines {
		b.Thrown = append(b.Thrown[:mostLines:mostLines], signalbox.Thrown{What: fmt.Sprintf("and %d more", n-mostLines), ByHand: "signalboxctl status"})
	}
}

func (l *loop) knownAction(w *write, id signalbox.ActionID) *signalbox.Action {
	if a := w.acts[id]; a != nil {
		return a
	}
	return l.state.Actions[id]
}

// incidentLine is an incident in a line.
func incidentLine(inc *signalbox.Incident) string {
	r := &inc.Reading
	text := r.Subject + " (" + r.Detector + ")"
	if r.HasValue {
		text += " " + kind.Format(float64(r.Value), r.Unit)
	}
	if r.Threshold != "" {
		text += ", threshold " + r.Threshold
	}
	if !inc.OnsetAt.IsZero() {
		text += ", since " + inc.OnsetAt.UTC().Format(time.RFC3339)
	}
	if r.Summary != "" {
		text += ": " + r.Summary
	}
	return text + " [incident " + string(inc.ID) + "]"
}

func done(a *signalbox.Action) string {
	text := a.ClaimedAt.UTC().Format(time.TimeOnly) + " " + a.Step.Name
	switch {
	case a.Step.To == "": // a page, an announcement: it has no position
	case a.Undoes != "":
		text += " back to " + a.Step.To
	default:
		text += " to " + a.Step.To
	}
	text += ": " + string(a.Stage)
	if a.Outcome != "" {
		text += ", " + string(a.Outcome)
	}
	if a.Reason != "" {
		text += " (" + a.Reason + ")"
	}
	return text
}

func sortThrown(ts []signalbox.Thrown) {
	slices.SortFunc(ts, func(a, b signalbox.Thrown) int { return cmp.Compare(a.What, b.What) })
}
