package datadog

import (
	"context"
	"fmt"
	"sync"
	"time"

	ddapi "github.com/DataDog/datadog-api-client-go/v2/api/datadog"
	v1 "github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	v2 "github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// maxConcurrent bounds the questions that are asked at once, over all callers.
const maxConcurrent = 8

// Source asks one site. It implements signalbox.Source and signalbox.Clock, and
// is safe for concurrent use. Its errors hold neither credentials nor addresses.
type Source struct {
	site    string
	timeout time.Duration
	client  *httpclient.Client
	keys    credentials
	now     func() time.Time

	slos     *v1.ServiceLevelObjectivesApi
	monitors *v1.MonitorsApi
	downtime *v2.DowntimesApi
	logs     *v2.LogsApi

	slots       chan struct{}
	answers     *memory[[]signalbox.Sample] // by question
	objects     *memory[slo]                // by id or name
	corrections *memory[[]v1.SLOCorrection] // by the SLO's id

	mu       sync.Mutex
	limiters map[string]*limiter
}

func open(name string, s *Settings, env kind.Env) (*Source, error) {
	base := s.URL
	if base == "" {
		base = "https://api." + s.Site
	}
	client, err := httpclient.New(name, base, s.HTTP, env)
	if err != nil {
		return nil, err
	}
	return newSource(s, client, env), nil
}

// How long an answer is shared with those who ask the same, and how long what
// an SLO is, its target and its tags, is taken as known.
const (
	sharedFor = 3 * time.Second
	objectFor = time.Minute
)

func newSource(s *Settings, client *httpclient.Client, env kind.Env) *Source {
	api := ddapi.NewAPIClient(configure(client.Base().String(), env.Agent, client.HTTP()))
	return &Source{
		site: s.Site, timeout: s.Timeout.Std(), client: client,
		keys: credentialsOf(s, env.ConfigDir), now: env.Now,
		slos: v1.NewServiceLevelObjectivesApi(api), monitors: v1.NewMonitorsApi(api),
		downtime: v2.NewDowntimesApi(api), logs: v2.NewLogsApi(api),
		slots:   make(chan struct{}, maxConcurrent),
		answers: newMemory[[]signalbox.Sample](sharedFor, env.Now),
		objects: newMemory[slo](objectFor, env.Now), limiters: map[string]*limiter{},
		corrections: newMemory[[]v1.SLOCorrection](objectFor, env.Now),
	}
}

// Origin names who measured: the site.
func (s *Source) Origin() string { return "datadog:" + s.site }

// Skew is how far Datadog's clock was ahead of ours in its last answer; false:
// not measured yet.
func (s *Source) Skew() (time.Duration, bool) { return s.client.Skew() }

// limiter is the rate limit of an endpoint.
func (s *Source) limiter(endpoint string) *limiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limiters[endpoint]
	if l == nil {
		l = newLimiter(endpoint, s.now)
		s.limiters[endpoint] = l
	}
	return l
}

// Ask asks each question, at most maxConcurrent of all callers' at once. What
// is not answered within the source's timeout, or before ctx ends, has an error
// as its answer. A sample's time is when its window ended, or when Datadog
// computed it, where it says so.
func (s *Source) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := make([]signalbox.Answer, len(qs))
	var asked sync.WaitGroup
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at}
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, s.timeout)
			defer cancel()
			samples, err := s.share(ctx, q.Query, at)
			if err != nil {
				answers[i].Err = err
				return
			}
			answers[i].Samples = samples
		})
	}
	asked.Wait()
	return answers
}

// share asks one question, or takes the answer that another caller just got.
func (s *Source) share(ctx context.Context, text string, at time.Time) ([]signalbox.Sample, error) {
	q, err := parseQuestion(text)
	if err != nil {
		return nil, err
	}
	return s.answers.get(ctx, text, func(ctx context.Context) ([]signalbox.Sample, error) {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d questions are under way: %w", maxConcurrent, httpclient.Explain(ctx.Err()))
		}
		defer func() { <-s.slots }()
		return s.one(ctx, q, at)
	})
}

func (s *Source) one(ctx context.Context, q question, at time.Time) ([]signalbox.Sample, error) {
	switch q.what {
	case asksHistory:
		return s.history(ctx, q, at)
	case asksState:
		return s.state(ctx, q)
	case asksMonitor:
		return s.monitor(ctx, q, at)
	}
	return s.count(ctx, q, at)
}
