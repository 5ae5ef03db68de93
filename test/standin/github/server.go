package github

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say what the stand-in knows.
type Options struct {
	Token string           // that requests must have; "": none
	Spec  string           // path of GitHub's OpenAPI description; "": only the checks of our own
	Limit int              // requests until Reset; 0: 5000
	Reset time.Time        // when the rate limit begins anew
	Now   func() time.Time // nil: time.Now
}

// Workflow is one workflow of a repository.
type Workflow struct {
	ID    int64
	Name  string
	File  string // deploy.yml
	State string // "": active
	// Inputs are those that it declares; a dispatch with another is refused.
	Inputs []string
	// RunName is the input that the names of its runs show; "": none.
	RunName string
}

// Run is one run of a workflow.
type Run struct {
	ID, Number, Attempt int64
	Status, Conclusion  string // Conclusion "": null
	Branch, Event, SHA  string
	Created, Started    time.Time
	Fork                bool // its branch is one of another repository
	Title               string
	Inputs              map[string]string // of a dispatch
}

// Fault is how one request goes wrong.
type Fault struct {
	Status int
	Header map[string]string
	Body   string
	// Late says that the request is carried out before it is answered so.
	Late bool
	// Cut says that the connection is closed in place of an answer.
	Cut bool
}

// Server is the stand-in. It is an http.Handler, and safe for concurrent use.
type Server struct {
	o        Options
	contract *contract // nil: none

	mu          sync.Mutex
	workflows   map[string][]Workflow // by owner/name
	runs        map[int64][]Run       // by workflow
	faults      []Fault
	violations  []string
	requests    int
	notModified int
	spent       int
	jobs        map[int64][]Job // by run
	tags        map[string]string
	diffs       map[string]Diff
	deployments []Deployment
	lag         time.Duration // until a run that was dispatched is listed
	writes      []string
}

// New returns a stand-in. It fails when the contract can't be read.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Limit == 0 {
		o.Limit = 5000
	}
	s := &Server{o: o, workflows: map[string][]Workflow{}, runs: map[int64][]Run{}, jobs: map[int64][]Job{}, tags: map[string]string{}, diffs: map[string]Diff{}}
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

// SetWorkflows replaces the workflows of a repository, owner/name.
func (s *Server) SetWorkflows(repository string, workflows ...Workflow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workflows[repository] = workflows
}

// SetRuns replaces the runs of a workflow.
func (s *Server) SetRuns(workflow int64, runs ...Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[workflow] = slices.Clone(runs)
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
	w.Header().Set("Date", s.o.Now().UTC().Format(http.TimeFormat))
	if !keep(r) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	s.check(r)
	if r.Method != http.MethodGet {
		s.writes = append(s.writes, r.Method+" "+r.URL.Path)
	}
	if len(s.faults) > 0 && (r.Method != http.MethodGet || !s.faults[0].Late) {
		f := s.faults[0]
		s.faults = s.faults[1:]
		if f.Late {
			s.answer(httptest.NewRecorder(), r)
		}
		if f.Cut {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		for name, value := range f.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
		return
	}
	s.answer(w, r)
}

// check holds a request to what GitHub asks of all, and to the contract.
func (s *Server) check(r *http.Request) {
	rule := func(ok bool, text string, args ...any) {
		if !ok {
			s.violations = append(s.violations, r.Method+" "+r.URL.Path+": "+fmt.Sprintf(text, args...))
		}
	}
	rule(r.UserAgent() != "", "User-Agent is required")
	rule(r.Header.Get("Accept") == "application/vnd.github+json", "Accept should be application/vnd.github+json, got %q", r.Header.Get("Accept"))
	version := r.Header.Get("X-GitHub-Api-Version")
	rule(version == "2022-11-28" || version == "2026-03-10", "X-GitHub-Api-Version must be a version, got %q", version)
	if s.contract != nil && described(r) {
		err := s.contract.request(r)
		rule(err == nil, "contract: %v", err)
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	if s.o.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.o.Token {
		s.send(w, r, http.StatusUnauthorized, map[string]any{"message": "Bad credentials"})
		return
	}
	if s.spent >= s.o.Limit && s.o.Now().Before(s.o.Reset) {
		s.send(w, r, http.StatusForbidden, map[string]any{"message": "API rate limit exceeded"})
		return
	}
	if r.Method != http.MethodGet {
		s.spent++
		s.write(w, r)
		return
	}
	body, ok := s.list(r)
	if !ok {
		body, ok = s.one(r)
	}
	if !ok {
		s.spent++
		s.send(w, r, http.StatusNotFound, map[string]any{"message": "Not Found"})
		return
	}
	raw, _ := json.Marshal(body)
	sum := sha256.Sum256(raw)
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		s.notModified++
		if r.Header.Get("Authorization") == "" {
			s.spent++
		}
		s.limits(w)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.spent++
	s.send(w, r, http.StatusOK, body)
}

func (s *Server) limits(w http.ResponseWriter) {
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(s.o.Limit))
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(0, s.o.Limit-s.spent)))
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(s.o.Reset.Unix(), 10))
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, status int, body any) {
	raw, err := json.Marshal(body)
	if err == nil && s.contract != nil && described(r) {
		err = s.contract.response(r, status, http.Header{"Content-Type": {"application/json"}}, bytes.Clone(raw))
	}
	if err != nil {
		s.violations = append(s.violations, "our answer to "+r.URL.Path+": "+err.Error())
	}
	s.limits(w)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// list finds what a path names; false: there is no such thing.
func (s *Server) list(r *http.Request) (any, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) < 5 || parts[0] != "repos" || parts[3] != "actions" || parts[4] != "workflows" {
		return nil, false
	}
	repository := parts[1] + "/" + parts[2]
	flows, there := s.workflows[repository]
	switch {
	case !there:
		return nil, false
	case len(parts) == 5:
		listed := make([]any, 0, len(flows))
		for _, f := range paged(r, flows) {
			listed = append(listed, f.wire(repository))
		}
		return map[string]any{"total_count": len(flows), "workflows": listed}, true
	case len(parts) == 7 && parts[6] == "runs":
		for _, f := range flows {
			if parts[5] == strconv.FormatInt(f.ID, 10) || parts[5] == f.File {
				return s.listRuns(r, repository, f), true
			}
		}
	}
	return nil, false
}

func (s *Server) listRuns(r *http.Request, repository string, f Workflow) any {
	q := r.URL.Query()
	var runs []Run
	for _, run := range s.runs[f.ID] {
		if run.Inputs != nil && s.o.Now().Before(run.Created.Add(s.lag)) {
			continue
		}
		if (q.Get("branch") == "" || q.Get("branch") == run.Branch) && (q.Get("event") == "" || q.Get("event") == run.Event) {
			runs = append(runs, run)
		}
	}
	slices.SortStableFunc(runs, func(a, b Run) int { return b.Created.Compare(a.Created) })
	listed := make([]any, 0, len(runs))
	for _, run := range paged(r, runs) {
		listed = append(listed, run.wire(repository, f))
	}
	return map[string]any{"total_count": len(runs), "workflow_runs": listed}
}

// paged cuts one page out of a list.
func paged[T any](r *http.Request, list []T) []T {
	number := func(name string, without int) int {
		n, err := strconv.Atoi(r.URL.Query().Get(name))
		if err != nil || n < 1 {
			return without
		}
		return n
	}
	size := min(number("per_page", 30), 100)
	from := min((number("page", 1)-1)*size, len(list))
	return list[from:min(from+size, len(list))]
}

func (f Workflow) wire(repository string) map[string]any {
	state := f.State
	if state == "" {
		state = "active"
	}
	api := "https://api.github.com/repos/" + repository + "/actions/workflows/" + strconv.FormatInt(f.ID, 10)
	return map[string]any{
		"id": f.ID, "node_id": "W_" + f.Name, "name": f.Name, "path": path.Join(".github/workflows", f.File), "state": state,
		"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
		"url": api, "html_url": "https://github.com/" + repository + "/blob/main/.github/workflows/" + f.File, "badge_url": api + "/badge.svg",
	}
}
