package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Bounds of what is asked. GitHub asks for few requests at once; a page of
// runs is some hundred kilobytes.
const (
	maxConcurrent = 4
	runsPerPage   = 30
	flowsPerPage  = 100
	maxFlowPages  = 10
)

// apiVersion is the one that every GitHub Enterprise Server in support has.
const apiVersion = "2022-11-28"

// Source asks one GitHub. It implements signalbox.Source and signalbox.Clock,
// and is safe for concurrent use. Its errors hold no credentials and no address.
type Source struct {
	client  *httpclient.Client
	api     *httpclient.Polite[*reply]
	timeout time.Duration
	slots   chan struct{}
}

func open(name string, s *Settings, env kind.Env) (*Source, error) {
	client, err := httpclient.New(name, s.URL, s.HTTP, env)
	if err != nil {
		return nil, err
	}
	api := httpclient.NewPolite(client, httpclient.PoliteOptions[*reply]{
		Every: s.Refresh.Std(), Decode: readReply, Say: message,
		Header: http.Header{"Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {apiVersion}},
	})
	return &Source{client: client, api: api, timeout: s.Timeout.Std(), slots: make(chan struct{}, maxConcurrent)}, nil
}

// Origin names who measures.
func (s *Source) Origin() string { return "github:" + s.client.Base().Host }

// Skew is how far GitHub's clock was ahead of ours in its last answer.
func (s *Source) Skew() (time.Duration, bool) { return s.client.Skew() }

// Ask lists the runs of the workflows that the questions name. A list is asked
// for at most once in the source's refresh: between, what was read last is the
// answer, with the time at which it was. After an answer that says to wait,
// nothing is asked until then, and the answers are errors.
func (s *Source) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := make([]signalbox.Answer, len(qs))
	var asked sync.WaitGroup
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at}
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			answers[i].Err = httpclient.Explain(ctx.Err())
			continue
		}
		asked.Go(func() {
			defer func() { <-s.slots }()
			answers[i].Samples, answers[i].Err = s.ask(ctx, q.Query)
		})
	}
	asked.Wait()
	return answers
}

func (s *Source) ask(ctx context.Context, query string) ([]signalbox.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	w, err := parseWatched(query)
	if err != nil {
		return nil, err
	}
	flow, err := s.workflow(ctx, w)
	if err != nil {
		return nil, err
	}
	params := url.Values{"per_page": {strconv.Itoa(runsPerPage)}, "exclude_pull_requests": {"true"}}
	if w.branch != "" {
		params.Set("branch", w.branch)
	}
	if w.event != "" {
		params.Set("event", w.event)
	}
	read, seen, err := s.api.Get(ctx, w.path("workflows", url.PathEscape(flow), "runs"), params)
	switch {
	case err != nil:
		return nil, err
	case read.Runs == nil:
		return nil, errors.New("the answer is not a list of workflow runs")
	}
	return samples(read.Runs, seen, s.client.Redact), nil
}

// workflow returns the id or file name of the watched workflow. One that is
// given by its name is looked up.
func (s *Source) workflow(ctx context.Context, w watched) (string, error) {
	if w.byID() || w.byFile() {
		return w.workflow, nil
	}
	var found []workflow
	for page, seen := 1, 0; page <= maxFlowPages; page++ {
		read, _, err := s.api.Get(ctx, w.path("workflows"), url.Values{"per_page": {strconv.Itoa(flowsPerPage)}, "page": {strconv.Itoa(page)}})
		switch {
		case err != nil:
			return "", err
		case read.Workflows == nil:
			return "", errors.New("the answer is not a list of workflows")
		}
		for _, f := range read.Workflows {
			if f.Name == w.workflow && f.State != "deleted" {
				found = append(found, f)
			}
		}
		if seen += len(read.Workflows); len(read.Workflows) == 0 || seen >= read.Total {
			break
		}
	}
	switch len(found) {
	case 1:
		return strconv.FormatInt(found[0].ID, 10), nil
	case 0:
		return "", fmt.Errorf("the repository has no workflow of the name %q", w.workflow)
	}
	return "", fmt.Errorf("the repository has %d workflows of the name %q: say the file name", len(found), w.workflow)
}

// watched is what a question asks about.
type watched struct {
	owner, repository string
	workflow          string // id, file name or name
	branch, event     string // "": any
}

// query is the text of the question; parseWatched reads it.
func (w watched) query() string {
	v := url.Values{"repository": {w.owner + "/" + w.repository}, "workflow": {w.workflow}}
	if w.branch != "" {
		v.Set("branch", w.branch)
	}
	if w.event != "" {
		v.Set("event", w.event)
	}
	return v.Encode()
}

func parseWatched(query string) (watched, error) {
	v, err := url.ParseQuery(query)
	w := watched{workflow: v.Get("workflow"), branch: v.Get("branch"), event: v.Get("event")}
	w.owner, w.repository, _ = strings.Cut(v.Get("repository"), "/")
	if err != nil || w.rule() != "" || w.query() != query {
		return watched{}, errors.New("the question must name a repository and a workflow")
	}
	return w, nil
}

func (w watched) byID() bool {
	return w.workflow != "" && strings.Trim(w.workflow, "0123456789") == ""
}

func (w watched) byFile() bool {
	return strings.HasSuffix(w.workflow, ".yml") || strings.HasSuffix(w.workflow, ".yaml")
}

func (w watched) path(below ...string) string {
	return "repos/" + url.PathEscape(w.owner) + "/" + url.PathEscape(w.repository) + "/actions/" + strings.Join(below, "/")
}
