package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/workload"
)

// remediator works on workloads, pods and nodes. It keeps connections, and no
// state of actions; it is safe for concurrent use.
type remediator struct {
	now     func() time.Time
	clients *reach.Clients
}

var (
	_ signalbox.Remediator = (*remediator)(nil)
	_ signalbox.Sealer     = (*remediator)(nil)
)

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("rollout: a clock must be given")
	}
	return &remediator{now: env.Now, clients: reach.NewClients(env.Agent, env.Log)}, nil
}

// work is a step resolved: what it is about, and how that is done.
type work interface {
	preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error)
	start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error)
	probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error)
	seal(ctx context.Context, a signalbox.Action, t signalbox.Token) error
}

// open resolves a step.
func (r *remediator) open(s signalbox.Step) (work, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	k, err := r.clients.Cluster(sp.access())
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	api, err := k.Objects()
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	if sp.Evict != nil {
		return &eviction{now: r.now, spec: sp, api: api}, nil
	}
	g, err := aimOf(sp, s.To)
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	p := workload.At(api, kindNode, "", "")
	if sp.Cordon != nil {
		if p.Name, err = chosen(*sp.Cordon, s, "node"); err != nil {
			return nil, reach.Refused("tool %q: %v", s.Name, err)
		}
	} else {
		p = workload.At(api, sp.Workload.Kind, sp.Namespace, sp.Workload.Name)
	}
	m := &moving{place: p, now: r.now, spec: sp, aim: g}
	if g.aspect == aspectAbort {
		return &aborting{m}, nil
	}
	return m, nil
}

// chosen is the name that a label of the incident gives. Whether it is one of
// those that the selector allows is looked up before anything is done.
func chosen(c chosenSpec, s signalbox.Step, what string) (string, error) {
	if c.Name != "" {
		return c.Name, nil
	}
	name := ""
	if s.About != nil {
		name = s.About.Labels[c.Label]
	}
	if name == "" {
		return "", fmt.Errorf("the incident has no label %q, which names the %s", c.Label, what)
	}
	if !validName(name) {
		return "", fmt.Errorf("the incident's label %q is not the name of a %s: %q", c.Label, what, reach.Shown(name))
	}
	return name, nil
}

// matches reports whether an object with these labels may be chosen.
func (c chosenSpec) matches(of map[string]string) bool {
	s, err := labels.Parse(c.Selector)
	return err == nil && !s.Empty() && s.Matches(labels.Set(of))
}

// Preview reads what the move would change and what forbids it.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	w, err := r.open(s)
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		return signalbox.Forecast{At: r.now(), Class: signalbox.ClassA, Refused: failure.Error()}, nil
	}
	if err != nil {
		return signalbox.Forecast{}, err
	}
	return w.preview(ctx, s)
}

// Start does the move, if what it finds is what the forecast found, and nobody
// else has a hand on it. An error is a *signalbox.Failure unless the answer to a
// write was lost, or an earlier Start of the same action, not sealed since, may
// still come through.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	w, err := r.open(a.Step)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	receipt, err := w.start(ctx, a)
	return receipt, fence.InDoubt(a, err)
}

// Probe reads what became of the move, and how far the workload has come.
func (r *remediator) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	w, err := r.open(a.Step)
	if err != nil {
		return signalbox.Progress{}, err
	}
	p, err := w.probe(ctx, a)
	var failure *signalbox.Failure
	if errors.As(err, &failure) { // it can't be seen; that says nothing of the action
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: failure.Error()}, nil
	}
	return p, err
}

// Seal puts token t on the object, so that a write of a that is still under way
// is refused.
func (r *remediator) Seal(ctx context.Context, a signalbox.Action, t signalbox.Token) error {
	w, err := r.open(a.Step)
	if err != nil {
		return err
	}
	if err := w.seal(ctx, a, t); err != nil {
		return fmt.Errorf("tool %q: %w", a.Step.Name, err)
	}
	return nil
}
