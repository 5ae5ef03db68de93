package loki

import (
	"context"
	"errors"
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

// maxConcurrent bounds the requests in flight, over all callers: a query of
// Loki's costs more than one of Prometheus', and Loki queues them by tenant.
const maxConcurrent = 4

// Source asks one server, as one tenant. It implements signalbox.Source and
// signalbox.Clock, and is safe for concurrent use. Its errors hold neither
// credentials nor addresses.
type Source struct {
	timeout time.Duration
	page    int
	client  *httpclient.Client
	slots   chan struct{}
}

func open(name string, s *Settings, env kind.Env) (*Source, error) {
	client, err := httpclient.New(name, s.URL, s.client(), env)
	if err != nil {
		return nil, err
	}
	return newSource(s, client), nil
}

func newSource(s *Settings, client *httpclient.Client) *Source {
	return &Source{timeout: s.Timeout.Std(), page: s.PageSize, client: client, slots: make(chan struct{}, maxConcurrent)}
}

// Origin names the server, for the independence of signals.
func (s *Source) Origin() string { return "loki:" + s.client.Base().Host }

// Skew is how far the server's clock was ahead of ours in its last answer, to
// about a second; false: not measured yet.
func (s *Source) Skew() (time.Duration, bool) { return s.client.Skew() }

// Ask answers each question: LogQL that gives a value at the moment at, or the
// lines of a stream from Question.From up to it, not included. At most
// maxConcurrent requests of all callers are under way at once. A request that
// is not answered within the source's timeout, or before ctx ends, makes an
// error the answer.
func (s *Source) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := make([]signalbox.Answer, len(qs))
	var asked sync.WaitGroup
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at}
		asked.Go(func() { s.ask(ctx, &answers[i]) })
	}
	asked.Wait()
	return answers
}

func (s *Source) ask(ctx context.Context, a *signalbox.Answer) {
	if strings.HasPrefix(a.Question.Query, streamPrefix) {
		a.Samples, a.Warnings, a.Err = s.lines(ctx, a.Question, a.At)
	} else {
		a.Samples, a.Warnings, a.Err = s.value(ctx, a.Question.Query, a.At)
	}
	if a.Err != nil {
		a.Samples, a.Warnings = nil, nil
	}
	s.client.RedactAnswer(a)
}

// get asks one of Loki's query endpoints.
// See https://grafana.com/docs/loki/latest/reference/loki-http-api/.
func (s *Source) get(ctx context.Context, path string, form url.Values) (*data, []string, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, httpclient.Explain(ctx.Err())
	}
	defer func() { <-s.slots }()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var body response
	err := s.client.JSON(ctx, http.MethodGet, "loki/api/v1/"+path, form, nil, &body, func(b []byte) string { return string(b) })
	switch {
	case errors.Is(err, httpclient.ErrTooLarge) && path == rangePath:
		return nil, nil, errPageTooLarge
	case errors.Is(err, httpclient.ErrTooLarge):
		return nil, nil, errTooLarge
	case err != nil:
		return nil, nil, err
	case body.Status != "success" || body.Data == nil:
		return nil, nil, errShape
	}
	var warnings []string
	for _, w := range body.Warnings {
		warnings = append(warnings, s.client.Plain(w, maxText))
	}
	return body.Data, warnings, nil
}

// nanoseconds writes a moment as Loki reads it.
func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
