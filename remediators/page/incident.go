package page

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/pagetext"
)

// mostDetails is how many characters of an incident's details are sent.
const mostDetails = 32 << 10

// reference names something of PagerDuty's.
type reference struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Summary string `json:"summary,omitempty"`
}

// incident is what is read of an incident.
type incident struct {
	ID               string    `json:"id"`
	Key              string    `json:"incident_key"`
	Status           string    `json:"status"` // triggered, acknowledged or resolved
	Service          reference `json:"service"`
	Acknowledgements []struct {
		At string    `json:"at"`
		By reference `json:"acknowledger"`
	} `json:"acknowledgements"`
	ResponderRequests []struct {
		Message string `json:"message"`
	} `json:"responder_requests"`
}

// newIncident is what an incident is opened with.
type newIncident struct {
	Type             string    `json:"type"`
	Title            string    `json:"title"`
	Service          reference `json:"service"`
	EscalationPolicy reference `json:"escalation_policy"`
	Key              string    `json:"incident_key"`
	Urgency          string    `json:"urgency"`
	Body             details   `json:"body"`
}

type details struct {
	Type    string `json:"type"`
	Details string `json:"details"`
}

// pageByIncident does to an incident what an event does to an alert. PagerDuty
// refuses a second open incident of the same incident_key on a service, so a
// trigger whose answer was lost is tried again with the same key.
func (r *Remediator) pageByIncident(ctx context.Context, p *api, key string, event signalbox.PageEvent, body signalbox.PageBody, gate func() error) error {
	if err := check(key, event); err != nil {
		return &signalbox.Failure{Reason: "pagerduty", Err: err}
	}
	open, err := r.find(ctx, p, key, "triggered", "acknowledged")
	if err != nil {
		return err
	}
	switch {
	case event == signalbox.PageTrigger && open == nil:
		return r.openIncident(ctx, p, key, body, gate)
	case event == signalbox.PageTrigger, open == nil: // it is there, or nothing is open
		return nil
	case event == signalbox.PageAcknowledge && open.Status == "acknowledged":
		return nil
	}
	status := map[signalbox.PageEvent]string{signalbox.PageAcknowledge: "acknowledged", signalbox.PageResolve: "resolved"}[event]
	err = r.call(ctx, p, call{
		method: http.MethodPut, path: "/incidents/" + url.PathEscape(open.ID), gate: gate,
		body: map[string]any{"incident": map[string]string{"type": "incident_reference", "status": status}},
	})
	return refused(err, "the change is refused", http.StatusBadRequest, http.StatusRequestEntityTooLarge)
}

func (r *Remediator) openIncident(ctx context.Context, p *api, key string, body signalbox.PageBody, gate func() error) error {
	err := r.call(ctx, p, call{
		method: http.MethodPost, path: "/incidents", gate: gate,
		body: map[string]any{"incident": newIncident{
			Type: "incident", Title: summary(body), Key: key, Urgency: urgency(body.Severity),
			Service:          reference{ID: p.Service, Type: "service_reference"},
			EscalationPolicy: reference{ID: p.EscalationPolicy, Type: "escalation_policy_reference"},
			Body:             details{Type: "incident_body", Details: pagetext.Text(body, mostDetails)},
		}},
	})
	if statusOf(err) == http.StatusBadRequest {
		// Another attempt's incident may have been opened meanwhile.
		if strings.Contains(err.Error(), "already exists") {
			return nil
		}
		if open, look := r.find(ctx, p, key, "triggered", "acknowledged"); look == nil && open != nil {
			return nil
		}
	}
	return refused(err, "the incident is refused", http.StatusBadRequest, http.StatusRequestEntityTooLarge)
}

// urgency is how loudly PagerDuty notifies. What is not known is taken as
// high: a page is never lowered by a mistake.
func urgency(s string) string {
	if s == "warning" || s == "info" {
		return "low"
	}
	return "high"
}

// find returns the newest incident of a key, of the statuses where some are
// given; nil: there is none. Where pages are incidents on a service, those of
// other services are not ours.
func (r *Remediator) find(ctx context.Context, p *api, key string, statuses ...string) (*incident, error) {
	q := url.Values{"incident_key": {key}, "date_range": {"all"}, "sort_by": {"created_at:desc"}, "limit": {"25"}}
	for _, s := range statuses {
		q.Add("statuses[]", s)
	}
	var list struct {
		Incidents *[]incident `json:"incidents"`
	}
	if err := r.call(ctx, p, call{method: http.MethodGet, path: "/incidents", query: q, into: &list}); err != nil {
		return nil, err
	}
	if list.Incidents == nil {
		return nil, fmt.Errorf("pagerduty: answered without a list of incidents; is something else at this api_url?")
	}
	for i, in := range *list.Incidents {
		if in.Key == key && (p.Service == "" || in.Service.ID == p.Service) {
			return &(*list.Incidents)[i], nil
		}
	}
	return nil, nil
}

// apiOf is the REST API of a spec; nil: the owner has no API key.
func apiOf(spec json.RawMessage) (*api, error) {
	a, err := parseAddress(spec)
	if err != nil {
		return nil, &signalbox.Failure{Reason: "pagerduty", Err: err}
	}
	return a.API, nil
}

// Acks returns which of keys have an open incident that a person acknowledged,
// and who. An acknowledgement by a service, which an event of ours is, is none.
// Without an API key none can be read, which is no error. After an error, what was read until then is returned with it.
func (r *Remediator) Acks(ctx context.Context, spec json.RawMessage, keys []string) (map[string]signalbox.Control, error) {
	p, err := apiOf(spec)
	if err != nil || p == nil {
		return nil, err
	}
	acks := map[string]signalbox.Control{}
	for _, key := range keys {
		in, err := r.find(ctx, p, key, "acknowledged")
		if err != nil {
			return acks, err
		}
		if in == nil {
			continue
		}
		for _, a := range in.Acknowledgements {
			if a.By.Type != "user" && a.By.Type != "user_reference" {
				continue
			}
			at, err := time.Parse(time.RFC3339, a.At)
			if err != nil {
				at = r.env.Now()
			}
			acks[key] = signalbox.Control{
				Kind: signalbox.Acknowledge, Scope: "page/" + key, Who: who(a.By), Reason: "acknowledged in PagerDuty", At: at,
			}
			break
		}
	}
	return acks, nil
}

// who is a person as PagerDuty names them.
func who(u reference) string {
	if name := plain(u.Summary, mostSource); name != "" {
		return name
	}
	return "PagerDuty user " + plain(u.ID, mostSource)
}
