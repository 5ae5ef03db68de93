package grafana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/freshness"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// Ask resolves each question's panel as it is now, and asks its data source for
// the values at the moment at, at most maxConcurrent of all callers' at once. The
// first sample of an answer tells of the panel (see about), the others are its
// values, in the unit that the question wants.
func (s *Source) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := make([]signalbox.Answer, len(qs))
	var asked sync.WaitGroup
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at}
		if err := s.enter(ctx); err != nil {
			answers[i].Err = httpclient.Explain(err)
			continue
		}
		asked.Go(func() {
			defer s.leave()
			s.ask(ctx, &answers[i])
		})
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
	defer s.client.RedactAnswer(a)
	ref, err := parseReference(a.Question.Query)
	if err != nil {
		a.Err = err
		return
	}
	p, told, err := s.resolve(ctx, ref, a)
	if err != nil {
		a.Err = fmt.Errorf("%s: %w", ref.place(), err)
		return
	}
	values, warnings, err := s.values(ctx, p, a.At)
	if err != nil {
		a.Err = fmt.Errorf("%s: %w", ref.place(), err)
		return
	}
	a.Samples, a.Warnings = append([]signalbox.Sample{told.sample(a.At)}, values...), warnings
}

// resolve finds the panel and makes of it what is asked, and takes note of what
// is another since the last time.
func (s *Source) resolve(ctx context.Context, ref reference, a *signalbox.Answer) (*plan, about, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	d, err := s.books.define(ctx, ref, s.memory.where(a.Question.Query))
	if err != nil {
		s.lost(a.Question.Query, ref, err)
		return nil, about{}, err
	}
	p, err := d.plan(ref, a.At)
	if err != nil {
		s.lost(a.Question.Query, ref, err)
		return nil, about{}, err
	}
	at := spot{dashboard: d.board.Dashboard.UID, panel: int64(d.panel.ID)}
	return p, about{
		Origin: p.datasource.origin(), Window: p.window,
		Link:    s.panelLink(at, d.given(ref), p.facts.dashboard+": "+p.facts.title),
		Changes: s.found(a.Question.Query, ref, at, p.facts, a.At),
	}, nil
}

// about is what an answer tells of its panel, beside the values.
type about struct {
	Origin  string         `json:"origin,omitempty"` // of the data source; "": not known
	Window  time.Duration  `json:"window,omitempty"`
	Link    signalbox.Link `json:"link"`
	Changes []string       `json:"changes,omitempty"` // of late, oldest first
}

func (a about) sample(at time.Time) signalbox.Sample {
	text, _ := json.Marshal(a) // strings and a number: it can't fail
	return signalbox.Sample{Text: string(text), At: at}
}

// readAbout splits an answer's samples into what is told of the panel and its
// values.
func readAbout(samples []signalbox.Sample) (a about, values []signalbox.Sample, err error) {
	if len(samples) == 0 || json.Unmarshal([]byte(samples[0].Text), &a) != nil {
		return about{}, nil, errors.New("the answer says nothing of its panel")
	}
	return a, samples[1:], nil
}

// values asks the data source through Grafana.
func (s *Source) values(ctx context.Context, p *plan, at time.Time) ([]signalbox.Sample, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var out results
	err := s.client.JSON(ctx, http.MethodPost, "/api/ds/query", nil, map[string]any{
		"from": formatInt(p.times.from.UnixMilli()), "to": formatInt(p.times.to.UnixMilli()), "queries": p.queries,
	}, &out, queryMessage)
	if err != nil {
		return nil, nil, fmt.Errorf("its query: %w", err)
	}
	found := make([][]signalbox.Sample, len(p.queries))
	var warnings []string
	for i, q := range p.queries {
		r, there := out.Results[q["refId"].(string)]
		if !there {
			return nil, nil, fmt.Errorf("its query: the answer lacks the result of %q", q["refId"])
		}
		var warned []string
		r.redact(s.client.Redact)
		if found[i], warned, err = r.samples(at); err != nil {
			return nil, nil, fmt.Errorf("its query: %w", err)
		}
		warnings = append(warnings, warned...)
	}
	values := found[0]
	if p.promql != nil {
		if err := p.date(values, found[1:], at); err != nil {
			return nil, nil, err
		}
	}
	for i := range values {
		values[i].Value *= p.factor
	}
	return values, slices.Compact(warnings), nil
}

// clockSlack is by how much the moment of an evaluation may differ from the one
// that was asked about, and futureSlack how far in the future a sample may seem.
const (
	clockSlack  = time.Second
	futureSlack = 5 * time.Second
)

// date gives each value of PromQL the time of the oldest sample behind it. Their
// own time is the evaluation's, which older versions of Grafana round down to a
// step.
func (p *plan) date(values []signalbox.Sample, ages [][]signalbox.Sample, at time.Time) error {
	questions, index := p.promql.Questions(), map[string]int{}
	for i, q := range questions {
		index[q] = i
	}
	for _, list := range append(slices.Clone(ages), values) {
		for _, v := range list {
			if late := at.Sub(v.At); late < -clockSlack || late > p.step+clockSlack {
				return fmt.Errorf("the answer is for %s, and %s was asked about: is there a cache between?", v.At.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
			}
		}
	}
	behind := freshness.NewAges(p.promql, func(question string) signalbox.Answer {
		return signalbox.Answer{Samples: ages[index[question]]}
	})
	for i := range values {
		v := &values[i]
		m, ok := behind.Behind(v.Labels)
		switch {
		case !ok:
			v.Text = "no present sample stands behind the value"
			continue
		case m.Newest.After(at.Add(futureSlack)):
			v.Text = fmt.Sprintf("a sample behind it is %s in the future", m.Newest.Sub(at).Round(time.Second))
		}
		v.At = m.Oldest
	}
	return nil
}

// queryMessage finds what Grafana says of a query that was refused: in the
// result of one of its parts, or of the whole.
func queryMessage(body []byte) string {
	var out results
	if json.Unmarshal(body, &out) == nil {
		var said []string
		for _, r := range out.Results {
			if r.Error != "" {
				said = append(said, r.Error)
			}
		}
		if slices.Sort(said); len(said) > 0 {
			return strings.Join(slices.Compact(said), "; ")
		}
	}
	return message(body)
}
