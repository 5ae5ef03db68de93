package pagerduty

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

func withBody(ctx context.Context, body []byte) context.Context {
	return context.WithValue(ctx, bodyKey{}, body)
}

type ref struct{ ID, Type string }

func reference(id, kind, summary string) map[string]any {
	return map[string]any{"id": id, "type": kind, "summary": summary, "self": nil, "html_url": nil}
}

func (a Agent) reference() map[string]any {
	if a.Person {
		return reference(a.ID, "user_reference", a.Name)
	}
	return reference(a.ID, "service_reference", a.Name)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// shown is an incident as the REST API has it.
func (s *Server) shown(i *Incident) map[string]any {
	acks, requests := []any{}, []any{}
	for _, a := range i.Acks {
		acks = append(acks, map[string]any{"at": stamp(a.At), "acknowledger": a.By.reference()})
	}
	for _, q := range i.Requests {
		requests = append(requests, i.request(q))
	}
	last := i.Log[len(i.Log)-1]
	return map[string]any{
		"id": i.ID, "type": "incident", "summary": i.Title, "self": nil, "html_url": nil, "title": i.Title,
		"incident_key": i.DedupKey, "status": i.Status, "urgency": i.Urgency, "created_at": stamp(i.At),
		"service":           reference(i.Service, "service_reference", ""),
		"escalation_policy": reference(i.EscalationPolicy, "escalation_policy_reference", ""),
		"assignments":       []any{}, "assigned_via": "escalation_policy", "acknowledgements": acks, "responder_requests": requests,
		"last_status_change_at": stamp(last.At), "last_status_change_by": last.By.reference(),
	}
}

func (i *Incident) request(q ResponderRequest) map[string]any {
	targets := []any{}
	for _, t := range q.Targets {
		targets = append(targets, map[string]any{"id": t, "type": "user"})
	}
	return map[string]any{
		"incident": reference(i.ID, "incident_reference", i.Title), "requester": reference(q.Requester, "user_reference", ""),
		"requested_at": stamp(q.At), "message": q.Message, "responder_request_targets": targets,
	}
}

func (n Said) note() map[string]any {
	return map[string]any{"id": n.ID, "content": n.Text, "created_at": stamp(n.At), "user": n.By.reference(), "channel": map[string]any{"summary": "The PagerDuty website or APIs"}}
}

func (s *Server) getNotes(_ *http.Request, _ []byte, i *Incident) (int, any) {
	list := []any{}
	for _, n := range i.Notes {
		list = append(list, n.note())
	}
	return http.StatusOK, map[string]any{"notes": list}
}

func (s *Server) postNote(r *http.Request, body []byte, i *Incident) (int, any) {
	var in struct{ Note struct{ Content string } }
	if err := json.Unmarshal(body, &in); err != nil || in.Note.Content == "" {
		return invalid("Content can't be empty")
	}
	n := Said{ID: fmt.Sprintf("PN%06d", len(i.Notes)+1), Text: in.Note.Content, By: requester(r), At: s.o.Now()}
	i.Notes = append(i.Notes, n)
	s.log(i, "annotate", n.By)
	s.post(i, "incident.annotated", n.By)
	return http.StatusOK, map[string]any{"note": n.note()}
}

func (s *Server) postUpdate(r *http.Request, body []byte, i *Incident) (int, any) {
	var in struct{ Message string }
	if err := json.Unmarshal(body, &in); err != nil || in.Message == "" {
		return invalid("Message can't be empty")
	}
	u := Said{ID: fmt.Sprintf("PT%06d", len(i.Updates)+1), Text: in.Message, By: requester(r), At: s.o.Now()}
	i.Updates = append(i.Updates, u)
	s.post(i, "incident.status_update_published", u.By)
	return http.StatusOK, map[string]any{"status_update": map[string]any{
		"id": u.ID, "message": u.Text, "created_at": stamp(u.At), "sender": u.By.reference(),
	}}
}

func (s *Server) postRequest(r *http.Request, body []byte, i *Incident) (int, any) {
	if s.o.NoResponders {
		return http.StatusForbidden, wrong(2010, "Access Denied", "The account does not have the coordinated_responding ability")
	}
	var in struct {
		Message   string
		Requester string `json:"requester_id"`
		Targets   []struct {
			Target ref `json:"responder_request_target"`
		} `json:"responder_request_targets"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Message == "" || in.Requester == "" || len(in.Targets) == 0 {
		return invalid("message, requester_id and responder_request_targets are needed")
	}
	q := ResponderRequest{Message: in.Message, Requester: in.Requester, At: s.o.Now()}
	for _, t := range in.Targets {
		if t.Target.ID == "" || t.Target.Type != "user_reference" && t.Target.Type != "escalation_policy_reference" {
			return invalid("each target must have an id and a type")
		}
		q.Targets = append(q.Targets, t.Target.ID)
	}
	i.Requests = append(i.Requests, q)
	s.post(i, "incident.responder.added", requester(r))
	return http.StatusOK, map[string]any{"responder_request": i.request(q)}
}

func (s *Server) getLog(_ *http.Request, _ []byte, i *Incident) (int, any) {
	list := []any{}
	for n, l := range i.Log {
		list = append(list, map[string]any{
			"id": fmt.Sprintf("R%s%04d", i.ID, n), "type": l.Kind + "_log_entry", "created_at": stamp(l.At), "agent": l.By.reference(),
			"incident": reference(i.ID, "incident_reference", i.Title), "service": reference(i.Service, "service_reference", ""),
		})
	}
	return http.StatusOK, map[string]any{"log_entries": list, "limit": 25, "offset": 0, "more": false, "total": nil}
}
