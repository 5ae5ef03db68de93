package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// maxText bounds, in bytes, what of a foreign text is repeated.
const maxText = 255

// reply is what is taken of an answer: a list of runs, or one of workflows.
type reply struct {
	Total     int        `json:"total_count"`
	Runs      []run      `json:"workflow_runs"`
	Workflows []workflow `json:"workflows"`
}

type workflow struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	State string `json:"state"`
}

// run is one workflow run. Who started it is left out on purpose.
type run struct {
	ID         int64     `json:"id"`
	Number     int64     `json:"run_number"`
	Attempt    int64     `json:"run_attempt"` // 1 for the first
	Status     string    `json:"status"`
	Conclusion string    `json:"conclusion"` // "" until it is completed
	Branch     string    `json:"head_branch"`
	SHA        string    `json:"head_sha"`
	Event      string    `json:"event"`
	Link       string    `json:"html_url"`
	Created    time.Time `json:"created_at"`
	Started    time.Time `json:"run_started_at"` // of this attempt
	Updated    time.Time `json:"updated_at"`
	Repository *origin   `json:"repository"`
	Head       *origin   `json:"head_repository"` // where the branch is; null: it was deleted
}

type origin struct {
	ID int64 `json:"id"`
}

// readReply reads an answer, and refuses what can't be told apart or ordered.
func readReply(body []byte) (*reply, error) {
	r, err := httpclient.DecodeJSON[*reply](body)
	switch {
	case err != nil:
		return nil, err
	case r == nil, r.Runs == nil && r.Workflows == nil:
		return nil, errors.New("the answer is neither a list of workflow runs nor one of workflows")
	case len(r.Runs) > runsPerPage, len(r.Workflows) > flowsPerPage:
		return nil, fmt.Errorf("the answer lists %d, more than was asked for", max(len(r.Runs), len(r.Workflows)))
	}
	seen := map[int64]bool{}
	for i := range r.Runs {
		if why := r.Runs[i].check(); why != "" || seen[r.Runs[i].ID] {
			return nil, fmt.Errorf("workflow_runs[%d] must have %s", i, or(why, "an id of its own"))
		}
		seen[r.Runs[i].ID] = true
	}
	for i, f := range r.Workflows {
		if f.ID <= 0 {
			return nil, fmt.Errorf("workflows[%d] must have an id", i)
		}
	}
	return r, nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (r *run) check() string {
	switch {
	case r.ID <= 0:
		return "an id"
	case r.Status == "":
		return "a status"
	case r.Created.IsZero():
		return "created_at"
	}
	r.Attempt = max(r.Attempt, 1)
	if r.Started.IsZero() {
		r.Started = r.Created
	}
	return ""
}

// fork says that the run is of a branch of another repository, which may have
// any name, that of our main branch too.
func (r *run) fork() bool {
	return r.Head == nil || r.Repository != nil && r.Head.ID != r.Repository.ID
}

// message finds the message in the body of an error.
func message(body []byte) string {
	var e struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &e) // another body has none
	return e.Message
}

// samples are the runs of this repository's own branches, as they were listed.
// Their time is when they were read; their own times are labels. redact leaves
// out of a text what must not be told.
func samples(runs []run, at time.Time, redact func(string) string) []signalbox.Sample {
	text := func(s string) string { return plain(redact(s)) }
	out := make([]signalbox.Sample, 0, len(runs))
	for i := range runs {
		r := &runs[i]
		if r.fork() {
			continue
		}
		out = append(out, signalbox.Sample{At: at, Value: float64(r.Attempt), Labels: map[string]string{
			"run_id": strconv.FormatInt(r.ID, 10), "run_number": strconv.FormatInt(r.Number, 10), "attempt": strconv.FormatInt(r.Attempt, 10),
			"status": text(r.Status), "conclusion": text(r.Conclusion), "branch": text(r.Branch), "event": text(r.Event),
			"head_sha": text(r.SHA), "link": webLink(redact(r.Link)),
			"created": stamp(r.Created), "started": stamp(r.Started), "updated": stamp(r.Updated),
		}})
	}
	return out
}

func plain(text string) string { return httpclient.Plain(text, maxText) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// webLink returns s if a person can safely follow it.
func webLink(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxText || strings.ContainsAny(s, " \"<>") || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}
