package prometheus

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/freshness"
)

// engineAPI serves an engine's answers as Prometheus' API has them, and counts.
type engineAPI struct {
	*engine
	at       time.Time
	requests atomic.Int64
	warns    string // on queries that hold this
}

func (a *engineAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	query := r.FormValue("query")
	answer := a.Ask(r.Context(), []signalbox.Question{{Query: query}}, a.at)[0]
	w.Header().Set("Content-Type", "application/json")
	said := map[string]any{"status": "success"}
	if answer.Err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		said = map[string]any{"status": "error", "errorType": "execution", "error": answer.Err.Error()}
	} else {
		result := []any{}
		for _, s := range answer.Samples {
			result = append(result, map[string]any{"metric": s.Labels, "value": []any{float64(a.at.Unix()), strconv.FormatFloat(s.Value, 'f', -1, 64)}})
		}
		said["data"] = map[string]any{"resultType": "vector", "result": result}
		if a.warns != "" && strings.Contains(query, a.warns) {
			said["warnings"] = []string{"a store did not answer"}
		}
	}
	_ = json.NewEncoder(w).Encode(said) // the client tells what it misses
}

const series = `
lag{cluster="eu",pod="a"} 1x40
lag{cluster="eu",pod="b"} 2x40
lag{cluster="us",pod="c"} 3x36 stale
errors_total{cluster="eu"} 0+1x40
requests_total{cluster="eu"} 0+5x40
`

// What is asked together is what is asked one by one, in fewer requests.
func TestTogetherIsTheSame(t *testing.T) {
	for _, c := range []struct {
		name, query string
		warns       string
		requests    int64
	}{
		{"a selector", `lag`, "", 1},
		{"an aggregate", `max by (cluster) (lag)`, "", 1},
		{"a ratio", `sum by (cluster) (rate(errors_total[5m])) / sum by (cluster) (rate(requests_total[5m]))`, "", 1},
		{"or", `sum(lag) or vector(0)`, "", 1},
		{"a comment at its end", "lag # with a comment", "", 1},
		{"nothing there", `nothing`, "", 1},
		{"names by a pattern: each has its own fault", `max({__name__=~"errors_total|requests_total"})`, "", 1 + 2},
		{"what can't be evaluated", `lag + on (cluster) lag`, "", 1 + 2},
		{"a warning is of its own part", `lag{pod="a"} + lag{pod="b"}`, `timestamp(lag{pod="b"})`, 1 + 3},
		{"a scalar stands alone", `scalar(sum(lag))`, "", 2},
		{"a label of ours", `label_replace(lag, "` + partLabel + `", "1", "", "")`, "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := &engineAPI{engine: load(t, strings.TrimSpace(series)), at: time.Unix(0, 0).UTC().Add(10 * time.Minute), warns: c.warns}
			s := connect(t, server, nil)
			query, err := freshness.Parse(c.query)
			if err != nil {
				t.Fatal(err)
			}
			var qs []signalbox.Question
			for _, text := range append([]string{query.Text}, query.Questions()...) {
				qs = append(qs, signalbox.Question{Query: text})
			}
			got := s.Ask(t.Context(), qs, server.at)
			if n := server.requests.Load(); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			for i, q := range qs {
				want := s.Ask(t.Context(), []signalbox.Question{q}, server.at)[0]
				if !same(got[i], want) {
					t.Errorf("%s\ngot  %+v\nwant %+v", q.Query, got[i], want)
				}
			}
		})
	}
}

// same compares answers, whose samples come in no order.
func same(a, b signalbox.Answer) bool {
	sorted := func(a signalbox.Answer) (out []string) {
		for _, s := range a.Samples {
			out = append(out, fmt.Sprint(s.Labels, s.Value, s.At))
		}
		slices.Sort(out)
		return out
	}
	return a.Question == b.Question && fmt.Sprint(a.Err) == fmt.Sprint(b.Err) && slices.Equal(a.Warnings, b.Warnings) && reflect.DeepEqual(sorted(a), sorted(b))
}

// A server that is away, or too slow, is not asked again part by part.
func TestTogetherFailsOnce(t *testing.T) {
	var requests atomic.Int64
	s := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}), nil)
	qs := []signalbox.Question{{Query: "lag"}, {Query: "timestamp(lag)"}}
	for _, a := range s.Ask(t.Context(), qs, moment) {
		if a.Err == nil || len(a.Samples) > 0 {
			t.Errorf("got %+v", a)
		}
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// What comes back without its part, or with another, is nobody's.
func TestApartTakesNothingElse(t *testing.T) {
	group := []*signalbox.Answer{{At: moment}, {At: moment}}
	for _, part := range []model.LabelValue{"", "2", "-1", "x"} {
		v := model.Vector{{Metric: model.Metric{partLabel: part}, Timestamp: model.TimeFromUnixNano(moment.UnixNano())}}
		if apart(v, group) {
			t.Errorf("part %q was taken", part)
		}
	}
}
