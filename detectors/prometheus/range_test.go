package prometheus

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// matrix answers range queries with one series that is its own time, and one
// that is there in the first half of each query only.
func matrix(t *testing.T, queries *int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*queries++
		number := func(name string) float64 {
			v, err := strconv.ParseFloat(r.FormValue(name), 64)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return v
		}
		start, end, step := number("start"), number("end"), number("step")
		if (end-start)/step > 11_000 {
			http.Error(w, "exceeded maximum resolution", http.StatusBadRequest)
			return
		}
		var all, half [][2]any
		for at := start; at <= end; at += step {
			point := [2]any{math.Round(at*1e3) / 1e3, fmt.Sprint(at)} // its API has milliseconds
			all = append(all, point)
			if at < (start+end)/2 {
				half = append(half, point)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": []any{
			map[string]any{"metric": map[string]string{"a": "all"}, "values": all},
			map[string]any{"metric": map[string]string{"a": "half"}, "values": half},
		}}})
	}
}

func TestRange(t *testing.T) {
	const step, steps = 15 * time.Second, 2*rangeSteps + 7
	queries, n := 0, 0
	s := connect(t, matrix(t, &queries), nil)
	q := signalbox.Question{Source: "metrics", Query: "x"}
	for a, err := range s.Range(t.Context(), q, moment, moment.Add((steps-1)*step), step) {
		if err != nil {
			t.Fatal(err)
		}
		at := moment.Add(time.Duration(n) * step)
		if !a.At.Equal(at) || a.Question != q || len(a.Samples) == 0 || a.Samples[0].Value != float64(at.Unix()) || !a.Samples[0].At.Equal(at) {
			t.Fatalf("step %d: %+v", n, a)
		}
		if want := 1; n == rangeSteps-1 && len(a.Samples) != want {
			t.Fatalf("step %d: %d samples, want %d: a series that is not there has none", n, len(a.Samples), want)
		}
		n++
	}
	if n != steps || queries != 3 {
		t.Errorf("%d steps in %d queries, want %d in 3", n, queries, steps)
	}
}

// A begin between two milliseconds moves no sample to another step.
func TestRangeRounds(t *testing.T) {
	queries, n := 0, 0
	s := connect(t, matrix(t, &queries), nil)
	for a, err := range s.Range(t.Context(), signalbox.Question{Query: "x"}, moment.Add(400*time.Microsecond), moment.Add(time.Minute+time.Second), 15*time.Second) {
		if err != nil || len(a.Samples) == 0 || math.Abs(a.Samples[0].Value-float64(moment.Unix()+int64(n)*15)) > 0.01 {
			t.Fatalf("step %d: %+v, %v", n, a, err)
		}
		n++
	}
	if n != 5 {
		t.Errorf("%d steps, want 5", n)
	}
}

func TestRangeStopsEarly(t *testing.T) {
	queries := 0
	s := connect(t, matrix(t, &queries), nil)
	for range s.Range(t.Context(), signalbox.Question{Query: "x"}, moment, moment.Add(100*time.Hour), 15*time.Second) {
		break
	}
	if queries != 1 {
		t.Errorf("%d queries for one step, want 1", queries)
	}
}

func TestRangeFails(t *testing.T) {
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		step time.Duration
		want string
	}{
		"step":            {says(200, "application/json", ""), 0, "step must be greater than 0"},
		"status":          {says(500, "application/json", "{}"), time.Second, "server error: 500"},
		"vector":          {says(200, "application/json", vector("", sampleText)), time.Second, "not one of Prometheus"},
		"outside":         {says(200, "application/json", `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}}`), time.Second, "not one of Prometheus"},
		"null":            {says(200, "application/json", `{"status":"success","data":{"resultType":"matrix","result":[null]}}`), time.Second, "not one of Prometheus"},
		"with histograms": {says(200, "application/json", `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"histograms":[[1772366400,{"count":"1","sum":"1","buckets":[]}]]}]}}`), time.Second, "native histograms"},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for _, err := range connect(t, c.h, nil).Range(t.Context(), signalbox.Question{Query: "x"}, moment, moment.Add(time.Minute), c.step) {
				n++
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
					t.Fatalf("got %v, want an error with %q", err, c.want)
				}
			}
			if n != 1 {
				t.Errorf("%d yields, want the error alone", n)
			}
		})
	}
}
