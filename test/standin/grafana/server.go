package grafana

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Options say how the stand-in answers.
type Options struct {
	Token       string // that requests must have; "": none
	Spec        string // path of Grafana's OpenAPI description; "": only the checks of our own
	MultiStatus bool   // a query of which a part fails is answered 207
}

// Dashboard is one dashboard.
type Dashboard struct {
	UID, Title    string
	Folder        string          // its title; "": none
	Model         json.RawMessage // the whole JSON model; UID and Title are put into it
	APIVersion    string          // as it was saved; "": not told
	StoredVersion string          // status.conversion.storedVersion; "": not told
}

// Library is a library element.
type Library struct {
	UID, Name string
	Kind      int // 1: a panel, 2: a variable
	Model     json.RawMessage
}

// Datasource is a data source.
type Datasource struct {
	UID, Name, Type, URL string
	Default              bool
	JSONData             map[string]any
	Answer               func(Query) Result // to one query
}

// Fault is how one request goes wrong.
type Fault struct {
	Path   string // that it meets; "": any
	Status int
	Header map[string]string
	Body   string
	After  bool // the request has its effect before
}

// Server is the stand-in. It is an http.Handler, and safe for concurrent use.
type Server struct {
	o        Options
	contract *contract // nil: none

	mu          sync.Mutex
	dashboards  []Dashboard
	libraries   []Library
	datasources []Datasource
	annotations []Annotation
	nextID      int64
	faults      []Fault
	violations  []string
	requests    map[string]int // by method and path
}

// New returns a stand-in. It fails when the contract can't be read.
func New(o Options) (*Server, error) {
	s := &Server{o: o, requests: map[string]int{}}
	if o.Spec == "" {
		return s, nil
	}
	c, err := readContract(o.Spec)
	if err != nil {
		return nil, fmt.Errorf("contract %s: %w", o.Spec, err)
	}
	s.contract = c
	return s, nil
}

// SetDashboards replaces the dashboards.
func (s *Server) SetDashboards(list ...Dashboard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dashboards = slices.Clone(list)
}

// SetLibraries replaces the library elements.
func (s *Server) SetLibraries(list ...Library) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.libraries = slices.Clone(list)
}

// SetDatasources replaces the data sources.
func (s *Server) SetDatasources(list ...Datasource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.datasources = slices.Clone(list)
}

// Fail scripts faults, which the requests that they meet take in this order, one
// each.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Violations returns what requests, or our own answers, broke.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Requests counts the requests of a method and path: "GET /api/search".
func (s *Server) Requests(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[what]
}

// maxRequest is more than any request of ours.
const maxRequest = 4 << 20

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return // the client is gone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[r.Method+" "+r.URL.Path]++
	s.check(r, body)
	i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.Path == "" || f.Path == r.URL.Path })
	if i < 0 {
		s.answer(w, r, body)
		return
	}
	f := s.faults[i]
	s.faults = slices.Delete(s.faults, i, i+1)
	if f.After {
		s.answer(&nowhere{header: http.Header{}}, r, body)
	}
	if w.Header().Set("Content-Type", "application/json"); f.Header != nil {
		for name, value := range f.Header {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
}

// nowhere is where an answer goes that is lost.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}

// check holds a request to what Grafana asks of all, and to the contract.
func (s *Server) check(r *http.Request, body []byte) {
	rule := s.rule(r)
	rule(r.UserAgent() != "", "User-Agent is required")
	rule(r.Header.Get("Accept") == "application/json", "Accept should be application/json, got %q", r.Header.Get("Accept"))
	if len(body) > 0 {
		rule(r.Header.Get("Content-Type") == "application/json", "Content-Type must be application/json, got %q", r.Header.Get("Content-Type"))
	}
	for _, name := range []string{"limit", "from", "to"} {
		if v := r.URL.Query().Get(name); v != "" {
			_, err := strconv.ParseInt(v, 10, 64)
			rule(err == nil, "%s must be a whole number, got %q", name, v)
		}
	}
	if s.contract != nil && !strings.HasPrefix(r.URL.Path, libraryPath) { // which it does not describe
		err := s.contract.request(r, body)
		rule(err == nil, "contract: %v", err)
	}
}

func (s *Server) rule(r *http.Request) func(ok bool, text string, args ...any) {
	return func(ok bool, text string, args ...any) {
		if !ok {
			s.violations = append(s.violations, r.Method+" "+r.URL.Path+": "+fmt.Sprintf(text, args...))
		}
	}
}

const libraryPath = "/api/library-elements/"

func (s *Server) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	if s.o.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.o.Token {
		s.send(w, r, body, http.StatusUnauthorized, map[string]any{"message": "Invalid API key"})
		return
	}
	path := r.URL.Path
	id, one := strings.CutPrefix(path, "/api/annotations/")
	switch {
	case r.Method == http.MethodGet && path == "/api/search":
		s.send(w, r, body, http.StatusOK, s.search(r))
	case r.Method == http.MethodGet && strings.HasPrefix(path, "/api/dashboards/uid/"):
		s.dashboard(w, r, body)
	case r.Method == http.MethodGet && strings.HasPrefix(path, libraryPath):
		s.library(w, r)
	case r.Method == http.MethodGet && path == "/api/datasources":
		s.send(w, r, body, http.StatusOK, s.listDatasources())
	case r.Method == http.MethodPost && path == "/api/ds/query":
		s.query(w, r, body)
	case r.Method == http.MethodGet && path == "/api/annotations":
		s.send(w, r, body, http.StatusOK, s.findAnnotations(r))
	case r.Method == http.MethodPost && path == "/api/annotations":
		s.postAnnotation(w, r, body)
	case r.Method == http.MethodPatch && one:
		s.patchAnnotation(w, r, body, id)
	default:
		s.violations = append(s.violations, r.Method+" "+path+": there is no such thing")
		w.WriteHeader(http.StatusNotFound)
	}
}

// send answers, and holds the answer to the contract.
func (s *Server) send(w http.ResponseWriter, r *http.Request, sent []byte, status int, body any) {
	s.sendAs(w, r, sent, status, status, body)
}

// sendAs answers with a status, and holds the answer to the description of
// another.
func (s *Server) sendAs(w http.ResponseWriter, r *http.Request, sent []byte, status, as int, body any) {
	raw, err := json.Marshal(body)
	if err == nil && s.contract != nil {
		err = s.contract.response(r, sent, as, raw)
	}
	if err != nil {
		s.violations = append(s.violations, "our answer to "+r.URL.Path+": "+err.Error())
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}
