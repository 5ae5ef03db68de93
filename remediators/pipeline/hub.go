package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/reach"
)

// apiVersion is the one that every GitHub Enterprise Server in support has.
const apiVersion = "2022-11-28"

// Bounds of what is read.
const (
	perPage  = 100
	maxPages = 3
)

// hub is one repository at one GitHub, for one call.
type hub struct {
	spec   spec
	client *http.Client
	now    func() time.Time
}

// wire adds the headers that GitHub asks for, and notes what the errors of
// package httpclient leave out.
type wire struct {
	next        http.RoundTripper
	undelivered bool
	status      int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("X-GitHub-Api-Version", apiVersion)
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		w.undelivered = reach.Undelivered(err)
		return nil, err
	}
	w.status = resp.StatusCode
	return resp, nil
}

// send does one request below the repository. An error of a write is a
// *signalbox.Failure where GitHub surely did nothing; of a read, where it
// answered for sure.
func (h *hub) send(ctx context.Context, method string, path []string, query url.Values, body, into any) (status int, err error) {
	base, err := url.Parse(h.spec.URL)
	if err != nil {
		return 0, reach.Refused("the address of GitHub can't be parsed")
	}
	ctx, cancel := context.WithTimeout(ctx, reach.CallTimeout)
	defer cancel()
	w := &wire{next: h.client.Transport}
	client := httpclient.Over(w, base, false, h.now)
	segments := []string{"repos", url.PathEscape(h.spec.Owner), url.PathEscape(h.spec.Repository)}
	for _, s := range path {
		segments = append(segments, url.PathEscape(s))
	}
	err = client.JSON(ctx, method, strings.Join(segments, "/"), query, body, into, message)
	return w.status, h.explain(method, strings.Join(path, "/"), w, err)
}

func (h *hub) get(ctx context.Context, path []string, query url.Values, into any) error {
	status, err := h.send(ctx, http.MethodGet, path, query, nil, into)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s was answered %d", strings.Join(path, "/"), status)
	}
	return err
}

// explain says what an error means for what was asked.
func (h *hub) explain(method, path string, w *wire, err error) error {
	if err == nil {
		return nil
	}
	write := method != http.MethodGet
	text := fmt.Errorf("%s %s of %s/%s: %w", strings.ToLower(method), path, h.spec.Owner, h.spec.Repository, err)
	if write && w.undelivered {
		return &signalbox.Failure{Reason: "nothing was sent", Err: text}
	}
	var later *signalbox.RetryAfter
	limited := errors.As(err, &later) || w.status == http.StatusTooManyRequests
	if later != nil {
		text = &signalbox.RetryAfter{After: later.After, Err: text}
	}
	switch code := w.status; {
	case code/100 == 3:
		return &signalbox.Failure{Reason: "the repository has moved, and redirects are not followed: give its present name", Err: text}
	case !reach.Definite(code):
		return text
	case limited && write:
		return &signalbox.Failure{Reason: "GitHub's rate limit was reached, and it refused", Err: text}
	case limited:
		return text
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return &signalbox.Failure{Reason: "the token is not accepted, or may not do this: it needs Actions (read and write), Contents (read) and Deployments (read) on the repository", Err: text}
	case code == http.StatusNotFound:
		return &signalbox.Failure{Reason: "it is not there, or the token may not see it", Err: text}
	}
	return &signalbox.Failure{Reason: "GitHub refused", Err: text}
}

// message finds the message in the body of an error.
func message(body []byte) string {
	var e struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &e) // another body has none
	return e.Message
}

// workflow reads one workflow by its file name or id.
func (h *hub) workflow(ctx context.Context, name string) (workflow, error) {
	var w workflow
	if err := h.get(ctx, []string{"actions", "workflows", name}, nil, &w); err != nil {
		return w, err
	}
	if w.ID <= 0 || w.Path == "" {
		return w, errors.New("the answer is not a workflow")
	}
	return w, nil
}

// runs lists the runs of a workflow, the newest created first, over at most
// maxPages pages; whole is false where there are more.
func (h *hub) runs(ctx context.Context, name string, pages int, query url.Values) (list []run, whole bool, err error) {
	seen := map[int64]bool{}
	for page := 1; page <= pages; page++ {
		q := url.Values{"per_page": {strconv.Itoa(perPage)}, "page": {strconv.Itoa(page)}, "exclude_pull_requests": {"true"}}
		for k, v := range query {
			q[k] = v
		}
		var l runList
		if err := h.get(ctx, []string{"actions", "workflows", name, "runs"}, q, &l); err != nil {
			return nil, false, err
		}
		if l.Runs == nil {
			return nil, false, errors.New("the answer is not a list of workflow runs")
		}
		for _, r := range l.Runs {
			if err := r.complete(); err != nil {
				return nil, false, err
			}
			if !seen[r.ID] { // one that began meanwhile shifts the pages
				seen[r.ID] = true
				list = append(list, r)
			}
		}
		if len(l.Runs) < perPage {
			return list, true, nil
		}
	}
	return list, false, nil
}

// run reads one run.
func (h *hub) run(ctx context.Context, id int64) (run, error) {
	var r run
	if err := h.get(ctx, []string{"actions", "runs", strconv.FormatInt(id, 10)}, url.Values{"exclude_pull_requests": {"true"}}, &r); err != nil {
		return r, err
	}
	if err := r.complete(); err != nil || r.ID != id {
		return r, errors.New("the answer is not the run that was asked for")
	}
	return r, nil
}

// jobs lists the jobs of a run's newest attempt, at most perPage of them.
func (h *hub) jobs(ctx context.Context, id int64) ([]job, error) {
	var l jobList
	err := h.get(ctx, []string{"actions", "runs", strconv.FormatInt(id, 10), "jobs"}, url.Values{"filter": {"latest"}, "per_page": {strconv.Itoa(perPage)}}, &l)
	if err == nil && l.Jobs == nil {
		err = errors.New("the answer is not a list of jobs")
	}
	return l.Jobs, err
}

// tag reads the commit that a tag names.
func (h *hub) tag(ctx context.Context, name string) (string, error) {
	var c commit
	err := h.get(ctx, []string{"commits", "tags/" + name}, nil, &c)
	if err == nil && c.SHA == "" {
		err = errors.New("the answer is not a commit")
	}
	return c.SHA, err
}

// compare reads which files differ.
func (h *hub) compare(ctx context.Context, base, head string) (comparison, error) {
	var c comparison
	err := h.get(ctx, []string{"compare", base + "..." + head}, url.Values{"per_page": {"1"}}, &c)
	if err == nil && (c.Status == "" || c.Files == nil) {
		err = errors.New("the answer is not a comparison")
	}
	return c, err
}

// deployed says when a commit began to be in an environment, by its
// deployments, and when the environment was marked as left; zero: not.
func (h *hub) deployed(ctx context.Context, sha, environment string) (since, until time.Time, err error) {
	var list []deployment
	if err := h.get(ctx, []string{"deployments"}, url.Values{"sha": {sha}, "environment": {environment}, "per_page": {"10"}}, &list); err != nil {
		return since, until, err
	}
	for _, d := range list {
		if d.SHA != sha || d.Environment != environment || d.ID <= 0 {
			return since, until, errors.New("the answer lists other deployments than were asked for")
		}
		var states []deploymentStatus
		if err := h.get(ctx, []string{"deployments", strconv.FormatInt(d.ID, 10), "statuses"}, url.Values{"per_page": {"100"}}, &states); err != nil {
			return since, until, err
		}
		var from, to time.Time
		for _, s := range states { // the newest first
			switch s.State {
			case "success":
				from = s.Created
			case "inactive", "error", "failure":
				to = s.Created
			}
		}
		if from.IsZero() {
			continue
		}
		if to.Before(from) {
			to = time.Time{}
		}
		if since.IsZero() || span(from, to, h.now()) > span(since, until, h.now()) {
			since, until = from, to
		}
	}
	return since, until, nil
}

// span is how long it was there; a zero end is now.
func span(from, to, now time.Time) time.Duration {
	if to.IsZero() {
		to = now
	}
	return to.Sub(from)
}
