package engine

import (
	"context"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// failing notes that the pager did not take a page. When that lasts, the
// owner's second channel gets it too; the pager goes on being tried, and knows
// the page by its key when it is back.
func (l *loop) failing(p *signalbox.Page) {
	now := l.now()
	if old := l.state.Pages[p.Key]; old != nil && old.FailingSince.IsZero() {
		w := &write{}
		l.page(w, p.Key).FailingSince = now
		l.commit(w)
	}
}

// useSecond sends what fails for too long by the second channel, each event
// once.
func (l *loop) useSecond(now time.Time) {
	set := l.set()
	for key, p := range l.state.Pages {
		if p.FailingSince.IsZero() || now.Sub(p.FailingSince) < l.e.timing.Second || p.Second >= p.Want || p.Sent >= p.Want {
			continue
		}
		id := "second/" + key
		if l.sending[id] || now.Before(l.retry[id].at) {
			continue
		}
		l.pagerFails(p.Owner, now)
		if l.auth == nil {
			return // the store failed meanwhile
		}
		second := set.second(p.Owner)
		if second == nil {
			continue
		}
		l.sending[id] = true
		auth, page := l.auth, *p
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(auth.ctx), l.e.timing.Start)
			defer cancel()
			err := set.pager(*second).Page(ctx, second.Spec, page.Key, page.Event, page.Body)
			l.e.post(context.WithoutCancel(ctx), func(l *loop) { l.secondTook(auth, &page, err) })
		}()
	}
}

// second is an owner's second channel, or the default owner's; nil: there is none.
func (s *Set) second(owner string) *signalbox.Step {
	if second := s.Ladders[owner].Second; second != nil {
		return second
	}
	return s.Ladders[s.DefaultOwner].Second
}

func (l *loop) secondTook(auth *authority, p *signalbox.Page, err error) {
	id := "second/" + p.Key
	delete(l.sending, id)
	if l.auth != auth || l.state.Pages[p.Key] == nil {
		return
	}
	if err != nil {
		r := l.retry[id]
		r.pause = min(max(2*r.pause, l.e.timing.Retry), 64*l.e.timing.Retry)
		r.at = l.now().Add(r.pause)
		l.retry[id] = r
		l.e.o.Log.Error("the second channel did not take a page", "page", p.Key, "owner", p.Owner, "error", err)
		return
	}
	delete(l.retry, id)
	w := &write{}
	next := l.page(w, p.Key)
	next.Second = max(next.Second, p.Want)
	w.entry(journal.PageSent, first(p.Incidents), "", string(p.Event)+" by the second channel: the pager takes nothing")
	l.e.metrics.pages["second"].Inc()
	l.commit(w)
}

// pagerFails tells that an owner's pager takes nothing, by metric and by a page
// of our own to the default owner, which goes by the second channel too.
func (l *loop) pagerFails(owner string, now time.Time) {
	l.e.metrics.pagerFailing.WithLabelValues(owner).Set(1)
	l.failed[owner] = true
	if old := l.state.Pages[pagerKey(owner)]; l.auth == nil || old != nil && old.Event == signalbox.PageTrigger {
		return // it is on record, also of the process before
	}
	w := &write{}
	p := l.page(w, pagerKey(owner))
	p.Owner, p.At, p.Event = l.set().DefaultOwner, now, signalbox.PageTrigger
	p.Why = "the pager of owner " + owner + " takes nothing: its pages go by the second channel, if there is one"
	p.Body = signalbox.PageBody{Summary: "signalbox: " + p.Why, Severity: "critical", Source: "signalbox/" + l.e.o.Replica, At: now}
	p.Want++
	w.entry(journal.PageWanted, "", "", p.Why)
	l.commit(w)
}

// works ends what pagerFails told.
func (l *loop) works(owner string) {
	key := pagerKey(owner)
	if l.failed[owner] {
		delete(l.failed, owner)
		l.e.metrics.pagerFailing.WithLabelValues(owner).Set(0)
	}
	if p := l.state.Pages[key]; l.auth == nil || p == nil || p.Event == signalbox.PageResolve {
		return
	}
	w := &write{}
	p := l.page(w, key)
	p.Event, p.At = signalbox.PageResolve, l.now()
	p.Want++
	w.entry(journal.PageWanted, "", "", "the pager of owner "+owner+" works again")
	l.commit(w)
}

func pagerKey(owner string) string { return "signalbox-pager-" + signalbox.KeyPart(owner) }
