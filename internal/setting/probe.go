package setting

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// sendBound is the longest after its claim that a Start is believed to send.
// It covers class C only, where nothing at the target tells.
const sendBound = time.Minute

// Probe reads what became of an action. For class A it is certain once the
// action is sealed, or its fence is there; for class C it goes by the value,
// after the target's greatest latency.
func (r *remediator) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	sp, b, want, err := r.open(a.Step)
	if err != nil {
		return signalbox.Progress{}, err
	}
	st, err := b.read(ctx)
	var failure *signalbox.Failure
	if errors.As(err, &failure) { // it can't be seen; that says nothing of the action
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: failure.Error()}, nil
	}
	if err != nil {
		return signalbox.Progress{}, fmt.Errorf("switch %q: %w", a.Step.Name, err)
	}
	if st.class == signalbox.ClassC {
		return r.readBack(a, st, want), nil
	}
	if p, ok := r.onItsWay(a, sp, st); ok {
		return p, nil
	}
	return r.byFence(a, st, want), nil
}

func (r *remediator) byFence(a signalbox.Action, st state, want string) signalbox.Progress {
	f := st.fence
	switch {
	case st.blocked != "":
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: st.blocked}
	case f.Action == a.ID && st.value == want:
		return r.succeeded(st, fmt.Sprintf("%s is at %s", a.Step.Name, a.Step.To))
	case f.Action == a.ID:
		return r.succeeded(st, fmt.Sprintf("%s was put to %s, and someone else changed it since to %q", a.Step.Name, a.Step.To, reach.Shown(st.value)))
	case a.Forecast.Already && st.value == want:
		return r.succeeded(st, fmt.Sprintf("%s was at %s already", a.Step.Name, a.Step.To))
	case f.Sealed == a.ID && f.Token > a.Token:
		return signalbox.Progress{Phase: signalbox.NotStarted, Reason: fmt.Sprintf("it had not been written when it was sealed with token %d", f.Token)}
	case f.Token > a.Token:
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf("a later action, %s, wrote over it: what was there before can't be told", f.Action)}
	case a.Sealed > 0:
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "its seal is gone from the target"}
	case st.value == a.Forecast.Found:
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "not written yet, and not sealed: a late write may still come"}
	}
	return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf("value %q is there, without the action's fence", reach.Shown(st.value))}
}

func (r *remediator) readBack(a signalbox.Action, st state, want string) signalbox.Progress {
	earliest := a.ClaimedAt.Add(sendBound + st.latency)
	switch {
	case st.blocked != "":
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: st.blocked}
	case st.value == want:
		return r.succeeded(st, fmt.Sprintf("%s is at %s", a.Step.Name, a.Step.To))
	case st.value != a.Forecast.Found:
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf("value %q is neither the one found nor the one wanted", reach.Shown(st.value))}
	case r.now().Before(earliest):
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf("not written yet; the target may take %s", st.latency)}
	}
	return signalbox.Progress{Phase: signalbox.NotStarted, Reason: fmt.Sprintf("the value found before is still there, %s after the last moment of sending", st.latency)}
}

func (r *remediator) succeeded(st state, detail string) signalbox.Progress {
	return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{At: r.now(), Version: st.version, Detail: detail}}
}

// Seal puts token t on the target, so that a write of a that is still under
// way is refused. It does nothing where a's effect is there, or where it is
// sealed already. It calls a.Gate, where there is one, before its write. An
// error leaves a unsealed, or not known to be sealed.
func (r *remediator) Seal(ctx context.Context, a signalbox.Action, t signalbox.Token) error {
	_, b, _, err := r.open(a.Step)
	if err != nil {
		return err
	}
	if t <= a.Token {
		return fmt.Errorf("switch %q: a seal's token must be above the action's (%d), got %d", a.Step.Name, a.Token, t)
	}
	for range writeAttempts {
		st, err := b.read(ctx)
		if err != nil {
			return fmt.Errorf("switch %q: seal: %w", a.Step.Name, err)
		}
		if done, err := sealable(a, st, t); done || err != nil {
			return err
		}
		_, err = b.write(ctx, st, change{fence: st.fence.Seal(a, t)}, a.Gate)
		if errors.Is(err, reach.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("switch %q: seal: %w", a.Step.Name, err)
		}
		return nil
	}
	return fmt.Errorf("switch %q: seal: %w, %d times in a row", a.Step.Name, reach.ErrConflict, writeAttempts)
}

// sealable reports done where there is nothing left to seal.
func sealable(a signalbox.Action, st state, t signalbox.Token) (done bool, err error) {
	f := st.fence
	switch {
	case st.blocked != "":
		return false, fmt.Errorf("switch %q: can't be sealed: %s", a.Step.Name, st.blocked)
	case st.class != signalbox.ClassA:
		return false, fmt.Errorf("switch %q: can't be sealed: its target has no place for a fence (class %s)", a.Step.Name, st.class)
	case f.Action == a.ID, f.Sealed == a.ID && f.Token >= t:
		return true, nil
	case f.Token >= t:
		return false, fmt.Errorf("switch %q: can't be sealed: the fence on the target is ahead (its token is %d, the seal's %d)", a.Step.Name, f.Token, t)
	}
	return false, nil
}
