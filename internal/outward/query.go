package outward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// stamped is a line as Loki returns it: its time in nanoseconds, as text.
type stamped struct{ nanos, text string }

// streams is the answer of Loki's query_range for a log query. See
// https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time.
type streams struct {
	Status string `json:"status"`
	Data   struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Values [][]json.RawMessage `json:"values"` // time, line, and perhaps metadata
		} `json:"result"`
	} `json:"data"`
}

// query asks for lines. Its errors hold nothing of the answer but its status.
func (l *Loki) query(ctx context.Context, q url.Values) ([]stamped, error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	u := l.ask.Base().JoinPath(rangePath)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("the request can't be made")
	}
	if l.o.Tenant != "" {
		req.Header.Set("X-Scope-OrgID", l.o.Tenant)
	}
	resp, err := l.ask.HTTP().Do(req)
	if err != nil {
		return nil, httpclient.Explain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", httpclient.Explain(err))
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &httpclient.Error{Status: resp.StatusCode}
	}
	return decodeStreams(body)
}

// errNotStreams is an answer that is no list of lines.
var errNotStreams = errors.New("the answer is not the list of lines that was asked for")

func decodeStreams(body []byte) ([]stamped, error) {
	var s streams
	if json.Unmarshal(body, &s) != nil || s.Status != "success" || s.Data.ResultType != "streams" {
		return nil, errNotStreams
	}
	var found []stamped
	for _, r := range s.Data.Result {
		for _, v := range r.Values {
			var f stamped
			if len(v) < 2 || json.Unmarshal(v[0], &f.nanos) != nil || json.Unmarshal(v[1], &f.text) != nil {
				return nil, errNotStreams
			}
			found = append(found, f)
		}
	}
	return found, nil
}
