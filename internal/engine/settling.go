package engine

import (
	"context"
	"errors"
	"sync"

	signalbox "github.com/signalbox/signalbox"
)

// settling is the search for what became of one action. Some of its looks send
// (class B again, the next write of a Continuer), while a person may say what
// they saw at the target: either the word comes first, and nothing is sent after
// it, or the send does, and the word is refused until its answer is there.
type settling struct {
	cancel context.CancelFunc

	mu      sync.Mutex
	over    bool // a person's word was taken
	writing bool // a look has passed its gate, and is not back
}

// door is a gate, and the last thing in it.
func (s *settling) door(gate func() error) func() error {
	return func() error {
		if err := gate(); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.over {
			return errors.New("a person has said what became of it")
		}
		s.writing = true
		return nil
	}
}

// looked says that a look is back.
func (s *settling) looked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = false
}

// settled ends it by a person's word, unless something is being sent. Where
// nobody searches there is nothing to end.
func (s *settling) settled() bool {
	if s == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing {
		return false
	}
	s.over = true
	s.cancel()
	return true
}

// answered is what a probe tells of an action whose Start was answered with a
// receipt: that it is under way, in doubt, or ended badly takes nothing from that.
func answered(p signalbox.Progress, receipt signalbox.Receipt) signalbox.Progress {
	if p.Phase != signalbox.NotStarted && p.Receipt.At.IsZero() {
		p.Receipt = receipt
	}
	return p
}

// learn keeps in an action that goes on what its target answered: nothing is sent
// again of what was answered, and what ends badly after it had begun is no action
// without effect. That it was answered is no proof that it is under way.
func learn(a *signalbox.Action, p signalbox.Progress) {
	if !p.Receipt.At.IsZero() {
		a.Receipt = p.Receipt
	}
	if p.Phase == signalbox.Running {
		a.Stage = signalbox.Started
	}
}
