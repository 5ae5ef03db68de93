package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// stairs is a switch whose throw takes three more writes.
type stairs struct {
	*points
	mu    sync.Mutex
	steps []signalbox.ActionID // whose writes came, in order
	lost  bool                 // answers are lost
	// atStep runs before the gate is asked.
	atStep func()
}

const flight = 3

func newStairs(w *world) *stairs {
	s := &stairs{points: newPoints(w, signalbox.ClassA)}
	w.set.Remediators["endpoint"] = s
	return s
}

func (s *stairs) climbed(id signalbox.ActionID) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, step := range s.steps {
		if step == id {
			n++
		}
	}
	return n
}

// Probe implements signalbox.Remediator.
func (s *stairs) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	p, err := s.points.Probe(ctx, a)
	if err == nil && p.Phase == signalbox.Succeeded && a.Undoes == "" && s.climbed(a.ID) < flight {
		return signalbox.Progress{Phase: signalbox.Running, Next: true, Reason: "on its way up"}, nil
	}
	return p, err
}

// Continue implements signalbox.Continuer. What it finds at the target is how
// far it has come.
func (s *stairs) Continue(_ context.Context, a signalbox.Action) error {
	if s.climbed(a.ID) >= flight {
		return nil
	}
	if s.atStep != nil {
		s.atStep()
	}
	if err := a.Gate(); err != nil {
		return &signalbox.Failure{Reason: "not sent", Err: err}
	}
	token, ahead := max(a.Token, a.Sealed), false
	s.with(func() {
		ahead = s.fence > token
		s.fence = max(s.fence, token)
	})
	if ahead {
		return &signalbox.Failure{Reason: "the fence is ahead"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, a.ID)
	if s.lost {
		return errors.New("answer lost")
	}
	return nil
}

// Work of several writes is taken up where it stands, whatever commit its
// process is killed after, and however its answers get lost.
func TestContinuesAcrossKills(t *testing.T) {
	for _, lost := range []bool{false, true} {
		killedAnywhere(t, func(t *testing.T, n int) (reached bool) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, runs(on("one", signalbox.Flow{})))
				w.quiet = true
				s := newStairs(w)
				s.lost = lost
				reached = w.ineffective(n)
				if got := s.climbed(forward(t, w)); got != flight || s.log() != "b a" {
					t.Errorf("killed after commit %d, answers lost: %t: %d writes, positions %q", n, lost, got, s.log())
				}
				w.audit(s.points)
				w.halt()
			})
			return reached
		})
	}
}

// forward is the action that threw the switch.
func forward(t *testing.T, w *world) signalbox.ActionID {
	t.Helper()
	for id, a := range w.state().Actions {
		if a.Undoes == "" && a.Stage == signalbox.Done {
			return id
		}
	}
	t.Fatal("nothing was done")
	return ""
}

// Each write of it passes the last check: a pause holds the next one, and it
// goes on when that is lifted.
func TestContinueAsksTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runs(on("one", signalbox.Flow{})))
		w.quiet = true
		s := newStairs(w)
		s.atStep = sync.OnceFunc(func() {
			if err := w.engine.Control(t.Context(), signalbox.Control{Kind: signalbox.Pause, Scope: "all", Who: "test", Reason: "test"}); err != nil {
				t.Error(err)
			}
		})
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		s.mu.Lock()
		got := len(s.steps)
		s.mu.Unlock()
		if got > 0 {
			t.Fatalf("%d writes under a pause", got)
		}
		if err := w.engine.Control(t.Context(), signalbox.Control{Kind: signalbox.Resume, Scope: "all", Who: "test"}); err != nil {
			t.Fatal(err)
		}
		w.after(2 * time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.steps) != flight {
			t.Errorf("got %d writes, want %d", len(s.steps), flight)
		}
		w.halt()
	})
}
