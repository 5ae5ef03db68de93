package throttle

import (
	"context"
	"encoding/json"
	"fmt"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/setting"
)

// remediator is the rules of a throttle over a setting. It is safe for
// concurrent use.
type remediator struct{ inner signalbox.Remediator }

var (
	_ signalbox.Remediator = (*remediator)(nil)
	_ signalbox.Sealer     = (*remediator)(nil)
	_ signalbox.Continuer  = (*remediator)(nil)
)

// Preview reads the limit, and refuses to raise it.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	sp, err := parse(s.Spec)
	if err != nil {
		return signalbox.Forecast{}, reach.Refused("throttle %q: %v", s.Name, err)
	}
	f, err := r.inner.Preview(ctx, inside(s, sp))
	if err != nil || sp.Lifts {
		return f, err
	}
	f.Expires = signalbox.Duration(sp.Expires)
	if f.Refused == "" {
		f.Refused = sp.raises(s, f)
	}
	if f.Refused == "" && !f.Already && f.Class != signalbox.ClassA {
		f.Refused = "the target has no place for the fence, by which a restoration in steps is followed: see the page of the endpoint kind"
	}
	if f.Refused != "" || f.Undo == nil {
		f.Undo = nil
		return f, nil
	}
	f.Undo, err = sp.lifting(s, f)
	return f, err
}

// raises says why a step would not lower the limit; empty: it does, or the limit
// is there already.
func (s spec) raises(step signalbox.Step, f signalbox.Forecast) string {
	if found, to := s.rank(f.Position), s.rank(step.To); found >= to {
		return ""
	}
	return fmt.Sprintf("the limit is at %s (%s) already, which is below %s: a throttle only lowers", f.Position, f.Found, step.To)
}

// lifting is the step that lifts what a throw lowers, in steps.
func (s spec) lifting(step signalbox.Step, f signalbox.Forecast) (*signalbox.Step, error) {
	raw, err := setting.InStages(f.Undo.Spec, s.between(step.To, f.Position), s.Every.Std())
	if err != nil {
		return nil, fmt.Errorf("throttle %q: undo: %w", step.Name, err)
	}
	s.Setting, s.Lifts = raw, true
	back := *f.Undo
	back.Lifts = true
	back.Spec, err = json.Marshal(s)
	return &back, err
}

// inside is the step as package setting knows it.
func inside(s signalbox.Step, sp spec) signalbox.Step {
	s.Spec = sp.Setting
	return s
}

// action is the same action, as package setting knows it.
func action(a signalbox.Action) (signalbox.Action, spec, error) {
	sp, err := parse(a.Step.Spec)
	if err != nil {
		return a, sp, reach.Refused("throttle %q: %v", a.Step.Name, err)
	}
	a.Step = inside(a.Step, sp)
	return a, sp, nil
}

// Start lowers the limit, or begins to lift it.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	in, sp, err := action(a)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	if why := sp.raises(a.Step, a.Forecast); why != "" && !sp.Lifts {
		return signalbox.Receipt{}, reach.Refused("throttle %q: %s", a.Step.Name, why)
	}
	return r.inner.Start(ctx, in)
}

// Probe tells how far the action has come.
func (r *remediator) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	in, _, err := action(a)
	if err != nil {
		return signalbox.Progress{}, err
	}
	return r.inner.Probe(ctx, in)
}

// Seal shuts a late write out.
func (r *remediator) Seal(ctx context.Context, a signalbox.Action, t signalbox.Token) error {
	in, _, err := action(a)
	if err != nil {
		return err
	}
	return r.inner.(signalbox.Sealer).Seal(ctx, in, t)
}

// Continue lifts the limit by one step, if that is due.
func (r *remediator) Continue(ctx context.Context, a signalbox.Action) error {
	in, _, err := action(a)
	if err != nil {
		return err
	}
	return r.inner.(signalbox.Continuer).Continue(ctx, in)
}
