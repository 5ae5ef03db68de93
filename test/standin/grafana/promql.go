package grafana

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
)

// PromQL answers the queries of a data source of Prometheus by Prometheus' own
// engine over a storage. Only instant queries are asked of it.
func PromQL(ctx context.Context, engine *promql.Engine, series storage.Queryable) func(Query) Result {
	return func(q Query) Result {
		if instant, _ := q.Raw["instant"].(bool); !instant {
			return Result{Error: "only instant queries are answered here", Status: http.StatusBadRequest}
		}
		expr, _ := q.Raw["expr"].(string)
		query, err := engine.NewInstantQuery(ctx, series, nil, expr, q.To)
		if err != nil {
			return Result{Error: "bad_data: " + err.Error(), Status: http.StatusBadRequest}
		}
		defer query.Close()
		res := query.Exec(ctx)
		if res.Err != nil {
			return Result{Error: "execution: " + res.Err.Error(), Status: http.StatusUnprocessableEntity}
		}
		switch v := res.Value.(type) {
		case promql.Vector:
			out := Result{Frames: []Frame{}}
			for _, s := range v {
				out.Frames = append(out.Frames, oneValue(q.To, s.F, s.Metric.Map()))
			}
			return out
		case promql.Scalar:
			return Result{Frames: []Frame{oneValue(q.To, v.V, nil)}}
		}
		return Result{Error: "the answer is no vector", Status: http.StatusBadRequest}
	}
}

func oneValue(at time.Time, v float64, labels map[string]string) Frame {
	return Frame{Fields: []Field{
		{Name: "Time", Type: "time", Values: []any{at}}, {Name: "Value", Type: "number", Labels: labels, Values: []any{v}},
	}}
}
