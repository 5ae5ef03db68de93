package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// remediator dispatches and cancels workflows. It keeps connections, and no
// state of actions; it is safe for concurrent use.
type remediator struct {
	now     func() time.Time
	clients *reach.Clients
}

var _ signalbox.Remediator = (*remediator)(nil)

// open resolves a step.
func (r *remediator) open(s signalbox.Step) (*hub, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	possible := (&Settings{Ref: sp.Ref, RefFrom: sp.RefFrom, Stable: sp.Stable, Cancel: sp.Cancel}).moves()
	if !slices.Contains(possible, s.To) {
		return nil, reach.Refused("tool %q: %q is not one of %v", s.Name, s.To, possible)
	}
	client, err := r.clients.HTTP(sp.Client)
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	return &hub{spec: sp, client: client, now: r.now}, nil
}

// Preview reads what the move depends on. What GitHub answers for sure (not
// there, not allowed) is Refused; when it can't be seen, that is an error.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	h, err := r.open(s)
	if err != nil {
		return signalbox.Forecast{}, err
	}
	v, err := h.look(ctx, s.To)
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		v.Refused = failure.Error()
		if len(v.Targets) == 0 {
			v.Targets = []signalbox.Target{signalbox.Target("workflow " + h.spec.Owner + "/" + h.spec.Repository + " " + h.spec.Workflow)}
		}
		return v.Forecast, nil
	}
	if err != nil {
		return signalbox.Forecast{}, fmt.Errorf("tool %q: %w", s.Name, err)
	}
	return v.Forecast, nil
}

// Start sends one request, and never a second one: an action that was perhaps
// sent is left to Probe.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	h, err := r.open(a.Step)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	if a.Stage == signalbox.Started || a.Stage == signalbox.Doubt {
		return signalbox.Receipt{}, errors.New("it may have been sent before, and is not sent twice")
	}
	if a.Step.To != moveCancelled {
		runs, _, err := h.dispatches(ctx, 1)
		if err != nil {
			return signalbox.Receipt{}, reach.Unsent(err)
		}
		for i := range runs {
			if runs[i].bears(string(a.ID)) {
				return r.receipt(&runs[i], "was dispatched before"), nil
			}
		}
	}
	v, err := h.look(ctx, a.Step.To)
	switch {
	case err != nil:
		return signalbox.Receipt{}, reach.Unsent(err)
	case v.Refused != "":
		return signalbox.Receipt{}, reach.Refused("tool %q: %s", a.Step.Name, v.Refused)
	case v.Already:
		return signalbox.Receipt{At: r.now(), Detail: v.Found + ": nothing was sent"}, nil
	case v.Version != a.Forecast.Version:
		return signalbox.Receipt{}, reach.Refused("tool %q: it changed since the preview: it was %s, now it is %s", a.Step.Name, reach.Shown(a.Forecast.Version), reach.Shown(v.Version))
	case v.NeedsApproval != "" && a.Forecast.NeedsApproval == "":
		return signalbox.Receipt{}, reach.Refused("tool %q: since the preview it needs a person's approval: %s", a.Step.Name, v.NeedsApproval)
	}
	if a.Step.To == moveCancelled {
		return r.cancel(ctx, h, a, &v.run)
	}
	return r.dispatch(ctx, h, a, v)
}

// dispatch asks the last check, and sends the dispatch with the action's id.
func (r *remediator) dispatch(ctx context.Context, h *hub, a signalbox.Action, v view) (signalbox.Receipt, error) {
	inputs := maps.Clone(v.inputs)
	if inputs == nil {
		inputs = map[string]string{}
	}
	inputs[h.spec.ActionIn] = string(a.ID)
	body := map[string]any{"ref": v.ref, "inputs": inputs}
	if h.spec.RunDetails {
		body["return_run_details"] = true
	}
	if err := reach.Pass(ctx, a.Gate); err != nil {
		return signalbox.Receipt{}, err
	}
	var answer dispatched
	status, err := h.send(ctx, http.MethodPost, []string{"actions", "workflows", h.spec.Workflow, "dispatches"}, nil, body, &answer)
	switch {
	case status == http.StatusOK && err == nil && answer.ID > 0:
		return r.receipt(&run{ID: answer.ID, Branch: v.ref}, "was dispatched"), nil
	case status == http.StatusOK, status == http.StatusNoContent, status == http.StatusAccepted: // taken, without its id
		return signalbox.Receipt{At: r.now(), Detail: fmt.Sprintf("%s was dispatched at %s", h.spec.Workflow, v.ref)}, nil
	case err == nil:
		return signalbox.Receipt{}, fmt.Errorf("the dispatch was answered %d", status)
	}
	return signalbox.Receipt{}, err
}

// cancel asks the last check, and asks GitHub to cancel one run.
func (r *remediator) cancel(ctx context.Context, h *hub, a signalbox.Action, open *run) (signalbox.Receipt, error) {
	if err := reach.Pass(ctx, a.Gate); err != nil {
		return signalbox.Receipt{}, err
	}
	status, err := h.send(ctx, http.MethodPost, []string{"actions", "runs", strconv.FormatInt(open.ID, 10), "cancel"}, nil, nil, nil)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("the cancelling was answered %d", status)
	}
	if err != nil {
		return signalbox.Receipt{}, err
	}
	return r.receipt(open, "is being cancelled"), nil
}

// receipt names a run, by whose id it is followed.
func (r *remediator) receipt(of *run, what string) signalbox.Receipt {
	return signalbox.Receipt{At: r.now(), Version: strconv.FormatInt(of.ID, 10), Detail: fmt.Sprintf("run %d of %s %s", of.ID, plain(of.Branch), what)}
}

// dispatches lists the runs of the workflow that were dispatched.
func (h *hub) dispatches(ctx context.Context, pages int) ([]run, bool, error) {
	return h.runs(ctx, h.spec.Workflow, pages, url.Values{"event": {"workflow_dispatch"}})
}
