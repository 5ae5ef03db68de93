package grafana

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Query is one query of a request.
type Query struct {
	RefID    string
	From, To time.Time
	Raw      map[string]any // its own keys
}

// Result is the answer to one query.
type Result struct {
	Frames []Frame
	Error  string
	Status int // with Error; 0: 400
}

// query answers POST /api/ds/query.
func (s *Server) query(w http.ResponseWriter, r *http.Request, body []byte) {
	rule := s.rule(r)
	var in struct {
		From    string           `json:"from"`
		To      string           `json:"to"`
		Queries []map[string]any `json:"queries"`
	}
	if err := json.Unmarshal(body, &in); err != nil || len(in.Queries) == 0 {
		s.send(w, r, body, http.StatusBadRequest, map[string]any{"message": "bad request data"})
		return
	}
	from, known := moment(in.From)
	to, ends := moment(in.To)
	rule(known && ends && to.After(from), "from and to must be times in milliseconds, and in order, got %q and %q", in.From, in.To)
	results, failed := map[string]any{}, false
	for _, q := range in.Queries {
		ref, _ := q["refId"].(string)
		_, twice := results[ref]
		rule(ref != "" && !twice, "refId must be there and its own, got %q", ref)
		s.checkQuery(rule, q)
		answer := s.ask(q, Query{RefID: ref, From: from, To: to, Raw: q})
		results[ref] = answer.wire(ref)
		failed = failed || answer.Error != ""
	}
	status := http.StatusOK
	switch {
	case failed && s.o.MultiStatus:
		status = http.StatusMultiStatus
	case failed:
		// The real one answers 400 with the results, and its description names
		// another body.
		s.sendAs(w, r, body, http.StatusBadRequest, http.StatusOK, map[string]any{"results": results})
		return
	}
	s.send(w, r, body, status, map[string]any{"results": results})
}

// checkQuery holds a query to what a browser would send.
func (s *Server) checkQuery(rule func(bool, string, ...any), q map[string]any) {
	for _, key := range []string{"intervalMs", "maxDataPoints"} {
		n, ok := q[key].(float64)
		rule(ok && n >= 1 && n == float64(int64(n)), "%s must be a whole number of at least 1, got %v", key, q[key])
	}
	for key, v := range q {
		text, _ := v.(string)
		rule(!strings.Contains(text, "$__interval") && !strings.Contains(text, "$__range") && !strings.Contains(text, "$__rate") &&
			!strings.Contains(text, "${") && !strings.Contains(text, "[["), "%s has a variable that is not filled in: %q", key, text)
	}
	_, hidden := q["hide"]
	rule(!hidden, "a hidden query must not be asked")
}

func (s *Server) ask(q map[string]any, query Query) Result {
	ref, _ := q["datasource"].(map[string]any)
	for _, d := range s.datasources {
		if d.UID == ref["uid"] {
			if d.Type != ref["type"] {
				return Result{Error: "the type of the data source is another", Status: http.StatusBadRequest}
			}
			if d.Answer == nil {
				return Result{}
			}
			return d.Answer(query)
		}
	}
	return Result{Error: "data source not found", Status: http.StatusNotFound}
}

func moment(text string) (time.Time, bool) {
	ms, err := strconv.ParseInt(text, 10, 64)
	return time.UnixMilli(ms).UTC(), err == nil
}
