package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// The bounds of what is told on one page's incident.
const (
	mostNotes = 100
	mostNote  = 1000 // characters
	// notesBefore is how long a resolve waits for the notes before it: the page
	// is forgotten with it.
	notesBefore = 30 * time.Second
)

// noteOn tells something on the incident of a page, where its pager takes notes:
// an outbox, as pages are. What is over the bound is left to the journal.
func (l *loop) noteOn(w *write, key string, k signalbox.NoteKind, text string) {
	old := l.knownPage(w, key)
	if key == "" || old == nil || old.Event == signalbox.PageResolve {
		return
	}
	set := l.set()
	step, _, err := set.reach(old.Owner, old.Rung)
	noter, can := set.pager(step).(kind.Noter)
	if err != nil || len(old.Notes) > mostNotes || !can || !noter.TakesNotes(step.Spec) {
		return
	}
	p := l.page(w, key)
	if len(p.Notes) == mostNotes {
		k, text = signalbox.PlainNote, "and more: signalboxctl explain "+string(first(p.Incidents))
	}
	if utf8.RuneCountInString(text) > mostNote {
		text = string([]rune(text)[:mostNote-3]) + "..."
	}
	p.Notes = append(p.Notes[:len(p.Notes):len(p.Notes)], signalbox.Note{At: l.now(), Kind: k, Text: text})
}

// tellNote tells something on the page of an incident.
func (l *loop) tellNote(w *write, inc *signalbox.Incident, k signalbox.NoteKind, format string, args ...any) {
	l.noteOn(w, inc.Page, k, fmt.Sprintf("incident %s, %s: ", inc.ID, inc.Reading.Subject)+fmt.Sprintf(format, args...))
}

// sendNotes sends what is owed of notes, one at a time a page, once its page is
// there.
func (l *loop) sendNotes(now time.Time) {
	for key, p := range l.state.Pages {
		if p.Noted >= len(p.Notes) || p.SentAt.IsZero() {
			continue // before its id is made: this is asked of every page in every round
		}
		id := "note/" + key
		if l.sending[id] || now.Before(l.retry[id].at) {
			continue
		}
		set := l.set()
		step, _, err := set.reach(p.Owner, p.Rung)
		noter, takes := set.pager(step).(kind.Noter)
		if err != nil || !takes {
			continue
		}
		l.sending[id] = true
		auth, n, note, made := l.auth, p.Noted, p.Notes[p.Noted], p.MadeAt
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(auth.ctx), l.e.timing.Start)
			defer cancel()
			err := noter.Note(ctx, step.Spec, key, note)
			l.e.post(context.WithoutCancel(ctx), func(l *loop) { l.noted(auth, key, made, n, err) })
		}()
	}
}

// noted records what the pager said to the nth note of a page that was made at
// some time: under a key that is used again by now, it says nothing of the new
// page's notes.
func (l *loop) noted(auth *authority, key string, made time.Time, n int, err error) {
	id := "note/" + key
	delete(l.sending, id)
	if p := l.state.Pages[key]; l.auth != auth || p == nil || !p.MadeAt.Equal(made) {
		delete(l.retry, id)
		return
	}
	failure, after := (*signalbox.Failure)(nil), (*signalbox.RetryAfter)(nil)
	if err != nil && !errors.As(err, &failure) {
		r := l.retry[id]
		r.pause = min(max(2*r.pause, l.e.timing.Retry), 64*l.e.timing.Retry)
		r.at = l.now().Add(r.pause)
		if errors.As(err, &after) {
			r.at = l.now().Add(after.After)
		}
		l.retry[id] = r
		return
	}
	delete(l.retry, id)
	if failure != nil {
		l.e.o.Log.Warn("note was refused", "page", key, "error", failure)
	}
	w := &write{}
	p := l.page(w, key)
	p.Noted = min(max(p.Noted, n+1), len(p.Notes))
	l.commit(w)
}
