package datadog

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// SLO is the answer of /api/v1/slo/{id}.
func SLO(id, name, kind string, target float64, tags ...string) Answer {
	if tags == nil {
		tags = []string{}
	}
	return Answer{Body: map[string]any{"data": map[string]any{
		"id": id, "name": name, "type": kind, "tags": tags,
		"thresholds": []any{map[string]any{"timeframe": "30d", "target": target}},
	}}}
}

// Found is one SLO of a search.
type Found struct {
	ID, Name, Kind string
	State          string
	IndexedAt      int64
	Status         any // number or nil
	Budget         any // number or nil
	Target         float64
}

// Search is the answer of /api/v1/slo/search.
func Search(list ...Found) Answer {
	slos := []any{}
	for _, f := range list {
		slos = append(slos, map[string]any{"data": map[string]any{"id": f.ID, "type": "slo", "attributes": map[string]any{
			"name": f.Name, "slo_type": f.Kind, "overall_status": []any{map[string]any{
				"timeframe": "30d", "state": f.State, "indexed_at": f.IndexedAt, "status": f.Status,
				"error_budget_remaining": f.Budget, "target": f.Target, "error": nil,
			}},
		}}})
	}
	return Answer{Body: map[string]any{"data": map[string]any{"type": "", "attributes": map[string]any{"slos": slos}}}}
}

// History is the answer of /api/v1/slo/{id}/history: sli says the SLI, in per
// cent or nil, of a window of that many seconds; more is put beside it.
func History(sli func(seconds int64) any, more map[string]any) Answer {
	return Answer{Build: func(r *http.Request, _ []byte) any {
		from, _ := strconv.ParseInt(r.URL.Query().Get("from_ts"), 10, 64)
		to, _ := strconv.ParseInt(r.URL.Query().Get("to_ts"), 10, 64)
		overall := map[string]any{"sli_value": sli(to - from)}
		for name, v := range more {
			overall[name] = v
		}
		return map[string]any{"data": map[string]any{"from_ts": from, "to_ts": to, "overall": overall}, "errors": nil}
	}}
}

// Monitor is the answer of /api/v1/monitor/{id}.
func Monitor(id int64, state string, groups map[string]string, more map[string]any) Answer {
	of := map[string]any{}
	for name, state := range groups {
		of[name] = map[string]any{"name": name, "status": state}
	}
	body := map[string]any{
		"id": id, "name": "A monitor", "type": "metric alert", "query": "avg(last_5m):avg:x{*} > 1",
		"overall_state": state, "tags": []string{"service:core"}, "state": map[string]any{"groups": of},
	}
	for name, v := range more {
		body[name] = v
	}
	return Answer{Body: body}
}

// Counts is the answer of /api/v2/logs/analytics/aggregate: n nil gives no
// bucket.
func Counts(status string, n any, warnings ...string) Answer {
	buckets := []any{}
	if n != nil {
		buckets = append(buckets, map[string]any{"by": map[string]any{}, "computes": map[string]any{"c0": n}})
	}
	told := []any{}
	for _, w := range warnings {
		told = append(told, map[string]any{"title": w})
	}
	return Answer{Body: map[string]any{
		"meta": map[string]any{"status": status, "warnings": told}, "data": map[string]any{"buckets": buckets},
	}}
}

// Bucket is one group of a count.
type Bucket struct {
	By map[string]any
	N  float64
}

// Buckets is the answer of /api/v2/logs/analytics/aggregate: of says which
// groups a query has.
func Buckets(of func(query string) []Bucket) Answer {
	return Answer{Build: func(_ *http.Request, body []byte) any {
		var asked struct{ Filter struct{ Query string } }
		if json.Unmarshal(body, &asked) != nil {
			return nil
		}
		buckets := []any{}
		for _, b := range of(asked.Filter.Query) {
			by := b.By
			if by == nil {
				by = map[string]any{}
			}
			buckets = append(buckets, map[string]any{"by": by, "computes": map[string]any{"c0": b.N}})
		}
		return map[string]any{"meta": map[string]any{"status": "done"}, "data": map[string]any{"buckets": buckets}}
	}}
}
