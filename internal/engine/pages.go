package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/policy"
)

// wantPage adds an incident to its page: of its own, of its cause, or of its
// group. The record is the page's intent; it is sent until the pager accepts it.
func (l *loop) wantPage(w *write, inc *signalbox.Incident, note signalbox.PageNote) {
	key, wait := l.pageOf(w, inc, &note)
	now := l.now()
	p := l.page(w, key)
	fresh := len(p.Incidents) == 0
	if l.looks[inc.ID] && !l.stopping {
		wait = max(wait, l.e.timing.LookFirst)
	}
	if fresh {
		p.Due, p.Owner, p.MadeAt, p.Detector = now.Add(wait), note.Owner, now, inc.Reading.Detector
		begin(p)
		if key == inc.DedupKey {
			l.made[note.Owner] = append(policy.Lately(l.made[note.Owner], now), policy.Made{Detector: inc.Reading.Detector, At: now})
		}
	}
	joins := !slices.Contains(p.Incidents, inc.ID)
	if joins {
		p.Incidents = append(slices.Clone(p.Incidents), inc.ID)
	}
	for _, c := range note.Causes {
		if !slices.Contains(p.Causes, c) {
			p.Causes = append(slices.Clone(p.Causes), c)
		}
	}
	p.Body.Also = also(p, note.Why)
	p.Event, p.Why, p.At, p.Error = signalbox.PageTrigger, note.Why, now, ""
	// Others that join a group before it is sent need no page of their own.
	if fresh || p.Sent == p.Want || l.sending[key] {
		p.Want++
		if !fresh && joins { // a group that grows is told again once it has gathered
			p.Due = now.Add(wait)
		}
	}
	inc.Page, inc.PageAfter = key, note.Why
	plan := p.Body.Plan
	if fresh || len(note.Plan) > 0 {
		plan = note.Plan
	}
	p.Body.Plan = plan
	if !fresh { // an open incident of the pager's takes no second trigger; this it shows
		l.tellNote(w, inc, signalbox.PlainNote, "%s", note.Why)
	}
	w.tells(key)
	w.entry(journal.PageWanted, inc.ID, "", note)
	l.e.o.Log.Info("page", "incident", inc.ID, "subject", inc.Reading.Subject, "owner", p.Owner, "page", key, "why", note.Why)
	l.inform(w, inc)
}

// begin forgets what a page with a key that is used again was told before.
func begin(p *signalbox.Page) {
	p.SentAt, p.AckedAt, p.AckedBy = time.Time{}, time.Time{}, ""
	p.Causes, p.Notes, p.Noted = nil, nil, 0
}

// mostTogether is how many incidents share one page.
const mostTogether = 500

// pageOf finds the page that an incident belongs on: the one that it has, its
// root cause's, one with a cause in common, its group's, a storm's, else its
// own.
func (l *loop) pageOf(w *write, inc *signalbox.Incident, note *signalbox.PageNote) (key string, wait time.Duration) {
	if inc.Page != "" {
		return inc.Page, 0
	}
	if note.With != "" {
		if root := l.known(w, note.With); root != nil && root.Page != "" && l.hasRoom(w, root.Page) {
			return root.Page, 0
		}
		note.Group = causeGroup + string(note.With)
	}
	if own := l.groupKey(w, causeGroup+string(inc.ID)); l.hasRoom(w, own) && l.knownPage(w, own).Owner == note.Owner {
		return own, 0 // others wait on it already; if they paged another, this owner must know too
	}
	if note.Group == "" {
		if key := l.sharing(w, note); key != "" {
			return key, 0
		}
		note.Group = policy.Storm(note.Owner, inc.Reading.Detector, l.made[note.Owner], l.now())
	}
	if note.Group == "" {
		return inc.DedupKey, 0
	}
	return l.groupKey(w, note.Group), l.e.timing.GroupWait
}

// causeGroup begins the group of what waits for the page of its root cause.
const causeGroup = "cause/"

func (l *loop) knownPage(w *write, key string) *signalbox.Page {
	if p := w.pages[key]; p != nil {
		return p
	}
	return l.state.Pages[key]
}

func (l *loop) hasRoom(w *write, key string) bool {
	p := l.knownPage(w, key)
	return p != nil && p.Event == signalbox.PageTrigger && len(p.Incidents) < mostTogether
}

// sharing is an open page to the same owner with a cause in common; of several,
// the oldest.
func (l *loop) sharing(w *write, note *signalbox.PageNote) string {
	if len(note.Causes) == 0 {
		return ""
	}
	var found *signalbox.Page
	look := func(p *signalbox.Page) {
		if p.Owner != note.Owner || p.Of != "" || p.Event != signalbox.PageTrigger || len(p.Incidents) == 0 || len(p.Incidents) >= mostTogether {
			return
		}
		common := slices.ContainsFunc(note.Causes, func(c string) bool { return slices.Contains(p.Causes, c) })
		if common && (found == nil || cmp.Or(p.MadeAt.Compare(found.MadeAt), cmp.Compare(p.Key, found.Key)) < 0) {
			found = p
		}
	}
	for key, p := range l.state.Pages {
		if w.pages[key] == nil {
			look(p)
		}
	}
	for _, p := range w.pages {
		look(p)
	}
	if found == nil {
		return ""
	}
	return found.Key
}

// groupKey is the key of a group's page; when one is full the next begins.
func (l *loop) groupKey(w *write, group string) string {
	base := groupBase(group)
	for n := 1; ; n++ {
		key := fmt.Sprintf("%s-%d", base, n)
		if p := l.knownPage(w, key); p == nil || len(p.Incidents) < mostTogether {
			return key
		}
	}
}

func groupBase(group string) string { return "signalbox-group-" + signalbox.KeyPart(group) }

// refreshPage rewrites what a page that is not sent yet says.
func (l *loop) refreshPage(w *write, inc *signalbox.Incident) {
	old := l.state.Pages[inc.Page]
	if inc.Page == "" || old == nil || old.Sent == old.Want || old.Event != signalbox.PageTrigger {
		return
	}
	p := l.page(w, inc.Page)
	w.tells(inc.Page)
	if l.sending[inc.Page] {
		p.Want++ // what is on its way says less
	}
}

// leavePage takes an incident off its pages; a page is resolved with the last one
// that it speaks of, and with it all that were made of it.
func (l *loop) leavePage(w *write, inc *signalbox.Incident) {
	for _, key := range append([]string{inc.Page}, inc.AlsoPaged...) {
		if key == "" || l.knownPage(w, key) == nil {
			continue
		}
		p := l.page(w, key)
		if p.Event == signalbox.PageResolve {
			continue
		}
		p.Incidents = slices.DeleteFunc(slices.Clone(p.Incidents), func(id signalbox.IncidentID) bool { return id == inc.ID })
		made := l.madeOf(w, key)
		for _, k := range made {
			l.page(w, k).Incidents = slices.Clone(p.Incidents)
		}
		if len(p.Incidents) > 0 {
			if key == inc.Page {
				l.inform(w, inc) // of what is left
			}
			continue
		}
		l.endPage(w, p)
		for _, k := range made {
			l.endPage(w, l.page(w, k))
		}
		w.entry(journal.PageWanted, inc.ID, "", "resolve")
	}
}

// madeOf are the open pages that were made of a page: its rungs, and those that
// inform others of it.
func (l *loop) madeOf(w *write, key string) (keys []string) {
	for k, p := range l.state.Pages {
		if p.Of == key && w.pages[k] == nil && p.Event != signalbox.PageResolve {
			keys = append(keys, k)
		}
	}
	for k, p := range w.pages {
		if p.Of == key && p.Event != signalbox.PageResolve {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func (l *loop) endPage(w *write, p *signalbox.Page) {
	p.Event, p.At, p.Due, p.Incidents = signalbox.PageResolve, l.now(), time.Time{}, nil
	p.Want++
}

// pageStep takes a runbook's step that pages: the page is an outbox record
// like every other, and the step is done with it.
func (l *loop) pageStep(d *signalbox.Decision, now time.Time) {
	w := &write{}
	inc := l.incident(w, d.Incident)
	id := l.actionID(inc)
	a := l.action(w, id)
	*a = signalbox.Action{
		ID: id, Incident: d.Incident, Policy: d.Plan.Policy, Index: d.Next, Step: *d.Step, Stage: signalbox.Done, Attempts: 1,
		Forecast: signalbox.Forecast{At: now, Class: signalbox.ClassB}, ClaimedAt: now, EndedAt: now,
	}
	l.begun(inc, d.Plan, now)
	inc.Next = d.Next + 1
	inc.Actions = append(slices.Clone(inc.Actions), id)
	w.entry(journal.Intent, d.Incident, id, a)
	if d.Page.Owner == inc.Owner {
		l.wantPage(w, inc, *d.Page)
	} else {
		l.tellOther(w, inc, *d.Page)
	}
	w.require(l.state, storeKeys(d.Reads)...)
	l.commit(w)
}

// tellOther pages somebody beside the incident's owner.
func (l *loop) tellOther(w *write, inc *signalbox.Incident, note signalbox.PageNote) {
	key := inc.DedupKey + "-" + signalbox.KeyPart(note.Owner)
	p := l.page(w, key)
	if len(p.Incidents) == 0 {
		begin(p)
		p.MadeAt, p.Detector = l.now(), inc.Reading.Detector
	}
	p.Owner, p.Event, p.Why, p.At = note.Owner, signalbox.PageTrigger, note.Why, l.now()
	p.Incidents = []signalbox.IncidentID{inc.ID}
	p.Want++
	p.Body = l.body(w, p)
	if !slices.Contains(inc.AlsoPaged, key) {
		inc.AlsoPaged = append(slices.Clone(inc.AlsoPaged), key)
	}
	w.entry(journal.PageWanted, inc.ID, "", note)
}
