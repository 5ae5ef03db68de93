package argocd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// remediator asks for operations. It keeps connections, and no state of actions;
// it is safe for concurrent use.
type remediator struct {
	now     func() time.Time
	clients *reach.Clients
}

var (
	_ signalbox.Remediator = (*remediator)(nil)
	_ signalbox.Sealer     = (*remediator)(nil)
)

// open resolves a step.
func (r *remediator) open(s signalbox.Step) (*target, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	if moves := []string{moveSynced, movePrevious, moveTerminated, moveRestored}; !slices.Contains(moves, s.To) || (s.To == moveRestored) != (sp.Restore != nil) {
		return nil, reach.Refused("tool %q: %q is not one of %v", s.Name, s.To, moves[:3])
	}
	k, err := r.clients.Cluster(cluster.Access{Kubeconfig: sp.Kubeconfig, InCluster: sp.InCluster})
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	t, err := newTarget(sp, k)
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	return t, nil
}

// Preview reads the Application and what the daemon may do with it. What the
// API server answers for sure is Refused; when it can't be seen, that is an
// error.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	t, err := r.open(s)
	if err != nil {
		return signalbox.Forecast{}, err
	}
	st, err := t.read(ctx)
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		return signalbox.Forecast{At: r.now(), Class: signalbox.ClassA, Targets: []signalbox.Target{t.name()}, Refused: failure.Error()}, nil
	}
	if err != nil {
		return signalbox.Forecast{}, fmt.Errorf("tool %q: %w", s.Name, err)
	}
	v := t.look(st, s.To, r.now())
	if v.Refused == "" && !v.Already {
		v.Refused = t.may(ctx)
	}
	if v.Refused == "" && v.turnsOff {
		back, sp := s, t.spec
		sp.Restore = v.restore
		if back.Spec, err = json.Marshal(sp); err != nil {
			return signalbox.Forecast{}, fmt.Errorf("tool %q: undo: %w", s.Name, err)
		}
		back.To, back.If = moveRestored, ""
		v.Undo = &back
	}
	return v.Forecast, nil
}

// Start writes the operation, if what it finds is what the forecast found. An
// error is a *signalbox.Failure unless the answer to a write was lost, or an
// earlier Start of the same action, not sealed since, may still come through.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	receipt, err := r.start(ctx, a)
	return receipt, fence.InDoubt(a, err)
}

func (r *remediator) start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	t, err := r.open(a.Step)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	return fence.Writing[state]{
		Name: fmt.Sprintf("tool %q", a.Step.Name),
		Look: t.read,
		Judge: func(st state, _ bool) (signalbox.Receipt, bool, error) {
			receipt := signalbox.Receipt{At: r.now(), Version: st.Metadata.ResourceVersion}
			if written(a, st) {
				receipt.Detail = fmt.Sprintf("%s was asked to be %s before", a.Step.Name, a.Step.To)
				return receipt, true, nil
			}
			v := t.look(st, a.Step.To, r.now())
			if why := forbids(a, st, v); why != "" {
				return signalbox.Receipt{}, false, reach.Refused("tool %q: %s", a.Step.Name, why)
			}
			receipt.Detail = fmt.Sprintf("%s is %s already: nothing was written", a.Step.Name, a.Step.To)
			return receipt, v.Already, nil
		},
		Put: func(ctx context.Context, st state) (signalbox.Receipt, error) {
			v := t.look(st, a.Step.To, r.now())
			after, err := r.write(ctx, t, a, st, v)
			if err != nil {
				return signalbox.Receipt{}, err
			}
			return signalbox.Receipt{At: r.now(), Version: after.Metadata.ResourceVersion, Detail: fmt.Sprintf("%s is to be %s: %s", a.Step.Name, a.Step.To, v.Version)}, nil
		},
	}.Do(ctx)
}

// forbids says why the action must not write over what is there; empty: it may.
func forbids(a signalbox.Action, st state, v view) string {
	if v.Refused != "" {
		return v.Refused
	}
	if ahead := st.fence.Ahead(a); ahead != "" {
		return ahead
	}
	if !v.Already && v.Version != a.Forecast.Version {
		return fmt.Sprintf("it changed since the preview: it was %s, now it is %s", reach.Shown(a.Forecast.Version), reach.Shown(v.Version))
	}
	return ""
}

// write tries the change dry, and writes it.
func (r *remediator) write(ctx context.Context, t *target, a signalbox.Action, st state, v view) (state, error) {
	change := object{}
	maps.Copy(change, v.change)
	if op := v.operation(a, st); op != nil {
		change["operation"] = op
	}
	f := v.fenced(a, st)
	tried, err := t.write(ctx, st, f, change, true, nil)
	switch {
	case errors.Is(err, reach.ErrConflict):
		return state{}, err
	case err != nil:
		return state{}, reach.Unsent(err)
	case v.turnsOff && !tried.paused():
		return state{}, reach.Refused("this Argo CD does not know automated.enabled (its definition of Applications drops it): take automated out by hand before it is rolled back")
	case v.sync != nil && !tried.Operation.of(string(a.ID)):
		return state{}, reach.Refused("this Argo CD does not keep the info of an operation, by which it is followed")
	}
	return t.write(ctx, st, f, change, false, a.Gate)
}

// written reports whether the action's write is there.
func written(a signalbox.Action, st state) bool {
	if a.ID == "" {
		return false
	}
	s := st.Status.OperationState
	return st.fence.Action == a.ID || st.Operation.of(string(a.ID)) || s != nil && s.Operation.of(string(a.ID))
}
