package pipeline

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// maxText bounds, in bytes, what of a foreign text is repeated.
const maxText = 200

// run is one run of a workflow, as GitHub tells it. Who started it is left out.
type run struct {
	ID         int64     `json:"id"`
	Attempt    int64     `json:"run_attempt"`
	Status     string    `json:"status"`
	Conclusion string    `json:"conclusion"` // "" until it is completed
	Branch     string    `json:"head_branch"`
	SHA        string    `json:"head_sha"`
	Event      string    `json:"event"`
	Title      string    `json:"display_title"`
	Link       string    `json:"html_url"`
	Workflow   int64     `json:"workflow_id"`
	Created    time.Time `json:"created_at"`
	Started    time.Time `json:"run_started_at"` // of this attempt
	Updated    time.Time `json:"updated_at"`
	Repository *origin   `json:"repository"`
	Head       *origin   `json:"head_repository"` // null: it was deleted
}

type origin struct {
	ID int64 `json:"id"`
}

type runList struct {
	Total int   `json:"total_count"`
	Runs  []run `json:"workflow_runs"`
}

// workflow is one workflow of a repository.
type workflow struct {
	ID    int64  `json:"id"`
	Path  string `json:"path"`
	State string `json:"state"`
}

type job struct {
	Name       string `json:"name"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
	Link       string `json:"html_url"`
	Steps      []struct {
		Name       string `json:"name"`
		Status     string `json:"status"`
		Conclusion string `json:"conclusion"`
	} `json:"steps"`
}

type jobList struct {
	Total int   `json:"total_count"`
	Jobs  []job `json:"jobs"`
}

type commit struct {
	SHA string `json:"sha"`
}

// comparison is what lies between two commits. GitHub lists at most 300 files.
type comparison struct {
	Status string `json:"status"` // ahead, behind, diverged, identical
	Files  []struct {
		Name     string `json:"filename"`
		Previous string `json:"previous_filename"`
	} `json:"files"`
}

const mostFiles = 300

type deployment struct {
	ID          int64     `json:"id"`
	SHA         string    `json:"sha"`
	Environment string    `json:"environment"`
	Created     time.Time `json:"created_at"`
}

type deploymentStatus struct {
	State   string    `json:"state"`
	Created time.Time `json:"created_at"`
}

// dispatched is the answer to a dispatch.
type dispatched struct {
	ID int64 `json:"workflow_run_id"`
}

// complete fills in what may be left out, and says what is missing.
func (r *run) complete() error {
	if r.ID <= 0 || r.Status == "" || r.Created.IsZero() {
		return fmt.Errorf("a run must have an id, a status and created_at")
	}
	r.Attempt = max(r.Attempt, 1)
	if r.Started.IsZero() {
		r.Started = r.Created
	}
	return nil
}

// ours says that the run is of a branch or tag of this repository, and not of a
// pull request, whose branch may have any name.
func (r *run) ours() bool {
	return r.Repository != nil && r.Head != nil && r.Head.ID == r.Repository.ID && !strings.HasPrefix(r.Event, "pull_request")
}

func (r *run) ended() bool { return r.Status == "completed" }

// bears reports whether the run's name shows the action's id as a word of its own.
func (r *run) bears(id string) bool {
	if id == "" {
		return false
	}
	word := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
	}
	for at := 0; ; {
		i := strings.Index(r.Title[at:], id)
		if i < 0 {
			return false
		}
		from, to := at+i, at+i+len(id)
		if (from == 0 || !word(r.Title[from-1])) && (to == len(r.Title) || !word(r.Title[to])) {
			return true
		}
		at = from + 1
	}
}

// state is how a run stands, in one word of GitHub's.
func (r *run) state() string {
	if r.ended() && r.Conclusion != "" {
		return plain(r.Conclusion)
	}
	return plain(r.Status)
}

func (r *run) String() string {
	return fmt.Sprintf("run %d of %s (%s, began %s, %s)", r.ID, plain(r.Branch), r.state(), r.Started.UTC().Format("2006-01-02 15:04Z"), webLink(r.Link))
}

func plain(text string) string { return httpclient.Plain(text, maxText) }

// webLink returns s if a person can safely follow it.
func webLink(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxText || strings.ContainsAny(s, " \"<>") || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "no link"
	}
	return u.String()
}
