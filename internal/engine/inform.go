package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// informEvery is the least time between two communications about one page.
const informEvery = time.Minute

// inform tells those who are informed of an owner's incidents (Support, of the
// others'): what is ill, what was done, and when it will be over, which only the
// owner can say. It is brought up to date as that changes.
func (l *loop) inform(w *write, inc *signalbox.Incident) {
	root := l.knownPage(w, inc.Page)
	if root == nil {
		return
	}
	o, _ := l.set().Handbook.Owner(root.Owner)
	for _, to := range o.Informs {
		key := root.Key + "-inform-" + signalbox.KeyPart(to)
		body := l.news(w, root)
		if old := l.knownPage(w, key); old != nil && old.Event == signalbox.PageTrigger && old.Body.Summary == body.Summary && slices.Equal(old.Body.Evidence, body.Evidence) {
			continue
		}
		p := l.page(w, key)
		p.Owner, p.Of, p.Event, p.Why, p.Body = to, root.Key, signalbox.PageTrigger, "informed", body
		if p.Sent == p.Want || l.sending[key] { // else what is owed already says the newest
			if last := later(p.Due, p.At); !last.IsZero() {
				p.Due = last.Add(informEvery)
			}
			p.Want++
		}
		p.At = l.now()
		p.Incidents = slices.Clone(root.Incidents)
		w.entry(journal.PageWanted, inc.ID, "", "inform "+to)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// late tells those who are informed that an estimate has passed and it is not
// over. It looks at all pages once one may have, or when they have changed.
func (l *loop) late(now time.Time) {
	if now.Before(l.nextLate) {
		return
	}
	next := now.Add(time.Hour)
	w := &write{}
	for _, p := range l.state.Pages {
		if o, _ := l.set().Handbook.Owner(p.Owner); len(o.Informs) == 0 || p.Of != "" || p.Event == signalbox.PageResolve {
			continue
		}
		passed := (*signalbox.Incident)(nil)
		for _, id := range p.Incidents {
			switch inc := l.state.Incidents[id]; {
			case inc == nil || inc.ETA == nil:
			case now.Before(inc.ETA.Until):
				next = earlier(next, inc.ETA.Until)
			case passed == nil && inc.Page == p.Key:
				passed = inc
			}
		}
		if passed != nil && w.size() < chunk {
			l.inform(w, passed)
		}
	}
	if w.size() > 0 && !l.commit(w) {
		return
	}
	if w.size() >= chunk {
		next = now
	}
	l.nextLate = next
}

// when tells what the owner says of an incident, and never anything else.
func when(inc *signalbox.Incident, now time.Time) string {
	if inc.ETA == nil {
		return "ETA unknown"
	}
	at, layout := inc.ETA.Until.UTC(), "15:04Z"
	if at.Format(time.DateOnly) != now.UTC().Format(time.DateOnly) {
		layout = "2006-01-02 15:04Z"
	}
	text := fmt.Sprintf("ETA %s, says %s", at.Format(layout), inc.ETA.Who)
	if !now.Before(at) {
		return text + ", which has passed"
	}
	return text
}

// expected tells what the owners say of all incidents of a page: each, where
// that differs; what is unknown first, and then the latest.
func (l *loop) expected(w *write, p *signalbox.Page) string {
	about := map[string][]string{} // the subjects, by what is said
	until := map[string]time.Time{}
	for _, id := range p.Incidents {
		inc := l.known(w, id)
		if inc == nil {
			continue
		}
		text := when(inc, l.now())
		if about[text] = append(about[text], inc.Reading.Subject); inc.ETA != nil {
			until[text] = inc.ETA.Until
		}
	}
	words := slices.SortedFunc(maps.Keys(about), func(a, b string) int {
		switch unknown := until[a].IsZero(); {
		case unknown && !until[b].IsZero():
			return -1
		case !unknown && until[b].IsZero():
			return 1
		}
		return cmp.Or(until[b].Compare(until[a]), cmp.Compare(a, b))
	})
	switch len(words) {
	case 0:
		return when(&signalbox.Incident{}, l.now())
	case 1:
		return words[0]
	}
	for i, text := range words[:min(len(words), mostSubjects)] {
		words[i] = text + " (" + some(about[text]) + ")"
	}
	if n := len(words); n > mostSubjects {
		words = append(words[:mostSubjects:mostSubjects], fmt.Sprintf("and %d earlier estimates", n-mostSubjects))
	}
	return strings.Join(words, "; ")
}

// mostSubjects is how many subjects a line names, and how many estimates.
const mostSubjects = 5

// some names the first of the subjects, each once, and counts the others.
func some(subjects []string) string {
	slices.Sort(subjects)
	subjects = slices.Compact(subjects)
	if n := len(subjects); n > mostSubjects {
		subjects = append(subjects[:mostSubjects:mostSubjects], fmt.Sprintf("%d more", n-mostSubjects))
	}
	return strings.Join(subjects, ", ")
}

// news is what those who are informed read. When it will be over is never
// computed.
func (l *loop) news(w *write, p *signalbox.Page) signalbox.PageBody {
	b := signalbox.PageBody{Severity: "info", Source: "signalbox", At: p.MadeAt}
	subjects := []string(nil)
	for _, id := range p.Incidents[:min(len(p.Incidents), mostLines)] {
		inc := l.known(w, id)
		if inc == nil {
			continue
		}
		subjects = append(subjects, inc.Reading.Subject)
		for _, a := range inc.Actions {
			act := l.knownAction(w, a)
			if act == nil || telling(act) || act.Stage != signalbox.Done {
				continue
			}
			line := fmt.Sprintf("%s %s to %s", act.EndedAt.UTC().Format("15:04Z"), act.Step.Name, act.Step.To)
			if ends := time.Duration(act.Forecast.Expires); ends > 0 && act.Undone == "" && act.Undoes == "" {
				line += ", until " + act.EndedAt.Add(ends).UTC().Format("15:04Z")
			}
			b.Evidence = append(b.Evidence, line)
		}
	}
	b.Summary = fmt.Sprintf("%s is ill, its owner is %s; %s", some(subjects), p.Owner, l.expected(w, p))
	return b
}

// tellTargetsOwners tells those to whom a target that was thrown is given, if
// the incident is another's.
func (l *loop) tellTargetsOwners(w *write, inc *signalbox.Incident, a *signalbox.Action) {
	for _, owner := range l.set().Handbook.OwnersOf(a.Forecast.Targets) {
		if owner == inc.Owner {
			continue
		}
		note := signalbox.PageNote{Owner: owner, Why: fmt.Sprintf("%s was thrown to %s for an incident of %s", a.Step.Name, a.Step.To, inc.Owner)}
		key := inc.DedupKey + "-" + signalbox.KeyPart(owner)
		if old := l.knownPage(w, key); old != nil && old.Of == "" && slices.Contains(old.Incidents, inc.ID) {
			continue // a step of the runbook paged it, which says more
		}
		l.tellOther(w, inc, note)
		p := l.page(w, key)
		p.Of, p.Body.Severity = inc.DedupKey, "info" // it tells only: nobody is woken by its ladder
	}
}
