package loki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// The endpoints, below loki/api/v1/.
const (
	instantPath = "query"
	rangePath   = "query_range"
)

// Bounds of what is taken as an answer, and of what is repeated of it.
const (
	maxSeries = 20_000
	maxText   = 300
)

var (
	errShape        = errors.New("the answer is not one of Loki's HTTP API")
	errTooLarge     = fmt.Errorf("%w: aggregate in the query", httpclient.ErrTooLarge)
	errPageTooLarge = fmt.Errorf("%w: make the source's page_size smaller", httpclient.ErrTooLarge)
	errNotMetric    = errors.New("the query selects lines, and one that gives a value was expected")
)

// response is what Loki answers to a query.
type response struct {
	Status   string   `json:"status"`
	Warnings []string `json:"warnings"`
	Data     *data    `json:"data"`
}

type data struct {
	Type   string          `json:"resultType"`
	Result json.RawMessage `json:"result"`
}

// value evaluates LogQL that gives a value at a moment.
func (s *Source) value(ctx context.Context, query string, at time.Time) ([]signalbox.Sample, []string, error) {
	d, warnings, err := s.get(ctx, instantPath, url.Values{"query": {query}, "time": {nanoseconds(at)}})
	if err != nil {
		return nil, nil, err
	}
	samples, err := d.values(at)
	return samples, warnings, err
}

// point is a value as the API writes it: [1772366400.123, "1.5"], the time in
// seconds.
type point struct {
	at    time.Time
	value float64
}

func (p *point) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	var seconds float64
	var text string
	if json.Unmarshal(b, &pair) != nil || len(pair) != 2 || json.Unmarshal(pair[0], &seconds) != nil || json.Unmarshal(pair[1], &text) != nil {
		return errShape
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(seconds) > 1e11 {
		return errShape
	}
	p.at, p.value = time.UnixMilli(int64(math.Round(seconds*1e3))), v
	return nil
}

// values reads the answer to an instant query.
func (d *data) values(at time.Time) ([]signalbox.Sample, error) {
	switch d.Type {
	case "vector":
		return d.vector(at)
	case "scalar":
		var p *point
		if err := json.Unmarshal(d.Result, &p); err != nil || p == nil {
			return nil, errShape
		}
		return []signalbox.Sample{{Value: p.value, At: p.at}}, p.of(at)
	case "streams":
		return nil, errNotMetric
	}
	return nil, errShape
}

func (d *data) vector(at time.Time) ([]signalbox.Sample, error) {
	var series []struct {
		Metric map[string]string `json:"metric"`
		Value  *point            `json:"value"`
	}
	if err := json.Unmarshal(d.Result, &series); err != nil || series == nil {
		return nil, errShape
	}
	if len(series) > maxSeries {
		return nil, fmt.Errorf("the answer holds %d series, and at most %d are taken: aggregate in the query", len(series), maxSeries)
	}
	samples := make([]signalbox.Sample, 0, len(series))
	for _, s := range series {
		if s.Value == nil {
			return nil, errShape
		}
		if err := s.Value.of(at); err != nil {
			return nil, err
		}
		samples = append(samples, signalbox.Sample{Labels: s.Metric, Value: s.Value.value, At: s.Value.at})
	}
	return samples, nil
}

// skew is how far an answer may be from the moment asked about: the API has
// milliseconds. More means that another moment's answer came from a cache.
const skew = time.Second

func (p *point) of(at time.Time) error {
	if p.at.Sub(at).Abs() > skew {
		return fmt.Errorf("the answer is for %s, and %s was asked about: is there a cache between?", p.at.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
	}
	return nil
}
