package statuspage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// restPrefix is below what the API of a page's owner is.
const restPrefix = "/v1/pages/"

// calls is the vendor's description of the API of a page's owner.
type calls struct{ router routers.Router }

func readCalls(path string) (*calls, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	doc.Servers = openapi3.Servers{{URL: "/v1"}}
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation())
	if err != nil {
		return nil, err
	}
	return &calls{router}, nil
}

// check holds a request, and what was answered to it, to the description.
func (c *calls) check(r *http.Request, body []byte, status int, answer []byte) error {
	again := r.Clone(context.WithoutCancel(r.Context()))
	again.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := c.router.FindRoute(again)
	if err != nil {
		return err
	}
	in := &openapi3filter.RequestValidationInput{
		Request: again, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if status/100 == 2 { // what is wrong with a request may be what was refused
		if err := openapi3filter.ValidateRequest(again.Context(), in); err != nil {
			return err
		}
	}
	return openapi3filter.ValidateResponse(again.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(answer)),
	})
}

// rest serves the API of a page's owner: incidents and components. It keeps the
// meaning of the real one: what an incident sets of components is set, its
// metadata is kept whole, and a resolved incident stays in the list.
func (s *Server) rest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	s.written = append(s.written, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	if len(s.faults) > 0 && (s.faults[0].On == "" || s.faults[0].On == r.Method) {
		f := s.faults[0]
		s.faults = s.faults[1:]
		if f.AfterEffect {
			s.owner(r, body)
		}
		if f.Reset {
			panic(http.ErrAbortHandler)
		}
		for name, value := range f.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
		return
	}
	status, answer := s.owner(r, body)
	raw, err := json.Marshal(withoutNulls(answer))
	if err != nil {
		s.violations = append(s.violations, err.Error())
	}
	if s.calls != nil {
		if err := s.calls.check(r, body, status, raw); err != nil {
			s.violations = append(s.violations, r.Method+" "+r.URL.Path+": "+err.Error())
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

func refusal(status int, text string) (int, any) { return status, map[string]any{"message": text} }

// owner answers one request.
func (s *Server) owner(r *http.Request, body []byte) (int, any) {
	if r.Header.Get("Authorization") != "OAuth "+s.o.Token || s.o.Token == "" {
		return refusal(http.StatusUnauthorized, "Could not authenticate")
	}
	id, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, restPrefix), "/")
	if id != s.page.ID {
		return refusal(http.StatusNotFound, "Page not found")
	}
	switch what, one, _ := strings.Cut(path, "/"); {
	case r.Method == http.MethodGet && path == "components":
		return s.listed(r, s.page.componentsWire())
	case r.Method == http.MethodGet && path == "incidents":
		return s.listed(r, s.page.incidentsWire())
	case r.Method == http.MethodPost && path == "incidents":
		s.page.Incidents = append([]Incident{{ID: fmt.Sprintf("p31zjtct%04d", len(s.page.Incidents))}}, s.page.Incidents...)
		if why := s.page.change(&s.page.Incidents[0], body); why != "" {
			s.page.Incidents = s.page.Incidents[1:]
			return refusal(http.StatusUnprocessableEntity, why)
		}
		return http.StatusCreated, s.page.incidentsWire()[0]
	case r.Method == http.MethodPatch && what == "incidents":
		i := slices.IndexFunc(s.page.Incidents, func(i Incident) bool { return i.ID == one })
		if i < 0 {
			return refusal(http.StatusNotFound, "Incident not found")
		}
		if why := s.page.change(&s.page.Incidents[i], body); why != "" {
			return refusal(http.StatusUnprocessableEntity, why)
		}
		return http.StatusOK, s.page.incidentsWire()[i]
	}
	s.violations = append(s.violations, r.Method+" "+r.URL.Path+": there is no such path")
	return refusal(http.StatusNotFound, "Not found")
}

// listed is one page of a list.
func (s *Server) listed(r *http.Request, all []any) (int, any) {
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get("per_page") + q.Get("limit"))
	page, _ := strconv.Atoi(q.Get("page"))
	size, page = max(size, 1), max(page, 1)
	from := min((page-1)*size, len(all))
	return http.StatusOK, append([]any{}, all[from:min(from+size, len(all))]...)
}

// change does what a request asks of an incident, or says what is wrong.
func (p *Page) change(i *Incident, body []byte) string {
	var in struct {
		Incident struct {
			Name, Status, Body string
			Impact             string            `json:"impact_override"`
			IDs                []string          `json:"component_ids"`
			Components         map[string]string `json:"components"`
			Notify             *bool             `json:"deliver_notifications"`
			Metadata           json.RawMessage   `json:"metadata"`
		} `json:"incident"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return err.Error()
	}
	c := in.Incident
	if i.Name = or(c.Name, i.Name); i.Name == "" || len([]rune(i.Name)) > 255 || len([]rune(c.Body)) > 25000 {
		return "Name can't be blank, and has at most 255 characters"
	}
	for id, status := range c.Components {
		at := slices.IndexFunc(p.Components, func(c Component) bool { return c.ID == id })
		if at < 0 || p.Components[at].IsGroup {
			return "Component " + id + " is not found"
		}
		p.Components[at].Status = status
	}
	i.Status, i.Impact = or(c.Status, i.Status), or(c.Impact, i.Impact)
	if c.IDs != nil {
		i.Components = c.IDs
	}
	if c.Body != "" {
		i.Bodies = append(i.Bodies, c.Body)
	}
	if c.Metadata != nil {
		i.Metadata = string(c.Metadata)
	}
	i.Notified = c.Notify == nil || *c.Notify
	return ""
}

func (p Page) componentsWire() []any {
	all := make([]any, 0, len(p.Components))
	for _, c := range p.Components {
		w := c.wire(p)
		delete(w, "components")
		all = append(all, w)
	}
	return all
}

func (p Page) incidentsWire() []any {
	all, byID := make([]any, 0, len(p.Incidents)), map[string]any{}
	for _, c := range p.componentsWire() {
		byID[c.(map[string]any)["id"].(string)] = c
	}
	for _, i := range p.Incidents {
		w := i.wire(p, byID)
		delete(w, "started_at")
		if i.Metadata != "" {
			w["metadata"] = json.RawMessage(i.Metadata)
		}
		all = append(all, roundTrip(w))
	}
	return all
}

// roundTrip makes plain maps and lists of what is to be written.
func roundTrip(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	_ = json.Unmarshal(raw, &out)
	return out
}

// Page returns the page as it stands.
func (s *Server) Page() Page {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.page
	p.Components, p.Incidents = slices.Clone(p.Components), slices.Clone(p.Incidents)
	return p
}

// Calls returns what was asked of the owner's API, in its order.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.written)
}
