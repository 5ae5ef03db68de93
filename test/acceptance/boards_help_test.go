package acceptance

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/signalbox/signalbox/test/standin/grafana"
)

// panelAnswer asks a real Prometheus, as Grafana's data source does.
func panelAnswer(prometheus string) func(grafana.Query) grafana.Result {
	return func(q grafana.Query) grafana.Result {
		expr, _ := q.Raw["expr"].(string)
		ask := url.Values{"query": {expr}, "time": {strconv.FormatFloat(float64(q.To.UnixMilli())/1000, 'f', 3, 64)}}
		resp, err := http.Get(prometheus + "/api/v1/query?" + ask.Encode()) //nolint:noctx // the server of the test
		if err != nil {
			return grafana.Result{Error: err.Error(), Status: http.StatusBadGateway}
		}
		defer resp.Body.Close()
		var said struct {
			Error string
			Data  struct {
				Result []struct {
					Metric map[string]string
					Value  [2]any
				}
			}
		}
		if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || said.Error != "" {
			return grafana.Result{Error: "bad_data: " + said.Error, Status: http.StatusBadRequest}
		}
		out := grafana.Result{Frames: []grafana.Frame{}}
		for _, s := range said.Data.Result {
			text, _ := s.Value[1].(string)
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return grafana.Result{Error: "bad_data: " + text, Status: http.StatusBadRequest}
			}
			out.Frames = append(out.Frames, grafana.Frame{Fields: []grafana.Field{
				{Name: "Time", Type: "time", Values: []any{q.To}}, {Name: "Value", Type: "number", Labels: s.Metric, Values: []any{v}},
			}})
		}
		return out
	}
}
