package parity

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"

	signalbox "github.com/signalbox/signalbox"
)

// Engine is Prometheus' storage and PromQL engine, in process. It implements
// signalbox.Source.
type Engine struct {
	Storage *teststorage.TestStorage
	PromQL  *promql.Engine
	exposed map[*Target]map[*Series]labels.Labels // scraped last
}

// NewEngine returns one without series.
func NewEngine(t testing.TB) *Engine {
	e := &Engine{
		Storage: teststorage.New(t), exposed: map[*Target]map[*Series]labels.Labels{},
		PromQL: promql.NewEngine(promql.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true}),
	}
	t.Cleanup(func() { _ = e.Storage.Close() })
	return e
}

// Scrape appends what a target exposes, with the markers of what it exposed
// before and does not any more, as Prometheus' scrapes do.
func (e *Engine) Scrape(ctx context.Context, target *Target, began, now time.Time) error {
	at, app := now.Sub(began), e.Storage.Appender(ctx)
	stamp, instance := now.UnixMilli(), fmt.Sprintf("%s-%d:9100", target.Job, target.Index)
	with := func(name string, own map[string]string) labels.Labels {
		b := labels.NewBuilder(labels.FromMap(own))
		return b.Set("__name__", name).Set("job", target.Job).Set("instance", instance).Labels()
	}
	up, next := 1.0, map[*Series]labels.Labels{}
	if target.Down(at) {
		up = 0
	} else {
		for _, s := range target.Series {
			v, there := s.At(at, began, 1)
			if !there {
				continue
			}
			next[s] = with(s.Name, s.Labels)
			if _, err := app.Append(0, next[s], stamp, v); err != nil {
				return err
			}
		}
	}
	for s, l := range e.exposed[target] {
		if _, still := next[s]; !still {
			if _, err := app.Append(0, l, stamp, math.Float64frombits(value.StaleNaN)); err != nil {
				return err
			}
		}
	}
	e.exposed[target] = next
	if _, err := app.Append(0, with("up", nil), stamp, up); err != nil {
		return err
	}
	return app.Commit()
}

// Ask evaluates each question, as the API of a server would.
func (e *Engine) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at}
		answers[i].Samples, answers[i].Err = e.instant(ctx, q.Query, at)
	}
	return answers
}

func (e *Engine) instant(ctx context.Context, text string, at time.Time) ([]signalbox.Sample, error) {
	q, err := e.PromQL.NewInstantQuery(ctx, storage.Queryable(e.Storage), nil, text, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, res.Err
	}
	switch v := res.Value.(type) {
	case promql.Vector:
		samples := make([]signalbox.Sample, len(v))
		for i, s := range v {
			samples[i] = signalbox.Sample{Labels: s.Metric.Map(), Value: s.F, At: time.UnixMilli(s.T).UTC()}
		}
		return samples, nil
	case promql.Scalar:
		return []signalbox.Sample{{Value: v.V, At: time.UnixMilli(v.T).UTC()}}, nil
	}
	return nil, errors.New("neither a vector nor a scalar")
}
