package engine

import (
	"fmt"
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

// news is what those who are informed read. When it will be over is never
// computed.
func (l *loop) news(w *write, p *signalbox.Page) signalbox.PageBody {
	b := signalbox.PageBody{Severity: "info", Source: "signalbox", At: p.MadeAt}
	eta, subjects := "", []string(nil)
	for _, id := range p.Incidents[:min(len(p.Incidents), mostLines)] {
		inc := l.known(w, id)
		if inc == nil {
			continue
		}
		subjects = append(subjects, inc.Reading.Subject)
		if inc.ETA != nil {
			eta = fmt.Sprintf("ETA %s, says %s", inc.ETA.Until.UTC().Format("15:04Z"), inc.ETA.Who)
		}
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
	if eta == "" {
		eta = "ETA unknown"
	}
	slices.Sort(subjects)
	subjects = slices.Compact(subjects)
	if n := len(subjects); n > 5 {
		subjects = append(subjects[:5:5], fmt.Sprintf("%d more", n-5))
	}
	b.Summary = fmt.Sprintf("%s is ill, its owner is %s; %s", strings.Join(subjects, ", "), p.Owner, eta)
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
