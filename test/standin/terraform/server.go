// Package terraform is a stand-in for what the daemon uses of HCP Terraform: one
// workspace with its variables, runs, plans and locks. It keeps the meaning of
// the real one: a run applies nothing until it is confirmed, unless it was made
// with auto-apply; a plan's content is behind a redirect that needs no token; a
// run that can't be confirmed or discarded answers 409.
//
// Runs stand still until Move moves them. With the path of the vendor's
// description it also holds each call that this describes, and each of its own
// answers, to that.
package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// What the workspace is called.
const (
	Organization = "acme"
	Workspace    = "edge"
	workspaceID  = "ws-6fHMCom98SDXSQUv"
	variableID   = "var-EavQ1LztoRTQHSNT"
	media        = "application/vnd.api+json"
)

// Options say what the stand-in knows.
type Options struct {
	Token string
	Spec  string           // path of the vendor's description; "": only the checks of our own
	Now   func() time.Time // of runs
}

// Run is one run.
type Run struct {
	ID, Status, Message string
	AutoApply           bool
	Value               string // of the variable, when it was made
	Plan                string // its content, as JSON
	Counts              [4]int // added, changed, destroyed, imported
	Confirmable         bool
	Applying            bool // it was begun to be applied
	At                  time.Time
}

// State is what the workspace has.
type State struct {
	Value       string
	Sensitive   bool
	HCL         bool
	Version     int
	Locked      string // by whom, why; "": it is not
	Denied      []string
	Runs        []Run // newest first
	Applied     []string
	Unavailable bool // structured run output is off
	Local       bool
}

// Fault is how one request goes wrong.
type Fault struct {
	On          string // "PATCH", "POST /runs": beginning of method and path below /api/v2; "": any
	Status      int
	Header      map[string]string
	Body        string
	Reset       bool // the connection is closed without an answer
	AfterEffect bool // it is done first
}

// Server is the stand-in, safe for concurrent use.
type Server struct {
	o      Options
	router routers.Router

	mu         sync.Mutex
	state      State
	faults     []Fault
	violations []string
	writes     []string
}

// New returns a stand-in. It fails when the description can't be read.
func New(o Options) (*Server, error) {
	s := &Server{o: o, state: State{Value: "fastly"}}
	if o.Spec == "" {
		return s, nil
	}
	doc, err := openapi3.NewLoader().LoadFromFile(o.Spec)
	if err != nil {
		return nil, fmt.Errorf("contract %s: %w", o.Spec, err)
	}
	doc.Servers = openapi3.Servers{{URL: "/api/v2"}}
	if s.router, err = legacy.NewRouter(doc, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation()); err != nil {
		return nil, fmt.Errorf("contract %s: %w", o.Spec, err)
	}
	return s, nil
}

// Edit changes the state, as others do.
func (s *Server) Edit(change func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
}

// State returns a copy of the state.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.state
	c.Runs, c.Applied = slices.Clone(c.Runs), slices.Clone(c.Applied)
	return c
}

// Writes returns the requests that would change something, in order, also those
// that met a fault.
func (s *Server) Writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

// Violations returns what requests, or our own answers, broke.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Fail scripts faults: the first one that fits a request is met by it.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path, api := strings.CutPrefix(r.URL.Path, "/api/v2")
	if !api {
		s.blob(w, r)
		return
	}
	if r.Method != http.MethodGet {
		s.writes = append(s.writes, r.Method+" "+path)
	}
	i := slices.IndexFunc(s.faults, func(f Fault) bool { return strings.HasPrefix(r.Method+" "+path, f.On) })
	var f Fault
	if i >= 0 {
		f = s.faults[i]
		s.faults = slices.Delete(s.faults, i, i+1)
	}
	if i < 0 || f.AfterEffect {
		status, location, answer := s.take(r, path, body)
		if i < 0 {
			s.answer(w, r, body, status, location, answer)
			return
		}
	}
	if f.Reset {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", media)
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, sent []byte, status int, location string, answer any) {
	raw, _ := json.Marshal(answer)
	s.hold(r, sent, status, raw)
	w.Header().Set("Content-Type", media)
	if location != "" {
		w.Header().Set("Location", location)
	}
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// blob is the store of plans: it takes no credentials.
func (s *Server) blob(w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutPrefix(r.URL.Path, "/blob/")
	if r.Header.Get("Authorization") != "" || r.URL.Query().Get("signature") == "" {
		s.violations = append(s.violations, "the store of plans was sent a token, or no signature")
	}
	i := s.run(id)
	if !ok || i < 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.WriteString(w, s.state.Runs[i].Plan)
}

func (s *Server) run(id string) int {
	return slices.IndexFunc(s.state.Runs, func(r Run) bool { return r.ID == id })
}

// hold holds a call and its answer to the description, where it has the call.
func (s *Server) hold(r *http.Request, body []byte, status int, answer []byte) {
	if s.router == nil || strings.HasSuffix(r.URL.Path, "/actions/discard") || strings.HasSuffix(r.URL.Path, "/json-output-redacted") {
		return
	}
	fail := func(what string, err error) {
		if err != nil && !strings.Contains(err.Error(), "/attributes/status") { // the vendor knows states that its description does not
			s.violations = append(s.violations, r.Method+" "+r.URL.Path+": contract: "+what+err.Error())
		}
	}
	again := r.Clone(context.WithoutCancel(r.Context()))
	again.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := s.router.FindRoute(again)
	if err != nil {
		fail("", err)
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: again, PathParams: params, Route: route, Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if status < 300 {
		fail("", openapi3filter.ValidateRequest(again.Context(), in))
	}
	if status == http.StatusAccepted { // the description has null as a word there
		return
	}
	fail("our own answer: ", openapi3filter.ValidateResponse(again.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: status, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(bytes.NewReader(answer)),
	}))
}
