package statuspage

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say what the stand-in knows.
type Options struct {
	Token string           // of the owner's API; "": it is not served
	Spec  string           // path of the vendor's OpenAPI description; "": only the checks of our own
	Now   func() time.Time // nil: time.Now
}

// Component is one component, or group of components.
type Component struct {
	ID, Name string
	Status   string // "": operational
	Group    string // id of its group
	IsGroup  bool
}

// Incident is an incident, or with Maintenance a scheduled maintenance.
type Incident struct {
	ID, Name    string
	Status      string // investigating, identified, monitoring; scheduled, in_progress, verifying
	Impact      string // none, minor, major, critical, maintenance
	Components  []string
	Maintenance bool

	Bodies   []string // its updates, oldest first
	Metadata string   // as JSON
	Notified bool     // whether its last update was sent to subscribers
}

// Page is what the page says.
type Page struct {
	ID, Name   string
	Indicator  string // "": follows the components
	Components []Component
	Incidents  []Incident
	UpdatedAt  time.Time
}

// Fault is how one request goes wrong.
type Fault struct {
	Status int
	Header map[string]string
	Body   string

	// Of the owner's API:
	On          string // method that meets it; "": any
	Reset       bool   // the connection is closed without an answer
	AfterEffect bool   // the change is made first
}

// Server is the stand-in. It is an http.Handler, and safe for concurrent use.
type Server struct {
	o        Options
	contract *contract // nil: none
	calls    *calls    // nil: none

	mu          sync.Mutex
	page        Page
	age         time.Duration
	faults      []Fault
	violations  []string
	requests    int
	notModified int
	written     []string
}

// New returns a stand-in. It fails when the contract can't be read.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, page: Page{ID: "kctbh9vrtdwd", Name: "Payments"}}
	if o.Spec == "" {
		return s, nil
	}
	c, err := readContract(o.Spec)
	if err != nil {
		return nil, fmt.Errorf("contract %s: %w", o.Spec, err)
	}
	s.contract = c
	if s.calls, err = readCalls(o.Spec); err != nil {
		return nil, fmt.Errorf("contract %s: %w", o.Spec, err)
	}
	return s, nil
}

// Set replaces the page.
func (s *Server) Set(p Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = p
}

// Age makes the answers those of a cache, of so long ago.
func (s *Server) Age(age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age = age
}

// Fail scripts faults, which requests meet in this order, one each.
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

// Requests counts the requests, and those of them that were answered 304.
func (s *Server) Requests() (all, notModified int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, s.notModified
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if strings.HasPrefix(r.URL.Path, restPrefix) {
		s.rest(w, r)
		return
	}
	s.check(r)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if len(s.faults) > 0 {
		f := s.faults[0]
		s.faults = s.faults[1:]
		for name, value := range f.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
		return
	}
	if r.URL.Path != "/api/v2/summary.json" {
		http.NotFound(w, r)
		return
	}
	summary := s.page.wire()
	if s.contract != nil {
		s.violations = append(s.violations, s.contract.check(summary)...)
	}
	raw, _ := json.Marshal(summary)
	sum := sha256.Sum256(raw)
	tag := `W/"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", tag)
	if s.age > 0 {
		w.Header().Set("Age", strconv.Itoa(int(s.age/time.Second)))
	}
	if r.Header.Get("If-None-Match") == tag {
		s.notModified++
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(raw)
}

func (s *Server) check(r *http.Request) {
	rule := func(ok bool, text string) {
		if !ok {
			s.violations = append(s.violations, r.Method+" "+r.URL.String()+": "+text)
		}
	}
	rule(r.Method == http.MethodGet, "method must be GET")
	rule(r.URL.Path == "/api/v2/summary.json", "there is no such path")
	rule(r.URL.RawQuery == "", "there are no parameters")
	rule(r.UserAgent() != "", "User-Agent is required")
	rule(r.ContentLength <= 0, "there is no body")
}
