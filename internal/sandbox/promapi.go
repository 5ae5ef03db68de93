package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// promAPI serves the part of Prometheus' HTTP API that asks for values: GET
// and form POST of /api/v1/query and /api/v1/query_range, answers and errors
// as Prometheus' documentation of its HTTP API has them. Its own web/api/v1
// package would bring service discovery and rules with it.
type promAPI struct {
	engine *promql.Engine
	data   storage.Queryable
	now    func() time.Time
}

// Bounds of one query. maxPoints is Prometheus' own.
const (
	maxForm    = 1 << 20 // bytes
	maxSamples = 5_000_000
	maxPoints  = 11_000 // of a series
	maxQuery   = 30 * time.Second
	lookback   = 5 * time.Minute
)

func newPromAPI(data storage.Queryable, now func() time.Time) *promAPI {
	return &promAPI{data: data, now: now, engine: promql.NewEngine(promql.EngineOpts{
		MaxSamples:           maxSamples,
		Timeout:              maxQuery,
		LookbackDelta:        lookback,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
	})}
}

func (p *promAPI) routes(mux *http.ServeMux) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		mux.HandleFunc(method+" /api/v1/query", p.serve(p.instant))
		mux.HandleFunc(method+" /api/v1/query_range", p.serve(p.span))
	}
}

// promResponse is the envelope of every answer.
type promResponse struct {
	Status    string    `json:"status"`
	Data      *promData `json:"data,omitempty"`
	ErrorType string    `json:"errorType,omitempty"`
	Error     string    `json:"error,omitempty"`
	Warnings  []string  `json:"warnings,omitempty"`
	Infos     []string  `json:"infos,omitempty"`
}

type promData struct {
	ResultType string `json:"resultType"`
	Result     any    `json:"result"`
}

// badData is an error of the request.
type badData struct{ err error }

func (e badData) Error() string { return e.err.Error() }
func (e badData) Unwrap() error { return e.err }

func badParameter(name string, err error) error {
	return badData{fmt.Errorf("invalid parameter %q: %w", name, err)}
}

// serve wraps one kind of query into the envelope.
func (p *promAPI) serve(prepare func(context.Context, *http.Request) (promql.Query, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			respondError(w, badData{err})
			return
		}
		data, notes, err := p.run(r, prepare)
		if err != nil {
			respondError(w, err)
			return
		}
		warnings, infos := notes.AsStrings(r.FormValue("query"), 10, 10)
		respond(w, http.StatusOK, promResponse{Status: "success", Data: data, Warnings: warnings, Infos: infos})
	}
}

func (p *promAPI) run(r *http.Request, prepare func(context.Context, *http.Request) (promql.Query, error)) (*promData, annotations.Annotations, error) {
	ctx := r.Context()
	if text := r.FormValue("timeout"); text != "" {
		limit, err := parsePromDuration(text)
		if err != nil {
			return nil, nil, badParameter("timeout", err)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	query, err := prepare(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	defer query.Close() // it takes the result's memory back
	result := query.Exec(ctx)
	if result.Err != nil {
		return nil, nil, result.Err
	}
	value, err := valueOf(result.Value)
	return value, result.Warnings, err
}

func (p *promAPI) instant(ctx context.Context, r *http.Request) (promql.Query, error) {
	at, err := parsePromTime(r.FormValue("time"), p.now())
	if err != nil {
		return nil, badParameter("time", err)
	}
	q, err := p.engine.NewInstantQuery(ctx, p.data, nil, r.FormValue("query"), at)
	if err != nil {
		return nil, badParameter("query", err)
	}
	return q, nil
}

func (p *promAPI) span(ctx context.Context, r *http.Request) (promql.Query, error) {
	start, err := parsePromTime(r.FormValue("start"), time.Time{})
	if err != nil {
		return nil, badParameter("start", err)
	}
	end, err := parsePromTime(r.FormValue("end"), time.Time{})
	if err != nil {
		return nil, badParameter("end", err)
	}
	if end.Before(start) {
		return nil, badParameter("end", errors.New("end timestamp must not be before start time"))
	}
	step, err := parsePromDuration(r.FormValue("step"))
	if err != nil {
		return nil, badParameter("step", err)
	}
	if step <= 0 {
		return nil, badParameter("step", errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer"))
	}
	if end.Sub(start)/step > maxPoints {
		return nil, badData{errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")}
	}
	q, err := p.engine.NewRangeQuery(ctx, p.data, nil, r.FormValue("query"), start, end, step)
	if err != nil {
		return nil, badParameter("query", err)
	}
	return q, nil
}

// respondError answers with the error type and status that Prometheus has for
// the kind of error.
func respondError(w http.ResponseWriter, err error) {
	const clientClosed = 499 // nginx's, for a client that has gone
	kind, code := "execution", http.StatusUnprocessableEntity
	var (
		bad      badData
		canceled promql.ErrQueryCanceled
		late     promql.ErrQueryTimeout
		stored   promql.ErrStorage
	)
	switch {
	case errors.As(err, &bad):
		kind, code = "bad_data", http.StatusBadRequest
	case errors.As(err, &late):
		kind, code = "timeout", http.StatusServiceUnavailable
	case errors.As(err, &stored):
		kind, code = "internal", http.StatusInternalServerError
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		kind, code = "canceled", clientClosed
	}
	respond(w, code, promResponse{Status: "error", ErrorType: kind, Error: err.Error()})
}

// respond writes v as JSON.
func respond(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(body, '\n'))
}

// valueOf gives the engine's result the JSON form of prometheus/common/model,
// which is that of the API. The company has no native histograms.
func valueOf(v any) (*promData, error) {
	switch v := v.(type) {
	case promql.Vector:
		out := make(model.Vector, len(v))
		for i, s := range v {
			out[i] = &model.Sample{Metric: metricOf(s.Metric), Timestamp: model.Time(s.T), Value: model.SampleValue(s.F)}
		}
		return &promData{"vector", out}, nil
	case promql.Matrix:
		out := make(model.Matrix, len(v))
		for i, s := range v {
			out[i] = &model.SampleStream{Metric: metricOf(s.Metric), Values: make([]model.SamplePair, len(s.Floats))}
			for j, f := range s.Floats {
				out[i].Values[j] = model.SamplePair{Timestamp: model.Time(f.T), Value: model.SampleValue(f.F)}
			}
		}
		return &promData{"matrix", out}, nil
	case promql.Scalar:
		return &promData{"scalar", model.Scalar{Timestamp: model.Time(v.T), Value: model.SampleValue(v.V)}}, nil
	case promql.String:
		return &promData{"string", model.String{Timestamp: model.Time(v.T), Value: v.V}}, nil
	}
	return nil, fmt.Errorf("result must be a vector, matrix, scalar or string, got %T", v)
}
