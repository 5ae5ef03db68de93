package terraform

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// Start sets the variable, and has a run planned. It is a *signalbox.Failure
// only where not even the variable was set.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	l, err := r.open(a.Step)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	sc, err := l.look(ctx, a.ClaimedAt)
	if err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	}
	if mine := sc.of(a.ID); mine != nil {
		return signalbox.Receipt{At: r.now(), Version: mine.ID, Detail: "run " + mine.ID + " was made before"}, nil
	}
	if reason := l.forbids(&sc, a); reason != "" {
		return signalbox.Receipt{}, reach.Refused("switch %q: %s", a.Step.Name, reason)
	}
	if sc.value() == l.want && a.Forecast.Already {
		return signalbox.Receipt{At: r.now(), Detail: fmt.Sprintf("%s is at %s already: nothing was written", a.Step.Name, a.Step.To)}, nil
	}
	if sc.value() != l.want {
		if err := l.set(ctx, &sc, a.Gate); err != nil {
			return signalbox.Receipt{}, err
		}
	}
	id, err := l.queue(ctx, &sc, a)
	if err != nil { // the variable is set: the rest is Continue's
		doubt := errors.New("the variable is set, and the run is still to be made: " + err.Error())
		if wait, ok := errors.AsType[*signalbox.RetryAfter](err); ok {
			return signalbox.Receipt{}, reach.Later(wait.After, doubt)
		}
		return signalbox.Receipt{}, doubt
	}
	return signalbox.Receipt{At: r.now(), Version: id, Detail: fmt.Sprintf("%s was set to %s (was %s), run %s", a.Step.Name, a.Step.To, a.Forecast.Position, l.link(id))}, nil
}

// forbids says why a fresh look forbids to begin; empty: nothing does. The value
// wanted may be there already: an earlier Start of the same action came so far.
func (l *lever) forbids(s *scene, a signalbox.Action) string {
	if reason := l.unfit(s); reason != "" {
		return reason
	}
	switch {
	case s.value() != a.Forecast.Found && s.value() != l.want:
		return fmt.Sprintf("the value changed since the preview: it was %q, now it is %q", reach.Shown(a.Forecast.Found), reach.Shown(s.value()))
	case l.position(s.value()) == "":
		return fmt.Sprintf("value %q is not one of the listed positions", reach.Shown(s.value()))
	case s.value() == a.Forecast.Found && s.variable.Attributes.Version != a.Forecast.Version:
		return "the variable was written since the preview"
	}
	return l.occupied(s)
}

// document is JSON:API's envelope of a write.
type document struct {
	Data resource `json:"data"`
}

type resource struct {
	Type          string         `json:"type"`
	Attributes    map[string]any `json:"attributes"`
	Relationships map[string]any `json:"relationships,omitempty"`
}

// set writes the variable.
func (l *lever) set(ctx context.Context, s *scene, gate func() error) error {
	_, err := l.api.Do(ctx, reach.Exchange{
		What: "set the variable", Method: http.MethodPatch, Path: "api/v2/workspaces/" + s.ws.ID + "/vars/" + s.variable.ID,
		Body:  document{Data: resource{Type: "vars", Attributes: map[string]any{"value": l.want}}},
		Write: true, Gate: gate,
	}, nil)
	return err
}

// queue makes the run. It applies nothing by itself, whatever the workspace's
// own setting is.
func (l *lever) queue(ctx context.Context, s *scene, a signalbox.Action) (string, error) {
	message := fmt.Sprintf("%s to %s %s", l.name, l.to, marker(a.ID))
	var made struct{ Data run }
	_, err := l.api.Do(ctx, reach.Exchange{
		What: "make a run", Method: http.MethodPost, Path: "api/v2/runs",
		Body: document{Data: resource{
			Type:          "runs",
			Attributes:    map[string]any{"message": message, "is-destroy": false, "auto-apply": false, "plan-only": false},
			Relationships: map[string]any{"workspace": one{Data: &identity{ID: s.ws.ID, Type: "workspaces"}}},
		}},
		Write: true, Gate: a.Gate,
	}, &made)
	if err != nil {
		return "", err
	}
	if !plainName.MatchString(made.Data.ID) {
		return "", errors.New("terraform: make a run: the answer has no id")
	}
	return made.Data.ID, nil
}

// end applies or discards a run.
func (l *lever) end(ctx context.Context, r *run, what, comment string, gate func() error) error {
	_, err := l.api.Do(ctx, reach.Exchange{
		What: what + " the run", Method: http.MethodPost, Path: "api/v2/runs/" + r.ID + "/actions/" + what,
		Body: map[string]string{"comment": comment}, Write: true, Gate: gate,
	}, nil)
	return err
}

// Continue does the write that is next: the run, or its end, by a plan that is
// read again here. It looks first, so that what was done is not done twice.
func (r *remediator) Continue(ctx context.Context, a signalbox.Action) error {
	l, err := r.open(a.Step)
	if err != nil {
		return err
	}
	sc, err := l.look(ctx, a.ClaimedAt)
	if err != nil {
		return err
	}
	d := l.decide(ctx, &sc, a)
	switch d.next {
	case nextQueue:
		_, err = l.queue(ctx, &sc, a)
	case nextApply:
		err = l.end(ctx, d.run, "apply", "the plan was checked "+marker(a.ID), a.Gate)
	case nextDiscard:
		err = l.end(ctx, d.run, "discard", d.why+" "+marker(a.ID), a.Gate)
	}
	return err
}
