package page

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// Remediator pages owners. It is safe for concurrent use, and keeps
// connections and how much was sent with each routing key.
type Remediator struct {
	env    kind.Env
	client *http.Client
	spent  spent
}

var (
	_ signalbox.Remediator = (*Remediator)(nil)
	_ kind.Pager           = (*Remediator)(nil)
	_ kind.AckReader       = (*Remediator)(nil)
	_ kind.Noter           = (*Remediator)(nil)
)

func open(env kind.Env) (signalbox.Remediator, error) {
	env.Agent = cmp.Or(env.Agent, "signalbox")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return &Remediator{env: env, client: &http.Client{
		Transport: transport,
		// The body holds the routing key: it is sent where it was meant to go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Page sends one event, or does the same to an incident. It returns nil once
// PagerDuty has accepted it, a *signalbox.RetryAfter where PagerDuty or its limit asks to wait, and a
// *signalbox.Failure where the same event would be refused again. After any
// other error it may be sent again with the same key: the event may have been
// accepted, and is one alert with the next.
func (r *Remediator) Page(ctx context.Context, spec json.RawMessage, key string, event signalbox.PageEvent, body signalbox.PageBody) error {
	return r.page(ctx, spec, key, event, body, nil)
}

func (r *Remediator) page(ctx context.Context, spec json.RawMessage, key string, event signalbox.PageEvent, body signalbox.PageBody, gate func() error) error {
	a, err := parseAddress(spec)
	if err != nil {
		return &signalbox.Failure{Reason: "pagerduty", Err: err}
	}
	if a.byIncident() {
		return r.pageByIncident(ctx, a.API, key, event, body, gate)
	}
	routingKey, err := a.key()
	if err != nil { // it may be mounted soon, or is being replaced
		return fmt.Errorf("pagerduty: %w", err)
	}
	e, err := compose(routingKey, key, event, body)
	if err != nil {
		return &signalbox.Failure{Reason: "pagerduty", Err: err}
	}
	return r.send(ctx, a, e, gate)
}

// Preview says whom the step pages. There is nothing to find and nothing to
// take back. A routing key that can't be read refuses the step.
func (r *Remediator) Preview(_ context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f := signalbox.Forecast{
		At: r.env.Now(), Class: signalbox.ClassB,
		Targets: []signalbox.Target{signalbox.Target("page " + s.Name)},
		Reach:   "notifies " + s.Name,
	}
	a, err := parseAddress(s.Spec)
	if err == nil {
		err = a.readable()
	}
	if err != nil {
		f.Refused = err.Error()
	}
	return f, nil
}

// StepKey is the dedup key of the page that an action sends.
func StepKey(id signalbox.ActionID) string { return "signalbox-step-" + string(id) }

// Start pages the owner that the step names. Doing it again is the same alert
// while that is open.
func (r *Remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	err := r.page(ctx, a.Step.Spec, StepKey(a.ID), signalbox.PageTrigger, stepBody(a), a.Gate)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	return signalbox.Receipt{At: r.env.Now(), Detail: "PagerDuty accepted the page to " + a.Step.Name}, nil
}

// stepBody is what the owner reads. The incident's own page has the evidence.
func stepBody(a signalbox.Action) signalbox.PageBody {
	return signalbox.PageBody{
		Summary:  fmt.Sprintf("runbook of policy %s pages %s: incident %s", a.Policy, a.Step.Name, a.Incident),
		Severity: "critical",
		Source:   strings.TrimSpace("incident " + string(a.Incident)),
		At:       a.ClaimedAt,
		Evidence: []string{
			fmt.Sprintf("step %d of the runbook of policy %s", a.Index+1, a.Policy),
			fmt.Sprintf("signalboxctl explain %s", a.Incident),
		},
	}
}

// Probe knows of an action only what its receipt says: events can't be read
// back. Without one it is in doubt, which is settled by a new Start.
func (r *Remediator) Probe(_ context.Context, a signalbox.Action) (signalbox.Progress, error) {
	if !a.Receipt.At.IsZero() {
		return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: a.Receipt}, nil
	}
	return signalbox.Progress{
		Phase:  signalbox.InDoubt,
		Reason: "a page can't be read back; its key makes it safe to send it again",
	}, nil
}
