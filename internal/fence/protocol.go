package fence

import (
	"context"
	"errors"
	"fmt"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// The protocol of class A is the same at every target that compares and sets:
// look, judge what is there, write with the fence only if it is still so, and
// where it is not, look again. Where the answer is lost, the fence at the target
// tells; where a process may still be about to write, its successor seals.

// attempts bounds how often a write is tried again because something else on
// the same target (another key, a status) changed under it.
const attempts = 5

// Writing is one write of an action to a target of which S is a look.
type Writing[S any] struct {
	// Name is what errors call it: `switch "redis"`.
	Name string
	// Look reads the target.
	Look func(context.Context) (S, error)
	// Judge holds a look against the action: done where its effect is there or
	// nothing is to do, an error where it must not be written, else neither.
	// again: the target changed since an earlier look.
	Judge func(now S, again bool) (receipt signalbox.Receipt, done bool, err error)
	// Held is the fence that was seen: between two looks it must not change.
	// Nil: Judge sees to that.
	Held func(S) Fence
	// Put writes if the target is still as it was seen, and else returns
	// reach.ErrConflict. It asks the action's gate last thing.
	Put func(ctx context.Context, seen S) (signalbox.Receipt, error)
}

// Do writes once, or finds that nothing is left to write. An error is a
// *signalbox.Failure unless the answer to the write was lost.
func (w Writing[S]) Do(ctx context.Context) (signalbox.Receipt, error) {
	var first Fence
	for attempt := range attempts {
		seen, err := w.Look(ctx)
		if err != nil {
			return signalbox.Receipt{}, reach.Unsent(err)
		}
		if receipt, done, err := w.Judge(seen, attempt > 0); done || err != nil {
			return receipt, err
		}
		if w.Held != nil {
			held := w.Held(seen)
			if attempt == 0 {
				first = held
			}
			if held != first {
				return signalbox.Receipt{}, reach.Refused("%s: someone else wrote it at the same time", w.Name)
			}
		}
		receipt, err := w.Put(ctx, seen)
		if errors.Is(err, reach.ErrConflict) {
			continue
		}
		return receipt, err
	}
	return signalbox.Receipt{}, reach.Refused("%s: %v, %d times in a row", w.Name, reach.ErrConflict, attempts)
}

// InDoubt is the error of a Start that tried again. What surely had no effect
// this time is no failure while an earlier attempt of the same action, not sealed
// since, may still come through.
func InDoubt(a signalbox.Action, err error) error {
	var failure *signalbox.Failure
	if open := (a.Stage == signalbox.Started || a.Stage == signalbox.Doubt) && a.Sealed == 0; open && errors.As(err, &failure) {
		return fmt.Errorf("an earlier attempt is in doubt, and this one had no effect: %s", failure.Error())
	}
	return err
}

// Sealing puts a token on a target of which S is a look.
type Sealing[S any] struct {
	Look func(context.Context) (S, error)
	// Held is the fence that was seen; an error says why it can't be written over.
	Held func(S) (Fence, error)
	// Put writes the fence, and nothing else, if the target is still as it was
	// seen; else it returns reach.ErrConflict.
	Put func(ctx context.Context, seen S, f Fence) error
}

// Do seals a with token t, so that a write of it that is still under way is
// refused. It does nothing where a's effect is there, or where it is sealed
// already. An error leaves a unsealed, or not known to be sealed.
func (s Sealing[S]) Do(ctx context.Context, a signalbox.Action, t signalbox.Token) error {
	if t <= a.Token {
		return fmt.Errorf("a seal's token must be above the action's (%d), got %d", a.Token, t)
	}
	for range attempts {
		seen, err := s.Look(ctx)
		if err != nil {
			return fmt.Errorf("seal: %w", err)
		}
		f, err := s.Held(seen)
		if err != nil {
			return fmt.Errorf("can't be sealed: %w", err)
		}
		if done, err := f.Sealable(a, t); done || err != nil {
			return err
		}
		err = s.Put(ctx, seen, f.Seal(a, t))
		if errors.Is(err, reach.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("seal: %w", err)
		}
		return nil
	}
	return fmt.Errorf("seal: %w, %d times in a row", reach.ErrConflict, attempts)
}

// Unwritten is what the fence tells of an action that did not write it: surely
// no effect where it was sealed, and a doubt else.
func (f Fence) Unwritten(a signalbox.Action) signalbox.Progress {
	p := signalbox.Progress{Phase: signalbox.InDoubt}
	switch {
	case f.Sealed == a.ID && f.Token > a.Token:
		p.Phase, p.Reason = signalbox.NotStarted, fmt.Sprintf("it had not been written when it was sealed with token %d", f.Token)
	case f.Token > a.Token:
		p.Reason = fmt.Sprintf("a later action, %s, wrote over it: what was there before can't be told", f.Action)
	case a.Sealed > 0:
		p.Reason = "its seal is gone from the target"
	default:
		p.Reason = "not written yet, and not sealed: a late write may still come"
	}
	return p
}

// In reads the fence that an object's annotation holds; blocked says why it must
// not be written over, with the command that hands the object back.
func In(annotations map[string]string, name, handBack string) (f Fence, blocked string) {
	raw, there := annotations[name]
	if !there {
		return Fence{}, ""
	}
	f, err := Parse([]byte(raw))
	if err != nil {
		return Fence{}, fmt.Sprintf("annotation %s %v; to hand it back: %s", name, err, handBack)
	}
	return f, ""
}
