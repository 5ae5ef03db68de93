package datadog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	v2 "github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"
	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
)

// maxBuckets bounds the groups of one count, as Datadog itself does.
const maxBuckets = 10_000

// countName is how Datadog names the first of the figures that are asked for.
const countName = "c0"

// count asks how many logs match over a time, one sample a group.
func (s *Source) count(ctx context.Context, q question, at time.Time) ([]signalbox.Sample, error) {
	resp, err := call(ctx, s, "logs_aggregate", func(ctx context.Context) (v2.LogsAggregateResponse, *http.Response, error) {
		return s.logs.AggregateLogs(ctx, countRequest(q, at))
	})
	if err != nil {
		return nil, err
	}
	return s.readCounts(resp, q, at)
}

// countRequest asks for [at-over, at), in milliseconds.
func countRequest(q question, at time.Time) v2.LogsAggregateRequest {
	filter := v2.NewLogsQueryFilter()
	filter.SetQuery(q.logs)
	filter.SetFrom(strconv.FormatInt(at.Add(-q.over).UnixMilli(), 10))
	filter.SetTo(strconv.FormatInt(at.UnixMilli(), 10))
	if len(q.indexes) > 0 {
		filter.SetIndexes(q.indexes)
	}
	compute := v2.NewLogsCompute(v2.LOGSAGGREGATIONFUNCTION_COUNT)
	compute.SetType(v2.LOGSCOMPUTETYPE_TOTAL)
	req := v2.LogsAggregateRequest{Filter: filter, Compute: []v2.LogsCompute{*compute}}
	for _, facet := range q.by {
		group := v2.NewLogsGroupBy(facet)
		group.SetLimit(limitOf(len(q.by)))
		req.GroupBy = append(req.GroupBy, *group)
	}
	return req
}

// limitOf is how many values of each of n facets may be asked for: the product
// is bounded.
func limitOf(n int) int64 { return int64(math.Pow(maxBuckets, 1/float64(n)) + 1e-9) }

// readCounts reads the counts out of an answer. One that is not done, or that
// warns, is partial, and a part is no count.
func (s *Source) readCounts(resp v2.LogsAggregateResponse, q question, at time.Time) ([]signalbox.Sample, error) {
	if resp.Data == nil || resp.Data.Buckets == nil || resp.Meta == nil {
		return nil, errShape
	}
	if len(resp.Meta.Warnings) > 0 {
		w := resp.Meta.Warnings[0]
		return nil, s.told("the count, which may be partial", []string{w.GetTitle() + " " + w.GetDetail()})
	}
	if resp.Meta.GetStatus() != v2.LOGSAGGREGATERESPONSESTATUS_DONE {
		return nil, errors.New("datadog did not finish the count in time")
	}
	buckets := resp.Data.Buckets
	full := len(q.by) > 0 && int64(len(buckets)) >= limitOf(len(q.by))
	if full || resp.Meta.Page != nil && resp.Meta.Page.GetAfter() != "" {
		return nil, fmt.Errorf("there are more groups than are taken (%d): group by less", len(buckets))
	}
	if len(q.by) == 0 {
		switch len(buckets) {
		case 0: // done, no warning, and nothing to count
			return []signalbox.Sample{{Labels: map[string]string{}, At: at}}, nil
		case 1:
		default:
			return nil, errShape
		}
	}
	samples := make([]signalbox.Sample, 0, len(buckets))
	for _, b := range buckets {
		sample, err := s.readBucket(b, q.by, at)
		if err != nil {
			return nil, err
		}
		samples = append(samples, sample)
	}
	return samples, nil
}

func (s *Source) readBucket(b v2.LogsAggregateBucket, by []string, at time.Time) (signalbox.Sample, error) {
	n := b.Computes[countName].LogsAggregateBucketValueSingleNumber
	if b.UnparsedObject != nil || n == nil || math.IsNaN(*n) || math.IsInf(*n, 0) || *n < 0 {
		return signalbox.Sample{}, errShape
	}
	labels := make(map[string]string, len(by))
	for _, facet := range by {
		value, there := b.By[facet]
		if !there {
			return signalbox.Sample{}, errShape
		}
		labels[facetLabel(facet)] = s.client.Plain(fmt.Sprint(value), maxText)
	}
	return signalbox.Sample{Labels: labels, Value: *n, At: at}, nil
}

// facetLabel is the name of a facet ("@http.status_code") as a label.
func facetLabel(facet string) string {
	name := []rune(facet)
	if len(name) > 0 && name[0] == '@' {
		name = name[1:]
	}
	for i, r := range name {
		if !model.LegacyValidation.IsValidLabelName("a" + string(r)) {
			name[i] = '_'
		}
	}
	return string(name)
}
