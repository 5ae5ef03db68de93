package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
)

// wantPage adds an incident to its page: of its own, or of its group. The
// record is the page's intent; it is sent until the pager accepts it.
func (l *loop) wantPage(w *write, inc *signalbox.Incident, note signalbox.PageNote) {
	key, wait := inc.DedupKey, time.Duration(0)
	if note.Group != "" {
		key, wait = l.groupKey(w, note.Group), l.e.timing.GroupWait
	}
	if inc.Page != "" {
		key, wait = inc.Page, 0
	}
	now := l.now()
	p := l.page(w, key)
	fresh := len(p.Incidents) == 0
	if fresh {
		p.Due, p.Owner = now.Add(wait), note.Owner
	}
	if !slices.Contains(p.Incidents, inc.ID) {
		p.Incidents = append(slices.Clone(p.Incidents), inc.ID)
	}
	p.Event, p.Why, p.At, p.Error = signalbox.PageTrigger, note.Why, now, ""
	// Others that join a group before it is sent need no page of their own.
	if fresh || p.Sent == p.Want || l.sending[key] {
		p.Want++
	}
	inc.Page, inc.PageAfter = key, note.Why
	p.Body = l.body(w, p)
	w.entry(journal.PageWanted, inc.ID, "", note)
	l.e.o.Log.Info("page", "incident", inc.ID, "subject", inc.Reading.Subject, "owner", p.Owner, "why", note.Why)
}

// mostTogether is how many incidents share one page.
const mostTogether = 500

// groupKey is the key of a group's page; when one is full the next begins.
func (l *loop) groupKey(w *write, group string) string {
	base := "signalbox-group-" + signalbox.KeyPart(group)
	for n := 1; ; n++ {
		key := fmt.Sprintf("%s-%d", base, n)
		p := w.pages[key]
		if p == nil {
			p = l.state.Pages[key]
		}
		if p == nil || len(p.Incidents) < mostTogether {
			return key
		}
	}
}

// refreshPage rewrites what a page that is not sent yet says.
func (l *loop) refreshPage(w *write, inc *signalbox.Incident) {
	old := l.state.Pages[inc.Page]
	if inc.Page == "" || old == nil || old.Sent == old.Want || old.Event != signalbox.PageTrigger {
		return
	}
	p := l.page(w, inc.Page)
	p.Body = l.body(w, p)
	if l.sending[inc.Page] {
		p.Want++ // what is on its way says less
	}
}

// leavePage takes an incident off its pages; a page is resolved with the last
// one that it speaks of.
func (l *loop) leavePage(w *write, inc *signalbox.Incident) {
	for _, key := range append([]string{inc.Page}, inc.AlsoPaged...) {
		if key == "" || l.state.Pages[key] == nil && w.pages[key] == nil {
			continue
		}
		p := l.page(w, key)
		p.Incidents = slices.DeleteFunc(slices.Clone(p.Incidents), func(id signalbox.IncidentID) bool { return id == inc.ID })
		if len(p.Incidents) > 0 {
			continue
		}
		p.Event, p.At, p.Due = signalbox.PageResolve, l.now(), time.Time{}
		p.Want++
		w.entry(journal.PageWanted, inc.ID, "", "resolve")
	}
}

// pageStep takes a runbook's step that pages: the page is an outbox record
// like every other, and the step is done with it.
func (l *loop) pageStep(d *signalbox.Decision, now time.Time) {
	w := &write{}
	inc := l.incident(w, d.Incident)
	id := signalbox.ActionID(fmt.Sprintf("%s-%d", d.Incident, len(inc.Actions)+1))
	a := l.action(w, id)
	*a = signalbox.Action{
		ID: id, Incident: d.Incident, Policy: d.Plan.Policy, Index: d.Next, Step: *d.Step, Stage: signalbox.Done, Attempts: 1,
		Forecast: signalbox.Forecast{At: now, Class: signalbox.ClassB}, ClaimedAt: now, EndedAt: now,
	}
	l.begun(inc, d.Plan, now)
	inc.Next = d.Next + 1
	inc.Actions = append(slices.Clone(inc.Actions), id)
	w.entry(journal.Intent, d.Incident, id, a)
	note := signalbox.PageNote{Owner: d.Step.Name, Why: "step of " + d.Plan.Policy}
	if d.Step.Name == inc.Owner {
		l.wantPage(w, inc, note)
	} else {
		l.tellOther(w, inc, note)
	}
	w.require(l.state, storeKeys(d.Reads)...)
	l.commit(w)
}

// tellOther pages somebody beside the incident's owner.
func (l *loop) tellOther(w *write, inc *signalbox.Incident, note signalbox.PageNote) {
	key := inc.DedupKey + "-" + signalbox.KeyPart(note.Owner)
	p := l.page(w, key)
	p.Owner, p.Event, p.Why, p.At = note.Owner, signalbox.PageTrigger, note.Why, l.now()
	p.Incidents = []signalbox.IncidentID{inc.ID}
	p.Want++
	p.Body = l.body(w, p)
	inc.AlsoPaged = append(slices.Clone(inc.AlsoPaged), key)
	w.entry(journal.PageWanted, inc.ID, "", note)
}

// body writes what a person reads: what is ill, what was done, what is thrown
// now and how each is taken back.
func (l *loop) body(w *write, p *signalbox.Page) signalbox.PageBody {
	b := signalbox.PageBody{Severity: "critical", At: p.At, Labels: map[string]string{}}
	for _, id := range p.Incidents {
		inc := l.known(w, id)
		if inc == nil {
			continue
		}
		r := &inc.Reading
		b.Evidence = append(b.Evidence, evidence(inc))
		b.Links = append(b.Links, r.Links...)
		b.Source = r.Subject
		for k, v := range r.Labels {
			b.Labels[k] = v
		}
		for _, a := range inc.Actions {
			if act := l.knownAction(w, a); act != nil {
				b.Done = append(b.Done, done(act))
				if act.Stage == signalbox.Done && act.Undoes == "" && act.Undone == "" && !paging(act) {
					b.Thrown = append(b.Thrown, thrownBy(act))
				}
			}
		}
	}
	shorten(&b)
	switch n := len(p.Incidents); n {
	case 0:
		b.Summary = p.Why
	case 1:
		b.Summary = fmt.Sprintf("%s: %s", b.Source, p.Why)
	default:
		b.Source, b.Labels = "signalbox", nil
		b.Summary = fmt.Sprintf("%d incidents: %s", n, p.Why)
	}
	return b
}

// mostLines is how many lines of each kind a page carries.
const mostLines = 100

// shorten bounds a page, however many incidents it speaks of.
func shorten(b *signalbox.PageBody) {
	for _, lines := range []*[]string{&b.Evidence, &b.Done} {
		if n := len(*lines); n > mostLines {
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

func evidence(inc *signalbox.Incident) string {
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
	text := fmt.Sprintf("%s %s to %s", a.ClaimedAt.UTC().Format(time.TimeOnly), a.Step.Name, a.Step.To)
	if a.Undoes != "" {
		text = fmt.Sprintf("%s %s back to %s", a.ClaimedAt.UTC().Format(time.TimeOnly), a.Step.Name, a.Step.To)
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

// sendPages sends what is owed, each page in a goroutine of its own, one at a
// time.
func (l *loop) sendPages() {
	now := l.now()
	for key, p := range l.state.Pages {
		if p.Sent >= p.Want || l.sending[key] || now.Before(p.Due) || now.Before(l.retry[key].at) {
			continue
		}
		l.sending[key] = true
		auth, set, page := l.auth, l.set(), *p
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(auth.ctx), l.e.timing.Start)
			defer cancel()
			err := sendPage(ctx, set, page.Owner, page.Key, page.Event, page.Body)
			l.e.post(context.WithoutCancel(ctx), func(l *loop) { l.sent(auth, &page, err) })
		}()
	}
}

// sendPage sends one event by the way to its owner; an owner that is gone from
// the configuration is answered for by the default owner.
func sendPage(ctx context.Context, set *Set, owner, key string, event signalbox.PageEvent, body signalbox.PageBody) error {
	step, ok := set.Owners[owner]
	if !ok {
		step, ok = set.Owners[set.DefaultOwner]
	}
	if !ok {
		return &signalbox.Failure{Reason: fmt.Sprintf("owner %q can't be paged: not configured", owner)}
	}
	if who := set.Primary[owner]; who != "" && event == signalbox.PageTrigger {
		body.Evidence = append([]string{"owner " + owner + ", primary " + who}, body.Evidence...)
	}
	return set.Pager.Page(ctx, step.Spec, key, event, body)
}

// sent records what the pager said.
func (l *loop) sent(auth *authority, p *signalbox.Page, err error) {
	delete(l.sending, p.Key)
	if l.auth != auth || l.state.Pages[p.Key] == nil {
		return // the next term sends it again: the pager knows the key
	}
	failure, after := (*signalbox.Failure)(nil), (*signalbox.RetryAfter)(nil)
	if err != nil && !errors.As(err, &failure) {
		r := l.retry[p.Key]
		r.pause = min(max(2*r.pause, l.e.timing.Retry), 64*l.e.timing.Retry)
		wait := r.pause
		if errors.As(err, &after) {
			wait = after.After
		}
		r.at = l.now().Add(wait)
		l.retry[p.Key] = r
		l.e.metrics.pages["retried"].Inc()
		l.e.o.Log.Warn("page was not accepted", "page", p.Key, "owner", p.Owner, "error", err, "again_in", wait)
		return
	}
	delete(l.retry, p.Key)
	w := &write{}
	next := l.page(w, p.Key)
	next.Sent = max(next.Sent, p.Want)
	text := string(p.Event)
	if failure != nil {
		next.Error = failure.Error()
		text += " refused: " + next.Error
		if other := l.set().DefaultOwner; p.Event == signalbox.PageTrigger && p.Owner != other {
			// Somebody must know: the default owner gets it instead.
			next.Owner, next.Want = other, next.Want+1
		}
		l.e.metrics.pages["refused"].Inc()
		l.e.o.Log.Error("page was refused", "page", p.Key, "owner", p.Owner, "error", failure)
	} else {
		l.e.metrics.pages["sent"].Inc()
	}
	var inc signalbox.IncidentID
	if len(p.Incidents) > 0 {
		inc = p.Incidents[0]
	}
	w.entry(journal.PageSent, inc, "", text)
	if next.Event == signalbox.PageResolve && next.Sent == next.Want {
		delete(w.pages, p.Key)
		w.deletes = append(w.deletes, signalbox.PageKey(p.Key))
	}
	l.commit(w)
	l.e.metrics.loopDone("pages", l.now())
}
