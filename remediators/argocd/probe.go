package argocd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// Probe reads what became of an action, and follows its operation to its end.
func (r *remediator) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	t, err := r.open(a.Step)
	if err != nil {
		return signalbox.Progress{}, err
	}
	st, err := t.read(ctx)
	var failure *signalbox.Failure
	if errors.As(err, &failure) { // it can't be seen; that says nothing of the action
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: failure.Error()}, nil
	}
	if err != nil {
		return signalbox.Progress{}, fmt.Errorf("tool %q: %w", a.Step.Name, err)
	}
	switch {
	case written(a, st):
		return r.follow(t, a, st), nil
	case a.Forecast.Already:
		return r.succeeded(st, fmt.Sprintf("%s was %s already", a.Step.Name, a.Step.To)), nil
	case st.blocked != "":
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: st.blocked}, nil
	}
	return st.fence.Unwritten(a), nil
}

// follow tells how far what was written has come.
func (r *remediator) follow(t *target, a signalbox.Action, st state) signalbox.Progress {
	op := st.Status.OperationState
	switch {
	case a.Step.To == moveRestored && st.paused():
		return signalbox.Progress{Phase: signalbox.Fell, Reason: "auto-sync was turned on, and someone else turned it off again"}
	case a.Step.To == moveRestored:
		return r.succeeded(st, "auto-sync is as it was found")
	case a.Step.To == moveTerminated:
		return r.terminated(a, st)
	case op != nil && op.Operation.of(string(a.ID)):
		return r.operation(t, a, st)
	case st.Operation.of(string(a.ID)):
		return signalbox.Progress{Phase: signalbox.Running, Reason: "its operation waits for Argo CD's controller"}
	}
	return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "it was written, and its operation is not there: " + found(&st.application)}
}

// operation judges the action's own operation.
func (r *remediator) operation(t *target, a signalbox.Action, st state) signalbox.Progress {
	op := st.Status.OperationState
	told := fmt.Sprintf("its operation is %s: %s", strings.ToLower(reach.Shown(op.Phase)), reach.Shown(op.Message))
	after := ""
	if a.Step.To == movePrevious && a.Forecast.Undo != nil {
		after = "; auto-sync is off until it is taken back"
		if st.automated() {
			after = "; auto-sync was turned on again by someone else"
			if p := st.parent(); p != "" {
				after += " (it is a part of Application " + p + ")"
			}
			after += ", and will sync forward again"
		}
	}
	switch op.Phase {
	case "Succeeded":
		return r.succeeded(st, fmt.Sprintf("%s is %s: %s%s", a.Step.Name, a.Step.To, reach.Shown(op.Message), after))
	case "Failed", "Error":
		if st.paused() && a.Forecast.Undo != nil {
			after += "; to turn it on by hand: " + t.turnOn()
		}
		return signalbox.Progress{Phase: signalbox.Fell, Receipt: r.receipt(st, told), Reason: told + after}
	}
	return signalbox.Progress{Phase: signalbox.Running, Reason: told} // also with a word that is not known
}

// terminated judges the operation that was to be stopped.
func (r *remediator) terminated(a signalbox.Action, st state) signalbox.Progress {
	op := st.Status.OperationState
	switch {
	case op == nil || "operation of "+op.Started.UTC().Format(time.RFC3339) != a.Forecast.Version:
		return r.succeeded(st, "the operation is over, and another one came")
	case op.Phase == "Running" || op.Phase == "Terminating":
		return signalbox.Progress{Phase: signalbox.Running, Reason: "the operation is " + strings.ToLower(op.Phase)}
	case op.Phase == "Succeeded":
		return signalbox.Progress{Phase: signalbox.Fell, Reason: "the operation succeeded before it could be terminated"}
	}
	return r.succeeded(st, "the operation was terminated: "+reach.Shown(op.Message))
}

func (r *remediator) succeeded(st state, detail string) signalbox.Progress {
	return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: r.receipt(st, detail)}
}

func (r *remediator) receipt(st state, detail string) signalbox.Receipt {
	return signalbox.Receipt{At: r.now(), Version: st.Metadata.ResourceVersion, Detail: detail}
}

// Seal puts token t on the Application, so that a write of a that is still under
// way is refused. It does nothing where a's effect is there, or where it is
// sealed already.
func (r *remediator) Seal(ctx context.Context, a signalbox.Action, token signalbox.Token) error {
	t, err := r.open(a.Step)
	if err != nil {
		return err
	}
	err = fence.Sealing[state]{
		Look: t.read,
		Held: func(st state) (fence.Fence, error) {
			f := st.fence
			if st.blocked != "" {
				return f, errors.New(st.blocked)
			}
			if written(a, st) { // by its operation, though the fence is another's by now
				f.Action = a.ID
			}
			return f, nil
		},
		Put: func(ctx context.Context, st state, f fence.Fence) error {
			_, err := t.write(ctx, st, f, nil, false, a.Gate)
			return err
		},
	}.Do(ctx, a, token)
	if err != nil {
		return fmt.Errorf("tool %q: %w", a.Step.Name, err)
	}
	return nil
}
