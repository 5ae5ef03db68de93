package setting

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
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
	p := r.byFence(a, sp, st, want)
	if p.Phase != signalbox.Succeeded || st.fence.Action != a.ID || st.value != want {
		return p, nil
	}
	p, err = r.restarting(ctx, a, sp, st, p)
	if errors.As(err, &failure) {
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: failure.Error()}, nil
	}
	return p, err
}

func (r *remediator) byFence(a signalbox.Action, sp spec, st state, want string) signalbox.Progress {
	f := st.fence
	switch {
	case st.blocked != "":
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: st.blocked}
	case f.Action == a.ID && st.value == want:
		return r.settled(a, sp, st, fmt.Sprintf("%s is at %s", a.Step.Name, a.Step.To))
	case f.Action == a.ID:
		return r.succeeded(st, fmt.Sprintf("%s was put to %s, and someone else changed it since to %q", a.Step.Name, a.Step.To, reach.Shown(st.value)))
	case a.Forecast.Already && st.value == want:
		return r.settled(a, sp, st, fmt.Sprintf("%s was at %s already", a.Step.Name, a.Step.To))
	case f.Token <= a.Token && a.Sealed == 0 && st.value != a.Forecast.Found:
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf("value %q is there, without the action's fence", reach.Shown(st.value))}
	}
	return f.Unwritten(a)
}

// settled tells of a value that is there whether it counts yet. What did not get
// there stays as it is: nothing else is written.
func (r *remediator) settled(a signalbox.Action, sp spec, st state, detail string) signalbox.Progress {
	why := st.failed
	switch {
	case why == "" && st.left == "":
		return r.succeeded(st, detail)
	case why == "" && r.now().After(a.ClaimedAt.Add(sp.Env.Timeout.Std())):
		why = fmt.Sprintf("not after %s: %s", sp.Env.Timeout, st.left)
	case why == "":
		return signalbox.Progress{Phase: signalbox.Running, Reason: detail + ", and its pods are being replaced: " + st.left}
	}
	return r.fell(a, st, detail+", and its pods did not get there: "+why+"; it stays so")
}

// fell is what was written and did not come about. It has a receipt: there was an
// effect, so that nothing that it spent is given back.
func (r *remediator) fell(a signalbox.Action, st state, why string) signalbox.Progress {
	if a.Forecast.ByHand != "" {
		why += "; to take it back by hand: " + a.Forecast.ByHand
	}
	p := r.succeeded(st, why)
	p.Phase, p.Reason = signalbox.Fell, why
	return p
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
	err = fence.Sealing[state]{
		Look: b.read,
		Held: func(st state) (fence.Fence, error) {
			switch {
			case st.blocked != "":
				return st.fence, errors.New(st.blocked)
			case st.class != signalbox.ClassA:
				return st.fence, fmt.Errorf("its target has no place for a fence (class %s)", st.class)
			}
			return st.fence, nil
		},
		Put: func(ctx context.Context, st state, f fence.Fence) error {
			_, err := b.write(ctx, st, change{fence: f}, a.Gate)
			return err
		},
	}.Do(ctx, a, t)
	if err != nil {
		return fmt.Errorf("switch %q: %w", a.Step.Name, err)
	}
	return nil
}
