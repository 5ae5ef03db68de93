package pagerduty

import (
	"encoding/json"
	"net/http"
	"net/mail"
	"slices"
	"strconv"
	"strings"
)

// routes are the parts of the REST API that the stand-in has.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(*http.Request, []byte, *Incident) (int, any){
		"GET /incidents/{id}":                     s.getIncident,
		"PUT /incidents/{id}":                     s.putIncident,
		"GET /incidents/{id}/notes":               s.getNotes,
		"POST /incidents/{id}/notes":              s.postNote,
		"POST /incidents/{id}/status_updates":     s.postUpdate,
		"POST /incidents/{id}/responder_requests": s.postRequest,
		"GET /incidents/{id}/log_entries":         s.getLog,
	} {
		mux.Handle(pattern, s.with(func(r *http.Request, body []byte) (int, any) {
			i := slices.IndexFunc(s.incidents, func(i *Incident) bool { return i.ID == r.PathValue("id") })
			if i < 0 {
				return http.StatusNotFound, wrong(2100, "Not Found")
			}
			return h(r, body, s.incidents[i])
		}))
	}
	mux.Handle("GET /incidents", s.with(s.listIncidents))
	mux.Handle("POST /incidents", s.with(s.postIncident))
	mux.Handle("GET /services", s.with(s.listServices))
	mux.Handle("GET /webhook_subscriptions", s.with(s.listSubscriptions))
	mux.Handle("POST /webhook_subscriptions", s.with(s.postSubscription))
	return mux
}

// reply carries an answer out of a handler. What the mux itself writes, where
// no route fits, is left out.
type reply struct {
	header http.Header
	status int
	answer any
}

func (r *reply) Header() http.Header         { return r.header }
func (r *reply) Write(b []byte) (int, error) { return len(b), nil }
func (r *reply) WriteHeader(int)             {}

// with runs a handler under the lock, with the body that was read.
func (s *Server) with(h func(*http.Request, []byte) (int, any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		out := w.(*reply)
		out.status, out.answer = h(r, r.Context().Value(bodyKey{}).([]byte))
	})
}

type bodyKey struct{}

// serveREST checks one request, does it, and answers.
func (s *Server) serveREST(w http.ResponseWriter, r *http.Request, body []byte, fault *Fault) {
	out := &reply{header: http.Header{}}
	if status, refused := s.authorize(r); status != 0 {
		out.status, out.answer = status, refused
	} else {
		if s.rest != nil {
			if err := s.rest.request(r, body); err != nil {
				s.violate("contract: " + err.Error())
			}
		}
		s.mux.ServeHTTP(out, r.WithContext(withBody(r.Context(), body)))
	}
	if out.status == 0 {
		s.violate(r.Method + " " + r.URL.Path + ": there is no such path")
		out.status, out.answer = http.StatusNotFound, wrong(2100, "Not Found")
	}
	if fault != nil {
		s.suffer(w, r, fault)
		return
	}
	s.answer(w, r, s.rest, body, out.status, out.answer)
}

// authorize asks for a key, and for who changes something.
func (s *Server) authorize(r *http.Request) (int, any) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Token token=")
	if !ok || key == "" || len(s.o.APIKeys) > 0 && !slices.Contains(s.o.APIKeys, key) {
		return http.StatusUnauthorized, wrong(2006, "Unauthorized")
	}
	if r.Method == http.MethodGet {
		return 0, nil
	}
	if a, err := mail.ParseAddress(r.Header.Get("From")); err != nil || a.Address != r.Header.Get("From") {
		s.violate("From must be the e-mail address of a user")
		return http.StatusBadRequest, wrong(1008, "Requester User Not Found")
	}
	return 0, nil
}

// wrong is an answer that refuses.
func wrong(code int, message string, errors ...string) any {
	type body struct {
		Code    int      `json:"code"`
		Message string   `json:"message"`
		Errors  []string `json:"errors,omitempty"`
	}
	return map[string]any{"error": body{code, message, errors}}
}

func invalid(errors ...string) (int, any) {
	return http.StatusBadRequest, wrong(2001, "Invalid Input Provided", errors...)
}

func requester(r *http.Request) Agent { return Person(r.Header.Get("From")) }

func (s *Server) listIncidents(r *http.Request, _ []byte) (int, any) {
	q := r.URL.Query()
	limit, offset := number(q.Get("limit"), 25), number(q.Get("offset"), 0)
	if limit > 100 || limit+offset > 10_000 {
		return invalid("limit must be at most 100, and with offset at most 10000")
	}
	list := []any{}
	for _, i := range slices.Backward(s.incidents) {
		in := func(name, have string) bool { return len(q[name]) == 0 || slices.Contains(q[name], have) }
		if in("incident_key", i.DedupKey) && in("statuses[]", i.Status) && in("service_ids[]", i.Service) {
			list = append(list, s.shown(i))
		}
	}
	if q.Get("sort_by") != "created_at:desc" { // the oldest first, as by default
		slices.Reverse(list)
	}
	more := len(list) > offset+limit
	list = list[min(offset, len(list)):min(offset+limit, len(list))]
	return http.StatusOK, map[string]any{"incidents": list, "limit": limit, "offset": offset, "more": more, "total": nil}
}

func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return n
	}
	return otherwise
}

func (s *Server) postIncident(r *http.Request, body []byte) (int, any) {
	var in struct {
		Incident struct {
			Type, Title, Urgency string
			Service              ref
			EscalationPolicy     ref    `json:"escalation_policy"`
			Key                  string `json:"incident_key"`
			Body                 struct{ Details string }
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return invalid(err.Error())
	}
	i := in.Incident
	if _, ok := s.known(i.Service.ID); !ok || i.Title == "" {
		return invalid("Service not found, or title is empty")
	}
	same := func(o *Incident) bool { return o.Service == i.Service.ID && o.DedupKey == i.Key }
	if i.Key != "" && s.open(same) != nil {
		s.doubled = append(s.doubled, i.Key)
		return invalid("Open incident with matching dedup key already exists on this service")
	}
	opened := s.opened(Incident{
		DedupKey: i.Key, Service: i.Service.ID, EscalationPolicy: i.EscalationPolicy.ID, Title: i.Title, Urgency: i.Urgency, Details: i.Body.Details,
	}, requester(r))
	return http.StatusCreated, map[string]any{"incident": s.shown(opened)}
}

func (s *Server) getIncident(_ *http.Request, _ []byte, i *Incident) (int, any) {
	return http.StatusOK, map[string]any{"incident": s.shown(i)}
}

func (s *Server) putIncident(r *http.Request, body []byte, i *Incident) (int, any) {
	var in struct{ Incident struct{ Status string } }
	if err := json.Unmarshal(body, &in); err != nil {
		return invalid(err.Error())
	}
	if in.Incident.Status != "" && in.Incident.Status != i.Status {
		s.become(i, in.Incident.Status, requester(r))
	}
	return http.StatusOK, map[string]any{"incident": s.shown(i)}
}

func (s *Server) listServices(*http.Request, []byte) (int, any) {
	list := []any{}
	for _, svc := range s.o.Services {
		list = append(list, map[string]any{
			"id": svc.ID, "type": "service", "name": svc.ID, "escalation_policy": reference(svc.EscalationPolicy, "escalation_policy_reference", ""),
		})
	}
	return http.StatusOK, map[string]any{"services": list, "limit": 25, "offset": 0, "more": false, "total": nil}
}
