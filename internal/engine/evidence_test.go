package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/evidence"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/telling"
)

// window is a source that is looked at: it answers after some time.
type window struct {
	mu      sync.Mutex
	takes   time.Duration
	fails   error
	looks   int
	at, top int // under way now, and at the most
	saw     []kind.Around
}

func (v *window) Look(ctx context.Context, a kind.Around) ([]signalbox.Finding, error) {
	v.mu.Lock()
	v.looks, v.at = v.looks+1, v.at+1
	v.top, v.saw = max(v.top, v.at), append(v.saw, a)
	takes, fails := v.takes, v.fails
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		v.at--
		v.mu.Unlock()
	}()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	link := &signalbox.Link{Text: "trace", Href: "https://traces.example/" + a.Same["queue"]}
	return []signalbox.Finding{{At: a.To.Add(-time.Minute), Text: "level=error code=55", Link: link}}, fails
}

// looking begins a world whose incidents are looked around, with a pager that
// takes notes.
func looking(t *testing.T, v *window, more ...evidence.Entry) (*world, *notebook) {
	t.Helper()
	w := newWorld(t)
	b := &notebook{phone: newPhone(w)}
	w.set.Pager = b
	w.set.Evidence = append([]evidence.Entry{{Name: "errors", Most: 5, Since: 15 * time.Minute, Look: v}}, more...)
	w.start()
	w.after(20 * time.Second)
	return w, b
}

func TestEvidenceIsOnTheFirstPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		href, err := telling.ParseLink("https://logs.example/explore?q={{subject}}", nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		w, b := looking(t, &window{takes: time.Second},
			evidence.Entry{Name: "lag", Most: 5, Readings: []string{readsLag}},
			evidence.Entry{Name: "rest", Links: []evidence.Link{{Text: "logs", URL: href}}},
			evidence.Entry{Name: "of others", Detectors: []string{readsLag}, Most: 5, Look: &window{}})
		w.make(plainOne, "queue/psp", 9)
		w.after(20 * time.Second)
		got := b.accepted()
		if len(got) != 1 {
			t.Fatalf("pages: %s", b.log())
		}
		text := strings.Join(got[0].body.Evidence, "\n")
		for _, want := range []string{"queue/psp (queue) 9", "errors: 2", "level=error code=55", "lag: ", "db/eu (reads-lag) 0, clear, threshold above 1"} {
			if !strings.Contains(text, want) {
				t.Errorf("the page must tell %q, got\n%s", want, text)
			}
		}
		if strings.Contains(text, "of others") {
			t.Errorf("what is for another detector's incidents is told:\n%s", text)
		}
		if got := fmt.Sprint(got[0].body.Links); got != "[{errors: trace https://traces.example/} {rest: logs https://logs.example/explore?q=queue%2Fpsp}]" {
			t.Errorf("links: %s", got)
		}
		entries := 0
		for _, e := range w.entries() {
			if e.Kind == journal.EvidenceFound {
				entries++
			}
		}
		for _, inc := range w.state().Incidents {
			if len(inc.Evidence) != 3 || inc.LookedAt.IsZero() || entries != 1 {
				t.Errorf("%d entries, incident: %+v", entries, inc.Evidence)
			}
		}
		w.audit(nil)
	})
}

// A page never waits for longer than a moment, and what comes late is told
// beside it.
func TestEvidenceThatComesLateIsANote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := looking(t, &window{takes: 6 * time.Second})
		ill := time.Now()
		w.make(plainOne, "queue/psp", 9)
		w.after(30 * time.Second)
		got := b.accepted()
		if len(got) != 1 || strings.Contains(fmt.Sprint(got[0].body.Evidence), "code=55") || got[0].at.Sub(ill) > 10*time.Second {
			t.Fatalf("pages: %+v, %s after it was ill", got, got[0].at.Sub(ill))
		}
		if notes := fmt.Sprint(b.notes); !strings.Contains(notes, "queue/psp: errors: ") || !strings.Contains(notes, "code=55") {
			t.Errorf("notes: %s", notes)
		}
		w.audit(nil)
	})
}

// A source that does not answer, or fails, holds nothing up, and that is told:
// silence is no evidence.
func TestEvidenceThatCantBeReadIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		v    *window
		want string
	}{
		"hangs": {&window{takes: time.Hour}, "errors: can't be read: no answer in time"},
		"fails": {&window{fails: errors.New("503 Service Unavailable")}, "errors: can't be read: 503 Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, b := looking(t, c.v)
				w.make(plainOne, "queue/psp", 9)
				w.after(time.Minute)
				told := fmt.Sprint(b.notes)
				for _, call := range b.accepted() {
					told += strings.Join(call.body.Evidence, "\n")
				}
				if b.log() != "trigger" || !strings.Contains(told, c.want) {
					t.Errorf("pages %s, told: %s", b.log(), told)
				}
				w.audit(nil)
			})
		})
	}
}

// A process that dies while it looks is followed by one that looks again.
func TestEvidenceIsLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &window{takes: 2 * time.Second}
		w, b := looking(t, v)
		w.make(plainOne, "queue/psp", 9)
		w.after(5*time.Second + 500*time.Millisecond)
		if v.looks != 1 || len(b.accepted()) != 0 {
			t.Fatalf("looked %d times, pages %s: the test's own times are off", v.looks, b.log())
		}
		w.die()
		w.start()
		w.after(time.Minute)
		got := b.accepted()
		if v.looks != 2 || len(got) != 1 || !strings.Contains(fmt.Sprint(got[0].body.Evidence), "code=55") {
			t.Errorf("looked %d times, pages: %+v", v.looks, got)
		}
		w.halt()
		w.start()
		w.after(time.Minute)
		if v.looks != 2 {
			t.Errorf("what was found was looked for again: %d times", v.looks)
		}
		w.audit(nil)
	})
}

// In a storm the sources are left alone.
func TestEvidenceInAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &window{takes: 5 * time.Second}
		w, b := looking(t, v)
		for i := range 200 {
			w.make(plainOne, fmt.Sprintf("queue/%d", i), 9)
		}
		w.after(10 * time.Minute)
		if v.top > 4 || v.looks == 0 || v.looks > 60 {
			t.Errorf("%d looks, %d at once", v.looks, v.top)
		}
		if n := len(w.state().Incidents); n != 200 || len(b.accepted()) == 0 {
			t.Errorf("%d incidents, pages %s", n, b.log())
		}
		w.audit(nil)
	})
}
