package prometheus

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Bounds of what is asked at once and of what is taken as an answer.
const (
	maxConcurrent = 8
	maxSeries     = 20_000
)

// rangeSteps is how many steps one range query covers. Prometheus refuses more
// than 11,000 points a series; a tenth keeps one answer small.
const rangeSteps = 1_000

// Source asks one server. It implements signalbox.Source and
// signalbox.History, and is safe for concurrent use. Its errors hold neither
// credentials nor addresses beyond the host.
type Source struct {
	name    string
	timeout time.Duration
	client  *httpclient.Client
	api     v1.API
	slots   chan struct{} // bounds the requests in flight, over all callers
	types   types
}

func open(name string, s *Settings, env kind.Env) (*Source, error) {
	client, err := httpclient.New(name, s.URL, s.HTTP, env)
	if err != nil {
		return nil, err
	}
	return newSource(name, s.Timeout.Std(), client)
}

func newSource(name string, timeout time.Duration, client *httpclient.Client) (*Source, error) {
	c, err := api.NewClient(api.Config{Address: client.Base().String(), Client: client.HTTP()})
	if err != nil {
		return nil, fmt.Errorf("source %s: url can't be parsed", name)
	}
	return &Source{name: name, timeout: timeout, client: client, api: v1.NewAPI(c), slots: make(chan struct{}, maxConcurrent)}, nil
}

// Origin names the server, for the independence of signals.
func (s *Source) Origin() string { return "prometheus:" + s.client.Base().Host }

// Skew is how far the server's clock was ahead of ours in its last answer, to
// about a second; false: not measured yet.
func (s *Source) Skew() (time.Duration, bool) { return s.client.Skew() }

// Ask evaluates each question at the moment at, in at most maxConcurrent
// requests of all callers at once. A question that is not answered within the
// source's timeout, or before ctx ends, has an error as its answer.
func (s *Source) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := answersTo(qs, at)
	groups := s.Together(qs)
	var asked sync.WaitGroup
	for _, places := range groups {
		group := make([]*signalbox.Answer, len(places))
		for i, place := range places {
			group[i] = &answers[place]
		}
		if err := s.enter(ctx); err != nil {
			for _, a := range group {
				a.Err = s.explain(err)
			}
			continue
		}
		ask := func() {
			defer s.leave()
			s.askAll(ctx, group)
		}
		if len(groups) == 1 { // nothing to do beside it
			ask()
			continue
		}
		asked.Go(ask)
	}
	asked.Wait()
	return answers
}

func (s *Source) enter(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Source) leave() { <-s.slots }

func (s *Source) ask(ctx context.Context, a *signalbox.Answer) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	value, warnings, _, err := s.api.Query(ctx, a.Question.Query, a.At, v1.WithTimeout(s.timeout))
	if err == nil {
		a.Samples, err = instant(value, a.At)
	}
	if err != nil {
		a.Samples, a.Err = nil, s.explain(err)
		return
	}
	s.client.RedactAnswer(a)
	// Infos are left out on purpose: they are hints on how a query is written
	// ("metric might not be a counter"), and never say that data is missing.
	a.Warnings = s.plainAll(warnings)
}

// skew is how far an answer may be from the moment asked about: the API has
// milliseconds. More means that another moment's answer came from a cache.
const skew = time.Second

// instant converts the answer to an instant query.
func instant(value model.Value, at time.Time) ([]signalbox.Sample, error) {
	switch v := value.(type) {
	case *model.Scalar:
		if v == nil {
			break
		}
		return checked([]signalbox.Sample{{Value: float64(v.Value), At: v.Timestamp.Time()}}, at)
	case model.Vector:
		if len(v) > maxSeries {
			return nil, fmt.Errorf("the answer holds %d series, and at most %d are taken: aggregate in the query", len(v), maxSeries)
		}
		samples := make([]signalbox.Sample, 0, len(v))
		for _, s := range v {
			switch {
			case s == nil:
				return nil, errShape
			case s.Histogram != nil:
				return nil, errHistogram
			}
			samples = append(samples, signalbox.Sample{Labels: labelsOf(s.Metric), Value: float64(s.Value), At: s.Timestamp.Time()})
		}
		return checked(samples, at)
	}
	return nil, errShape
}

func checked(samples []signalbox.Sample, at time.Time) ([]signalbox.Sample, error) {
	for _, s := range samples {
		if s.At.Sub(at).Abs() > skew {
			return nil, fmt.Errorf("the answer is for %s, and %s was asked about: is there a cache between?", s.At.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
		}
	}
	return samples, nil
}

func labelsOf(m model.Metric) map[string]string {
	labels := make(map[string]string, len(m))
	for n, v := range m {
		labels[string(n)] = string(v)
	}
	return labels
}

// Range evaluates q at each step of [from, to], in order: one Answer a step. It
// ends at the first error.
func (s *Source) Range(ctx context.Context, q signalbox.Question, from, to time.Time, step time.Duration) iter.Seq2[signalbox.Answer, error] {
	return func(yield func(signalbox.Answer, error) bool) {
		if step <= 0 {
			yield(signalbox.Answer{Question: q}, fmt.Errorf("step must be greater than 0, got %s", step))
			return
		}
		for !from.After(to) {
			last := from.Add((rangeSteps - 1) * step)
			if last.After(to) {
				last = to
			}
			answers, err := s.span(ctx, q, v1.Range{Start: from, End: last, Step: step})
			if err != nil {
				yield(signalbox.Answer{Question: q, At: from}, s.explain(err))
				return
			}
			for _, a := range answers {
				if !yield(a, nil) {
					return
				}
			}
			from = from.Add(rangeSteps * step)
		}
	}
}

// span asks one range query, and turns its series into an answer a step.
func (s *Source) span(ctx context.Context, q signalbox.Question, r v1.Range) ([]signalbox.Answer, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	value, warnings, _, err := s.api.QueryRange(ctx, q.Query, r, v1.WithTimeout(s.timeout))
	if err != nil {
		return nil, err
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, errShape
	}
	answers := make([]signalbox.Answer, r.End.Sub(r.Start)/r.Step+1)
	for i := range answers {
		answers[i] = signalbox.Answer{Question: q, At: r.Start.Add(time.Duration(i) * r.Step), Warnings: s.plainAll(warnings)}
	}
	for _, series := range matrix {
		if series == nil {
			return nil, errShape
		}
		if len(series.Histograms) > 0 {
			return nil, errHistogram
		}
		labels := labelsOf(series.Metric)
		for _, v := range series.Values {
			i := int((v.Timestamp.Time().Sub(r.Start) + r.Step/2) / r.Step)
			if i < 0 || i >= len(answers) {
				return nil, errShape
			}
			answers[i].Samples = append(answers[i].Samples, signalbox.Sample{Labels: labels, Value: float64(v.Value), At: answers[i].At})
		}
	}
	return answers, nil
}
