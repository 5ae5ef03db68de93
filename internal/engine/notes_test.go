package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	signalbox "github.com/signalbox/signalbox"
)

// notebook is a phone that takes notes too.
type notebook struct {
	*phone
	notes     []signalbox.Note
	noteTakes time.Duration
	noteFails error
	deaf      bool
}

// TakesNotes implements kind.Noter.
func (b *notebook) TakesNotes(json.RawMessage) bool { return !b.deaf }

// Note implements kind.Noter. What was on its way is taken, whatever becomes of
// its sender.
func (b *notebook) Note(_ context.Context, _ json.RawMessage, _ string, n signalbox.Note) error {
	b.mu.Lock()
	takes := b.noteTakes
	b.mu.Unlock()
	time.Sleep(takes) //nolint:forbidigo // bubble time
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.noteFails != nil {
		return b.noteFails
	}
	b.notes = append(b.notes, n)
	return nil
}

// estimates are the reasons of the estimates that were told, in their order.
func (b *notebook) estimates() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.notes {
		if _, reason, ok := strings.Cut(n.Text, "Z: "); ok && n.Kind == signalbox.StatusUpdate {
			out = append(out, reason)
		}
	}
	return out
}

// paged begins a world with one incident that is paged, and a pager that takes
// notes.
func paged(t *testing.T) (*world, *notebook) {
	t.Helper()
	w := newWorld(t)
	b := &notebook{phone: newPhone(w)}
	w.set.Pager = b
	w.start()
	w.after(20 * time.Second)
	w.make(plainOne, "queue/psp", 9)
	w.after(20 * time.Second)
	expect(t, "pages", b.log(), "trigger")
	return w, b
}

// estimate has the owner say when the only open incident will be over.
func (w *world) estimate(until time.Time, reason string) {
	w.t.Helper()
	c := signalbox.Control{Kind: signalbox.Estimate, Scope: "incident/" + ids(w.status()), Who: "@be-lead", Reason: reason, Until: until}
	if err := w.engine.Control(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func TestNotesAreToldInOrderAndAtMostOneAgainAfterAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := paged(t)
		b.set(func() { b.noteTakes = 3 * time.Second })
		var want []string
		for i := range 6 {
			want = append(want, fmt.Sprint(i))
			w.estimate(time.Now().Add(time.Hour), want[i])
		}
		w.after(8 * time.Second) // some are told, and one is on its way
		w.die()
		w.start()
		w.after(time.Minute)
		got := b.estimates()
		if again := len(got) - len(want); again != 1 {
			t.Errorf("told %q: %d again, want the one that was on its way", got, again)
		}
		if once := slices.Compact(slices.Clone(got)); !slices.Equal(once, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		w.audit(nil)
	})
}

func TestNoteIsTriedAgainUntilItIsTakenAndPassedOverWhenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := paged(t)
		b.set(func() { b.noteFails = errDown })
		w.estimate(time.Now().Add(time.Hour), "one")
		w.estimate(time.Now().Add(time.Hour), "two")
		w.after(time.Minute)
		b.set(func() { b.noteFails = nil })
		w.after(time.Minute)
		expect(t, "told", strings.Join(b.estimates(), " "), "one two")
		b.set(func() { b.noteFails = &signalbox.Failure{Reason: "no such incident"} })
		w.estimate(time.Now().Add(time.Hour), "three")
		w.after(10 * time.Second)
		b.set(func() { b.noteFails = nil })
		w.estimate(time.Now().Add(time.Hour), "four")
		w.after(10 * time.Second)
		expect(t, "told", strings.Join(b.estimates(), " "), "one two four")
		w.audit(nil)
	})
}

// An owner's pager that takes no notes costs nothing: they are not recorded.
func TestNotesThatAreToldNowhereAreNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		b := &notebook{phone: newPhone(w), deaf: true}
		w.set.Pager = b
		w.start()
		w.after(20 * time.Second)
		w.make(plainOne, "queue/psp", 9)
		w.after(20 * time.Second)
		pages := w.state().Pages
		for _, p := range pages {
			if len(p.Notes) > 0 {
				t.Errorf("page %s has %d notes", p.Key, len(p.Notes))
			}
		}
		if len(pages) != 1 || len(b.notes) > 0 {
			t.Errorf("got %d pages and %d notes, want one page and no note", len(pages), len(b.notes))
		}
		w.audit(nil)
	})
}

func TestNotesOfOnePageAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := paged(t)
		for range 150 {
			w.estimate(time.Now().Add(time.Hour), strings.Repeat("ö", 3000))
		}
		w.after(10 * time.Minute)
		w.audit(nil)
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := len(b.notes); n != 101 || !strings.Contains(b.notes[100].Text, "signalboxctl explain") {
			t.Errorf("got %d notes, want 100 and one that says where the rest is", n)
		}
		for _, n := range b.notes[:100] {
			if n.Kind != signalbox.StatusUpdate {
				continue
			}
			if runes := utf8.RuneCountInString(n.Text); runes != 1000 || !utf8.ValidString(n.Text) {
				t.Fatalf("got a note of %d characters, want 1000", runes)
			}
		}
	})
}

// The answer to a note of a page that is over says nothing of the notes of the
// next page under the same key.
func TestNotesOfAKeyThatIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := paged(t)
		b.set(func() { b.noteTakes = 20 * time.Second })
		key := b.accepted()[0].key
		w.estimate(time.Now().Add(time.Hour), "of the first")
		w.make(plainOne, "queue/psp", 0)
		w.after(6 * time.Second)
		if n := len(w.status().Incidents); n != 0 {
			t.Fatalf("%d incidents are open, want none", n)
		}
		w.make(plainOne, "queue/psp", 9)
		w.until(func() bool { return len(w.status().Incidents) == 1 })
		w.estimate(time.Now().Add(time.Hour), "of the second")
		w.after(2 * time.Minute)
		if p := w.state().Pages[key]; p == nil || p.Event != signalbox.PageTrigger {
			t.Fatalf("the key is not used again: %+v", p)
		}
		expect(t, "told", strings.Join(b.estimates(), ", "), "of the first, of the second")
		w.audit(nil)
	})
}

// until lets bubble time pass until something is so, for a minute at most.
func (w *world) until(so func() bool) {
	w.t.Helper()
	for range 600 {
		if so() {
			return
		}
		w.after(100 * time.Millisecond)
	}
	w.t.Fatal("it did not come to that within a minute")
}
