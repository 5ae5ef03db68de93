package github

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Job is one job of a run.
type Job struct {
	ID                 int64
	Name               string
	Status, Conclusion string // Conclusion "": null
	Steps              []JobStep
}

// JobStep is one step of a job.
type JobStep struct{ Name, Status, Conclusion string }

// Diff is what lies between two commits.
type Diff struct {
	Status string // "ahead", "diverged"
	Files  []string
}

// Deployment is one deployment of a commit, with when each state was set.
type Deployment struct {
	ID               int64
	SHA, Environment string
	Success, Left    time.Time // zero: not
}

// SetJobs replaces the jobs of a run.
func (s *Server) SetJobs(run int64, jobs ...Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[run] = jobs
}

// SetTag lets a tag name a commit.
func (s *Server) SetTag(tag, sha string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags[tag] = sha
}

// SetDiff says what lies between two commits.
func (s *Server) SetDiff(base, head string, d Diff) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.diffs[base+"..."+head] = d
}

// SetDeployments replaces the deployments.
func (s *Server) SetDeployments(d ...Deployment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deployments = d
}

// SetLag sets how long a run that was dispatched is not listed.
func (s *Server) SetLag(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = d
}

// Finish ends a run.
func (s *Server) Finish(id int64, conclusion string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if run, _, ok := s.find(id); ok {
		run.Status, run.Conclusion = "completed", conclusion
	}
}

// Dispatched returns the runs that dispatches made, in their order.
func (s *Server) Dispatched() []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	var made []Run
	for _, runs := range s.runs {
		for _, r := range runs {
			if r.Inputs != nil {
				made = append(made, r)
			}
		}
	}
	slices.SortFunc(made, func(a, b Run) int { return int(a.ID - b.ID) })
	return made
}

// Writes returns the requests that were no reads.
func (s *Server) Writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

// keep reads the body, so that it can be read again.
func keep(r *http.Request) bool {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	r.Body, _ = r.GetBody()
	return err == nil && len(raw) < 1<<20
}

// described reports whether the vendor's description at hand has the operation.
func described(r *http.Request) bool {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	return len(parts) < 4 || parts[3] != "compare" && parts[3] != "commits"
}

// find returns a run to be changed, and its workflow.
func (s *Server) find(id int64) (*Run, Workflow, bool) {
	for _, flows := range s.workflows {
		for _, f := range flows {
			for i := range s.runs[f.ID] {
				if s.runs[f.ID][i].ID == id {
					return &s.runs[f.ID][i], f, true
				}
			}
		}
	}
	return nil, Workflow{}, false
}

func (s *Server) flow(repository, name string) (Workflow, bool) {
	for _, f := range s.workflows[repository] {
		if name == strconv.FormatInt(f.ID, 10) || name == f.File {
			return f, true
		}
	}
	return Workflow{}, false
}

// one finds the single thing that a path names; false: there is none.
func (s *Server) one(r *http.Request) (any, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) < 4 || parts[0] != "repos" || s.workflows[parts[1]+"/"+parts[2]] == nil {
		return nil, false
	}
	repository, below := parts[1]+"/"+parts[2], parts[3:]
	switch what := strings.Join(below[:min(2, len(below))], "/"); {
	case what == "actions/workflows" && len(below) == 3:
		f, ok := s.flow(repository, below[2])
		return f.wire(repository), ok
	case what == "actions/runs" && len(below) >= 3:
		return s.ofRun(repository, below[2:])
	case what == "commits/tags" && len(below) == 3:
		sha, ok := s.tags[below[2]]
		return map[string]any{"sha": sha, "commit": map[string]any{"message": "A change"}}, ok
	case below[0] == "compare" && len(below) == 2:
		return s.compared(below[1])
	case what == "deployments":
		return s.listDeployments(r, repository), true
	case below[0] == "deployments" && len(below) == 3:
		return s.statuses(repository, below[1])
	}
	return nil, false
}

func (s *Server) ofRun(repository string, below []string) (any, bool) {
	id, _ := strconv.ParseInt(below[0], 10, 64)
	run, f, ok := s.find(id)
	switch {
	case !ok:
		return nil, false
	case len(below) == 1:
		return run.wire(repository, f), true
	case below[1] != "jobs":
		return nil, false
	}
	listed := make([]any, 0, len(s.jobs[id]))
	for _, j := range s.jobs[id] {
		listed = append(listed, j.wire(repository, *run))
	}
	return map[string]any{"total_count": len(listed), "jobs": listed}, true
}

func (s *Server) compared(span string) (any, bool) {
	d, ok := s.diffs[span]
	files := make([]any, 0, len(d.Files))
	for _, f := range d.Files {
		files = append(files, map[string]any{"filename": f, "status": "modified"})
	}
	return map[string]any{"status": d.Status, "files": files}, ok
}

// write does what a request that is no read asks for.
func (s *Server) write(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) == 7 && parts[3] == "actions" && r.Method == http.MethodPost {
		repository := parts[1] + "/" + parts[2]
		switch {
		case parts[4] == "workflows" && parts[6] == "dispatches":
			s.dispatch(w, r, repository, parts[5])
			return
		case parts[4] == "runs" && parts[6] == "cancel":
			s.cancel(w, r, parts[5])
			return
		}
	}
	s.send(w, r, http.StatusNotFound, map[string]any{"message": "Not Found"})
}

func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, repository, name string) {
	var asked struct {
		Ref     string            `json:"ref"`
		Inputs  map[string]string `json:"inputs"`
		Details bool              `json:"return_run_details"`
	}
	f, ok := s.flow(repository, name)
	switch err := json.NewDecoder(r.Body).Decode(&asked); {
	case !ok:
		s.send(w, r, http.StatusNotFound, map[string]any{"message": "Not Found"})
		return
	case err != nil || asked.Ref == "":
		s.send(w, r, http.StatusUnprocessableEntity, map[string]any{"message": "Invalid request."})
		return
	}
	for input := range asked.Inputs {
		if !slices.Contains(f.Inputs, input) {
			s.send(w, r, http.StatusUnprocessableEntity, map[string]any{"message": "Unexpected inputs provided: [" + input + "]"})
			return
		}
	}
	run := Run{
		ID: 9000 + int64(s.known()), Number: 1, Status: "queued", Branch: asked.Ref, SHA: or(s.tags[asked.Ref], strings.Repeat("f", 40)),
		Event: "workflow_dispatch", Created: s.o.Now(), Title: f.Name, Inputs: asked.Inputs,
	}
	if f.RunName != "" {
		run.Title += " for " + asked.Inputs[f.RunName]
	}
	s.runs[f.ID] = append(s.runs[f.ID], run)
	if !asked.Details {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	own := "/repos/" + repository + "/actions/runs/" + strconv.FormatInt(run.ID, 10)
	s.send(w, r, http.StatusOK, map[string]any{
		"workflow_run_id": run.ID, "run_url": "https://api.github.com" + own, "html_url": "https://github.com" + strings.TrimPrefix(own, "/repos"),
	})
}

// known counts the runs of all workflows.
func (s *Server) known() (n int) {
	for _, runs := range s.runs {
		n += len(runs)
	}
	return n
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request, id string) {
	number, _ := strconv.ParseInt(id, 10, 64)
	run, _, ok := s.find(number)
	switch {
	case !ok:
		s.send(w, r, http.StatusNotFound, map[string]any{"message": "Not Found"})
	case or(run.Status, "completed") == "completed":
		s.send(w, r, http.StatusConflict, map[string]any{"message": "Cannot cancel a workflow run that is completed.", "documentation_url": "https://docs.github.com/rest"})
	default:
		s.send(w, r, http.StatusAccepted, map[string]any{})
	}
}
