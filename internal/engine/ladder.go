package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
)

// rungs are the pages that were made of a page since it was not acknowledged,
// in their order.
func (l *loop) rungs(key string) []*signalbox.Page { return l.ladders()[key] }

// ladders are the rungs of all pages, found in one pass. A rung that was resolved
// and is only owed to the pager belongs to no ladder.
func (l *loop) ladders() map[string][]*signalbox.Page {
	all := map[string][]*signalbox.Page{}
	for _, p := range l.state.Pages {
		if p.Of != "" && p.Rung != signalbox.PrimaryRung && p.Event != signalbox.PageResolve {
			all[p.Of] = append(all[p.Of], p)
		}
	}
	rank := func(p *signalbox.Page) int {
		if p.Rung == signalbox.LastResortRung {
			return 1
		}
		return 0
	}
	for _, list := range all { // by rung: the clock may have gone back between two
		slices.SortFunc(list, func(a, b *signalbox.Page) int {
			return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Key, b.Key))
		})
	}
	return all
}

// climb pages the next rung of each page that was not acknowledged in time. It
// looks at all of them once one may be due, or when they have changed.
func (l *loop) climb(now time.Time) {
	if now.Before(l.nextClimb) {
		return
	}
	next := now.Add(time.Hour)
	book, ladders := l.set().Handbook, l.ladders()
	for key, p := range l.state.Pages {
		if p.Of != "" || !p.AckedAt.IsZero() || p.SentAt.IsZero() || p.Event != signalbox.PageTrigger || len(p.Incidents) == 0 {
			continue
		}
		rung, owner, due, ok := book.Climb(append([]*signalbox.Page{p}, ladders[key]...))
		if !ok {
			continue
		}
		if now.Before(due) {
			next = earlier(next, due)
			continue
		}
		w := &write{}
		l.nextRung(w, p, rung, owner, now)
		if !l.commit(w) {
			return
		}
		next = now // what was made is looked at in the next second
	}
	l.nextClimb = next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// nextRung makes the page of the next rung, with what the first one says.
func (l *loop) nextRung(w *write, p *signalbox.Page, rung signalbox.Rung, owner string, now time.Time) {
	key := p.Key + "-" + string(rung)
	why := fmt.Sprintf("escalated to %s of %s: not acknowledged since %s", strings.ReplaceAll(string(rung), "_", " "), owner, p.SentAt.UTC().Format(time.TimeOnly+"Z"))
	next := l.page(w, key)
	*next = signalbox.Page{
		Key: key, Owner: owner, Rung: rung, Of: p.Key, Incidents: slices.Clone(p.Incidents), Why: why, MadeAt: now, At: now,
		Event: signalbox.PageTrigger, Want: next.Want + 1, Sent: next.Sent, Body: l.body(w, p),
	}
	next.Body.Summary = why + "; " + next.Body.Summary
	next.Body.Plan, next.Body.Also = p.Body.Plan, p.Body.Also
	w.entry(journal.PageEscalated, p.Incidents[0], "", why)
	if rung == signalbox.LastResortRung || l.set().Handbook.Answers(p.Owner).LastResort == "" { // nobody is left to page
		l.noteOn(w, p.Key, signalbox.Responders, why)
	}
	l.e.o.Log.Warn("page escalated", "page", p.Key, "rung", rung, "owner", owner)
}

// acknowledged takes in that a person acknowledged a page: its ladder is climbed
// no further, and the others who were paged for it are notified no more. It is
// idempotent; a page that is not known is passed over, and so is what a person has
// taken back since.
func (l *loop) acknowledged(w *write, c signalbox.Control) {
	key, ok := strings.CutPrefix(c.Scope, "page/")
	p := l.knownPage(w, key)
	if !ok || p == nil {
		l.e.o.Log.Info("an acknowledgement of no page of ours", "scope", c.Scope, "who", c.Who)
		return
	}
	if p.Of != "" && p.Rung != signalbox.PrimaryRung {
		key = p.Of
	}
	at := cmp.Or(c.At, l.now())
	if root := l.knownPage(w, key); root != nil && !at.After(root.UnackedAt) {
		return // also of those who were paged since
	}
	for _, k := range append([]string{key}, keysOf(l.rungs(key))...) {
		if page := l.knownPage(w, k); page == nil || !page.AckedAt.IsZero() || page.Event == signalbox.PageResolve || !at.After(page.UnackedAt) {
			continue
		}
		page := l.page(w, k)
		page.AckedAt, page.AckedBy = at, c.Who
		if "page/"+k != c.Scope && !page.SentAt.IsZero() {
			tellAcknowledged(page, l.now())
		}
		w.entries = append(w.entries, journal.Record{Kind: journal.PageAcknowledged, Incident: first(page.Incidents), Who: c.Who, Data: k})
	}
}

// tellAcknowledged has the pager told that somebody is on it.
func tellAcknowledged(p *signalbox.Page, now time.Time) {
	p.Event, p.At = signalbox.PageAcknowledge, now
	p.Want++
}

// unacknowledged takes an acknowledgement back: its pager's time ran out, or its
// person gave it back.
func (l *loop) unacknowledged(w *write, c signalbox.Control) {
	key, _ := strings.CutPrefix(c.Scope, "page/")
	p := l.knownPage(w, key)
	if p == nil || p.Event == signalbox.PageResolve {
		return
	}
	if p.Of != "" && p.Rung != signalbox.PrimaryRung {
		key = p.Of
	}
	at := cmp.Or(c.At, l.now())
	for _, k := range append([]string{key}, keysOf(l.rungs(key))...) {
		known := l.knownPage(w, k)
		if known == nil {
			continue
		}
		if at.After(known.UnackedAt) { // also where what it takes back comes only after it
			l.page(w, k).UnackedAt = at
		}
		if known.AckedAt.IsZero() {
			continue
		}
		page := l.page(w, k)
		page.AckedAt, page.AckedBy = time.Time{}, ""
		if page.Event == signalbox.PageAcknowledge {
			page.Event = signalbox.PageTrigger // it is open as before
		}
		if !page.SentAt.IsZero() {
			page.SentAt = l.now() // its time begins anew
		}
		w.entries = append(w.entries, journal.Record{Kind: journal.PageAcknowledged, Incident: first(page.Incidents), Who: c.Who, Data: "taken back: " + k})
	}
}

// said takes in what a person said in the pager.
func (l *loop) said(w *write, c signalbox.Control) {
	switch c.Kind {
	case signalbox.Acknowledge:
		l.acknowledged(w, c)
	case signalbox.Unacknowledge:
		l.unacknowledged(w, c)
	default:
		l.e.o.Log.Info("a word that says nothing to us", "kind", c.Kind, "scope", c.Scope)
	}
}

func keysOf(pages []*signalbox.Page) (keys []string) {
	for _, p := range pages {
		keys = append(keys, p.Key)
	}
	return keys
}

func first(ids []signalbox.IncidentID) signalbox.IncidentID {
	if len(ids) == 0 {
		return ""
	}
	return ids[0]
}

// pollAcks asks the pagers that can tell for the acknowledgements of pages, for
// where nothing posts them to us: they stop our ladder, and, whoever escalates, may
// be configured to take the incident, and end one that was given up.
func (l *loop) pollAcks(now time.Time) {
	if now.Before(l.nextAcks) {
		return
	}
	l.nextAcks = now.Add(l.e.timing.Acks)
	set := l.set()
	asks := map[string][]string{} // by owner and rung
	steps := map[string]signalbox.Step{}
	made := map[string]time.Time{}
	for key, p := range l.state.Pages {
		if p.SentAt.IsZero() || !p.AckedAt.IsZero() || p.Event != signalbox.PageTrigger || l.state.Pages[cmp.Or(p.Of, key)] == nil || p.Of != "" && p.Rung == signalbox.PrimaryRung {
			continue
		}
		step, _, err := set.reach(p.Owner, p.Rung)
		if _, can := set.pager(step).(kind.AckReader); err != nil || !can {
			continue
		}
		who := p.Owner + "/" + string(p.Rung)
		asks[who], steps[who], made[key] = append(asks[who], key), step, p.MadeAt
	}
	auth := l.auth
	for who, keys := range asks {
		reader, _ := set.pager(steps[who]).(kind.AckReader)
		spec := steps[who].Spec
		go func() {
			ctx, cancel := context.WithTimeout(auth.ctx, l.e.timing.Start)
			defer cancel()
			acks, err := reader.Acks(ctx, spec, keys)
			l.e.post(context.WithoutCancel(ctx), func(l *loop) { l.acksCame(auth, made, acks, err) })
		}()
	}
}

// acksCame takes in an answer about the pages that were made at some time. What
// came before an error counts; the others are asked about again, and to climb on is
// the safe side.
func (l *loop) acksCame(auth *authority, made map[string]time.Time, acks map[string]signalbox.Control, err error) {
	if err != nil {
		l.e.o.Log.Warn("acknowledgements can't be read", "read", len(acks), "error", err)
	}
	if l.auth != auth {
		return
	}
	w := &write{}
	for key, c := range acks {
		if p := l.state.Pages[key]; p == nil || !p.MadeAt.Equal(made[key]) {
			continue // not asked about, or the key is used again by now
		}
		c.Kind, c.Scope = signalbox.Acknowledge, "page/"+key
		l.acknowledged(w, c)
	}
	if w.size() > 0 {
		l.commit(w)
	}
}
