package engine_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// lab begins a world whose switch is of the class.
func lab(t *testing.T, class signalbox.Class) (*world, *points) {
	t.Helper()
	w := newWorld(t, flipPolicy())
	p := newPoints(w, class)
	w.start()
	w.after(20 * time.Second)
	return w, p
}

// stages tells the stages of all actions that the store holds.
func (w *world) stages() string {
	counts := map[signalbox.Stage]int{}
	for _, a := range w.state().Actions {
		counts[a.Stage]++
	}
	var out []string
	for _, s := range []signalbox.Stage{signalbox.Claimed, signalbox.Started, signalbox.Doubt, signalbox.Done, signalbox.Broken} {
		if counts[s] > 0 {
			out = append(out, fmt.Sprintf("%s:%d", s, counts[s]))
		}
	}
	return strings.Join(out, " ")
}

// A switch that can only be read back shows an effect later than this daemon
// is back: who looks before its greatest latency has passed throws it twice.
func TestClassCIsLookedAtOnlyAfterItsLatency(t *testing.T) {
	for _, c := range []struct {
		name string
		how  func(w *world, p *points)
	}{
		{"the answer is lost", func(w *world, _ *points) { w.after(2 * time.Second) }},
		{"the process is killed", func(w *world, p *points) {
			w.die()
			p.with(func() { p.deaf = false })
			w.start()
			w.after(2 * time.Second)
		}},
		{"it is killed twice", func(w *world, _ *points) {
			for range 2 {
				w.die()
				w.start()
				w.after(2 * time.Second)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := lab(t, signalbox.ClassC)
				p.with(func() { p.declared, p.lag, p.deaf = 30*time.Second, 20*time.Second, true })
				w.make(readsLag, "db/eu", 5)
				w.after(6 * time.Second)
				expect(t, "requests", p.requests(), "b")
				c.how(w, p)
				w.after(time.Minute)
				p.with(func() { p.deaf = false })
				expect(t, "requests", p.requests(), "b")
				expect(t, "effects", p.log(), "b")
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				expect(t, "effects, with the undo", p.log(), "b a")
				w.audit(p)
			})
		})
	}
}

// A blind switch is sent to once, and its doubt is a person's.
func TestClassDIsSentOnceAndItsDoubtIsPaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := lab(t, signalbox.ClassD)
		p.with(func() { p.deaf = true })
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		expect(t, "pages before the bound", w.pager.log(), "")
		w.after(90 * time.Second)
		expect(t, "pages within the bound", w.pager.log(), "trigger")
		if body := w.pager.last().body; !strings.Contains(body.Summary, "in doubt") {
			t.Errorf("the page must tell the doubt, got %q", body.Summary)
		}
		for range 2 {
			w.die()
			w.start()
			w.after(5 * time.Minute)
		}
		w.make(readsLag, "db/eu", 0)
		w.after(30 * time.Minute)
		expect(t, "requests, after two restarts", p.requests(), "b")
		expect(t, "pages", w.pager.log(), "trigger")
		expect(t, "stages: it stays locked until a person says", w.stages(), "doubt:1")
		w.audit(p)
	})
}

// A switch that knows the key of a request is asked again, also after a crash,
// and does it once.
func TestClassBIsSentAgainUnderItsKey(t *testing.T) {
	for _, taken := range []bool{true, false} {
		t.Run(fmt.Sprintf("taken before the crash: %t", taken), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := lab(t, signalbox.ClassB)
				p.with(func() {
					if p.deaf = taken; !taken {
						p.atDoor = w.die
					}
				})
				w.make(readsLag, "db/eu", 5)
				w.after(6 * time.Second)
				if taken {
					w.die()
				}
				p.with(func() { p.deaf, p.atDoor = false, nil })
				w.start()
				w.after(20 * time.Second)
				expect(t, "effects", p.log(), "b")
				if again := len(p.requests()) > 1; again != taken {
					t.Errorf("requests: got %q", p.requests())
				}
				expect(t, "stages", w.stages(), "done:1")
				w.audit(p)
			})
		})
	}
}

func TestLostAnswerIsSettledByLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := lab(t, signalbox.ClassA)
		p.with(func() { p.deaf = true })
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		expect(t, "requests", p.requests(), "b")
		expect(t, "stages", w.stages(), "done:1")
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		expect(t, "effects", p.log(), "b a")
		expect(t, "pages", w.pager.log(), "")
		w.audit(p)
	})
}

// A target that is away when its answer is wanted is told within the bound,
// and settled when it is back.
func TestTargetThatIsAwayIsPagedWithinTheBoundAndSettledLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := lab(t, signalbox.ClassA)
		p.with(func() { p.deaf, p.dies = true, true })
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		expect(t, "pages before the bound", w.pager.log(), "")
		w.after(90 * time.Second)
		expect(t, "pages within the bound", w.pager.log(), "trigger")
		expect(t, "stages", w.stages(), "doubt:1")
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		p.with(func() { p.down, p.deaf = false, false })
		w.after(10 * time.Minute)
		expect(t, "effects", p.log(), "b a")
		expect(t, "pages", w.pager.log(), "trigger resolve")
		w.audit(p)
	})
}

// The lease is lost between the claim and the send: the old term sends
// nothing, and the next one settles it.
func TestLeaseLostBetweenClaimAndSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := lab(t, signalbox.ClassA)
		p.with(func() {
			p.atDoor = func() {
				p.with(func() { p.atDoor = nil })
				w.store.Expire("engine")
			}
		})
		w.make(readsLag, "db/eu", 5)
		w.after(40 * time.Second)
		expect(t, "effects", p.log(), "b")
		expect(t, "stages: the first one is known to have had no effect", w.stages(), "done:1 failed:1")
		p.with(func() {
			if id := p.sends[0].id; strings.HasSuffix(string(id), "-1") {
				t.Errorf("action %s was sent after its lease was lost", id)
			}
		})
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		expect(t, "effects", p.log(), "b a")
		w.audit(p)
	})
}

func TestKillBetweenClaimAndSend(t *testing.T) {
	for _, c := range []struct {
		name       string
		kill, lift func(w *world) error
	}{
		{
			"kill file", func(w *world) error { return os.WriteFile(w.kill, nil, 0o600) },
			func(w *world) error { return os.Remove(w.kill) },
		},
		{
			"kill switch", func(w *world) error {
				return w.engine.Control(w.t.Context(), signalbox.Control{Kind: signalbox.Kill, Scope: "all", Who: "test", Reason: "test"})
			},
			func(w *world) error {
				return w.engine.Control(w.t.Context(), signalbox.Control{Kind: signalbox.Resume, Scope: "all", Who: "test", Reason: "test"})
			},
		},
		{
			"pause of its target", func(w *world) error {
				return w.engine.Control(w.t.Context(), signalbox.Control{Kind: signalbox.Pause, Scope: "target/" + string(theTarget), Who: "test", Reason: "test"})
			},
			func(w *world) error {
				return w.engine.Control(w.t.Context(), signalbox.Control{Kind: signalbox.Resume, Scope: "target/" + string(theTarget), Who: "test", Reason: "test"})
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := lab(t, signalbox.ClassA)
				p.with(func() {
					p.atDoor = func() {
						p.with(func() { p.atDoor = nil })
						if err := c.kill(w); err != nil {
							t.Error(err)
						}
					}
				})
				w.make(readsLag, "db/eu", 5)
				w.after(3 * time.Minute)
				expect(t, "requests while it is stopped", p.requests(), "")
				expect(t, "stages", w.stages(), "failed:1")
				if err := c.lift(w); err != nil {
					t.Fatal(err)
				}
				w.after(3 * time.Minute)
				expect(t, "requests after it was lifted", p.requests(), "b a")
				w.audit(p)
			})
		})
	}
}
