package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/step"
)

// sendPages sends what is owed, each page in a goroutine of its own, one at a
// time.
func (l *loop) sendPages() {
	now := l.now()
	for key, p := range l.state.Pages {
		if p.Sent >= p.Want || l.sending[key] || now.Before(p.Due) || now.Before(l.retry[key].at) || notesFirst(p, now) {
			continue
		}
		l.sending[key] = true
		auth, set, page := l.auth, l.set(), *p
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(auth.ctx), l.e.timing.Start)
			defer cancel()
			step.At(step.PageWanted)
			err := sendPage(ctx, set, &page)
			step.At(step.PageSent)
			l.e.post(context.WithoutCancel(ctx), func(l *loop) { l.sent(auth, &page, err) })
		}()
	}
}

// notesFirst reports whether a resolve is to wait for what is still to be told on
// its page.
func notesFirst(p *signalbox.Page, now time.Time) bool {
	return p.Event == signalbox.PageResolve && p.Noted < len(p.Notes) && !p.SentAt.IsZero() && now.Sub(p.At).Abs() < notesBefore
}

// sendPage sends the newest event of a page by the way to its owner.
func sendPage(ctx context.Context, set *Set, p *signalbox.Page) error {
	step, who, err := set.reach(p.Owner, p.Rung)
	if err != nil {
		return err
	}
	body := p.Body
	if who != "" && p.Event == signalbox.PageTrigger {
		body.Evidence = append([]string{"owner " + p.Owner + ", " + who}, body.Evidence...)
	}
	return set.pager(step).Page(ctx, step.Spec, p.Key, p.Event, body)
}

// reach is how an owner's rung is paged; an owner that is gone from the
// configuration is answered for by the default owner.
func (s *Set) reach(owner string, rung signalbox.Rung) (step signalbox.Step, who string, err error) {
	if b := s.Ladders[owner].Backup; rung == signalbox.BackupRung && b != nil {
		return *b, "backup " + s.Ladders[owner].BackupName, nil
	}
	step, ok := s.Owners[owner]
	if !ok {
		step, ok = s.Owners[s.DefaultOwner]
	}
	if !ok {
		return step, "", &signalbox.Failure{Reason: fmt.Sprintf("owner %q can't be paged: not configured", owner)}
	}
	if s.Primary[owner] != "" {
		who = "primary " + s.Primary[owner]
	}
	return step, who, nil
}

// pager is what sends a page step.
func (s *Set) pager(step signalbox.Step) kind.Pager {
	if p := s.Pagers[step.Kind]; p != nil {
		return p
	}
	return s.Pager
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
		r.at, r.tries = l.now().Add(wait), r.tries+1
		l.retry[p.Key] = r
		l.e.metrics.pages["retried"].Inc()
		l.e.o.Log.Warn("page was not accepted", "page", p.Key, "owner", p.Owner, "error", err, "again_in", wait)
		if after == nil || r.tries > 1 { // to be asked to wait once is no failure
			l.failing(p)
		}
		return
	}
	delete(l.retry, p.Key)
	w := &write{}
	next := l.page(w, p.Key)
	next.Sent, next.FailingSince = max(next.Sent, p.Want), time.Time{}
	if failure == nil && p.Event == signalbox.PageTrigger && next.SentAt.IsZero() {
		next.SentAt = l.now()
	}
	text := string(p.Event)
	if failure != nil {
		next.Error = failure.Error()
		text += " refused: " + next.Error
		if other := l.set().DefaultOwner; p.Event == signalbox.PageTrigger && p.Owner != other {
			// Somebody must know: the default owner gets it instead.
			next.Owner, next.Want = other, next.Want+1
		} else if p.Event == signalbox.PageTrigger && next.SentAt.IsZero() {
			next.SentAt = l.now() // nobody is left to take it over: the next rung is
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
	l.works(p.Owner)
	l.e.metrics.loopDone("pages", l.now())
}
