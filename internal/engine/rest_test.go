package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

var one, two = signalbox.Process{Replica: "one", Home: "h1", Run: "r1"}, signalbox.Process{Replica: "two", Home: "h2", Run: "r2"}

// stopped is a world in which replica one has claimed an action and is stopped
// between its last check and its send, while replica two leads and has been in
// doubt for five minutes. wake lets replica one go on.
func stopped(t *testing.T, class signalbox.Class) (w *world, p *points, wake chan struct{}) {
	t.Helper()
	w = newWorld(t, flipPolicy())
	p = newPoints(w, class)
	p.declared = 30 * time.Second
	w.process = one
	w.start()
	w.after(20 * time.Second)
	wake = make(chan struct{})
	p.with(func() { p.pastDoor = func() { <-wake } })
	w.make(readsLag, "db/eu", 5)
	w.after(6 * time.Second)
	p.with(func() { p.pastDoor = nil })
	w.store.Expire("engine")
	w.process = two
	w.start()
	w.after(5 * time.Minute)
	expect(t, "requests while it is stopped", p.requests(), "")
	expect(t, "stages", w.stages(), "doubt:1")
	if body := w.pager.last().body; !strings.Contains(body.Summary, `replica "one", which began it, is not known to be over`) {
		t.Errorf("the page must tell why it stays in doubt, got %q", body.Summary)
	}
	return w, p, wake
}

// says has a person settle the one action in doubt.
func (w *world) says(kind signalbox.ControlKind) error {
	for id := range w.state().Actions {
		return w.engine.Control(w.t.Context(), signalbox.Control{Kind: kind, Scope: "action/" + string(id), Who: "sre-lead", Reason: "seen"})
	}
	return nil
}

// A process that is stopped between its last check and its send can still send
// when it is woken. Nothing else is sent to its target meanwhile, and that its
// effect is not there settles nothing, until the process is known to be over, or
// at rest, or a person has said what became of it.
func TestStoppedProcessHoldsItsTarget(t *testing.T) {
	for _, c := range []struct {
		name     string
		then     func(w *world, p *points, wake chan struct{})
		requests string
	}{
		{"it is woken, and sends", func(_ *world, _ *points, wake chan struct{}) { close(wake) }, "b"},
		{"it is woken, and is refused", func(w *world, p *points, wake chan struct{}) {
			p.with(func() { p.refuses = true })
			close(wake)
			w.after(time.Second)
			p.with(func() { p.refuses = false })
		}, "b b"},
		{"it is woken, and its effect comes late", func(w *world, p *points, wake chan struct{}) {
			p.with(func() { p.lag, p.deaf = 20*time.Second, true })
			close(wake)
			w.after(time.Second)
			p.with(func() { p.lag, p.deaf = 0, false })
		}, "b"},
		{"its replica starts again", func(w *world, _ *points, _ chan struct{}) {
			again := one
			again.Run = "r3"
			if err := w.reader().PutRest(w.t.Context(), &signalbox.Rest{Process: again}, true); err != nil {
				w.t.Error(err)
			}
		}, "b"},
		{"a person says that it is not done", func(w *world, _ *points, _ chan struct{}) {
			if err := w.says(signalbox.NotHappened); err != nil {
				w.t.Error(err)
			}
		}, "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p, wake := stopped(t, signalbox.ClassC)
				c.then(w, p, wake)
				w.after(2 * time.Minute)
				for id := range w.state().Incidents { // it gave up when it was paged
					if err := w.engine.Control(t.Context(), signalbox.Control{Kind: signalbox.Release, Scope: "incident/" + string(id), Who: "sre-lead"}); err != nil {
						t.Error(err)
					}
				}
				w.after(2 * time.Minute)
				expect(t, "requests; it did not help, and is taken back", p.requests(), c.requests+" a")
				expect(t, "effects", p.log(), "b a")
				if !strings.Contains(w.stages(), "done:2") {
					t.Errorf("stages: got %s", w.stages())
				}
				select {
				case <-wake:
				default:
					p.with(func() { p.down = true })
					close(wake) // it was dead, not stopped: its send is cut off
				}
				w.audit(p)
			})
		})
	}
}

// What can't be looked at stays in doubt until a person has said what became of
// it, with a reason, which stands in the journal; and that once.
func TestPersonSettlesADoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := lab(t, signalbox.ClassD)
		p.with(func() { p.deaf = true })
		w.make(readsLag, "db/eu", 5)
		w.after(5 * time.Minute)
		expect(t, "stages", w.stages(), "doubt:1")
		err := w.engine.Control(t.Context(), signalbox.Control{Kind: signalbox.Happened, Scope: "action/none", Who: "sre-lead", Reason: "seen"})
		if err == nil || !strings.Contains(err.Error(), `no action "none" is on record`) {
			t.Errorf("an action that is not there: %v", err)
		}
		if err := w.says(signalbox.Happened); err != nil {
			t.Fatal(err)
		}
		if err := w.says(signalbox.NotHappened); err == nil || !strings.Contains(err.Error(), "is settled: it is done") {
			t.Errorf("said again: %v", err)
		}
		w.after(time.Minute)
		expect(t, "stages", w.stages(), "done:1")
		expect(t, "requests", p.requests(), "b")
		said := false
		for _, e := range w.entries() {
			said = said || e.Kind == journal.Receipt && strings.Contains(string(e.Data), "sre-lead says that it is done: seen")
		}
		if !said {
			t.Error("the journal does not say who settled it")
		}
		w.audit(p)
	})
}

// A process that ends in good order says that nothing of it is under way, and
// another's word on its home freezes one that finds it: a copy of its data.
func TestProcessSaysThatItIsAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		p := newPoints(w, signalbox.ClassC)
		w.process = one
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		expect(t, "effects", p.log(), "b")
		w.halt()
		rest, err := w.reader().RestOf(t.Context(), one.Home)
		if err != nil || rest == nil || rest.Run != one.Run || rest.Past == 0 {
			t.Fatalf("got %+v, %v", rest, err)
		}
		for _, a := range w.state().Actions {
			if a.By != one || !rest.Clears(a) {
				t.Errorf("action %s of %+v is not cleared by %+v", a.ID, a.By, rest)
			}
		}
		other := one
		other.Run = "r3"
		if err := w.reader().PutRest(t.Context(), &signalbox.Rest{Process: other}, false); err == nil {
			t.Error("a record of another run was overwritten")
		}
	})
}
