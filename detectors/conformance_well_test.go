package detectors_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What a healthy server of each kind answers. text stands where people write
// what they like.

type obj = map[string]any

func wellAlertmanager(r *http.Request, text string) any {
	if strings.HasSuffix(r.URL.Path, "/status") {
		return obj{"uptime": time.Now().Add(-24 * time.Hour).UTC().Format(time.RFC3339), "config": obj{"original": text}}
	}
	return []any{}
}

func wellPrometheus(r *http.Request, text string) any {
	now, query := r.FormValue("time"), r.FormValue("query")
	seconds, _ := strconv.ParseFloat(now, 64)
	series := func(part, value string) obj {
		labels := obj{"note": text}
		if part != "" {
			labels["__signalbox_part__"] = part
		}
		return obj{"metric": labels, "value": []any{seconds, value}}
	}
	result := []any{series("", "0.01")}
	switch {
	case strings.Contains(query, "__signalbox_part__"): // the value, and the time of its sample
		result = []any{series("0", "0.01"), series("1", now)}
	case strings.Contains(query, "timestamp("):
		result = []any{series("", now)}
	}
	return obj{"status": "success", "infos": []string{text}, "data": obj{"resultType": "vector", "result": result}}
}

func wellSLO(r *http.Request, text string) any {
	q := r.URL.Query()
	from, _ := strconv.ParseInt(q.Get("from_ts"), 10, 64)
	to, _ := strconv.ParseInt(q.Get("to_ts"), 10, 64)
	name := strings.TrimSpace("Core " + text)
	if q.Has("query") || strings.HasSuffix(r.URL.Path, "/search") {
		name = "Core" // by which it is found
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/history"):
		return obj{"data": obj{"from_ts": from, "to_ts": to, "overall": obj{"sli_value": 99.99, "name": text}}, "errors": nil}
	case strings.HasSuffix(r.URL.Path, "/search"):
		return obj{"data": obj{"attributes": obj{"slos": []any{obj{"data": obj{"id": "abc", "attributes": obj{
			"name": name, "overall_status": []any{obj{"timeframe": "30d", "state": "ok", "status": 99.99, "error_budget_remaining": 90, "indexed_at": time.Now().Unix()}},
		}}}}}}}
	}
	return obj{"data": obj{
		"id": "abc", "name": name, "type": "metric", "tags": []string{"env:prod", "note:" + text}, "thresholds": []any{obj{"timeframe": "30d", "target": 99.9}},
	}}
}

func wellMonitor(_ *http.Request, text string) any {
	return obj{"id": 7, "type": "metric alert", "query": "q", "overall_state": "OK", "name": text, "tags": []string{"note:" + text}, "message": text}
}

func wellLogs(*http.Request, string) any {
	return obj{"meta": obj{"status": "done"}, "data": obj{"buckets": []any{obj{"by": obj{}, "computes": obj{"c0": 3}}}}}
}

func wellRuns(_ *http.Request, text string) any {
	return obj{"total_count": 1, "workflow_runs": []any{obj{
		"id": 1, "run_number": 1, "run_attempt": 1, "status": "completed", "conclusion": "success", "head_branch": text, "head_sha": text, "event": "push",
		"html_url": "https://github.com/acme/shop/actions/runs/1?" + text, "created_at": "2026-03-01T10:00:00Z", "updated_at": "2026-03-01T10:00:00Z",
		"repository": obj{"id": 1}, "head_repository": obj{"id": 1},
	}}}
}

func wellPage(_ *http.Request, text string) any {
	incident := obj{"id": "i", "name": text, "status": "monitoring", "impact": "none", "shortlink": "https://stspg.example/" + text, "components": []any{}}
	return obj{
		"page": obj{"id": "p", "name": "PSP " + text, "url": "https://status.example.com/?" + text}, "status": obj{"indicator": "none", "description": text},
		"components": []any{obj{"id": "c", "name": text, "status": "operational"}}, "incidents": []any{incident}, "scheduled_maintenances": []any{},
	}
}

func wellLoki(r *http.Request, text string) any {
	if strings.HasSuffix(r.URL.Path, "/query_range") {
		at, _ := strconv.ParseInt(r.FormValue("end"), 10, 64)
		return obj{"status": "success", "data": obj{"resultType": "streams", "result": []any{
			obj{"stream": obj{"app": "psp", "note": text}, "values": []any{[]string{strconv.FormatInt(at-int64(time.Second), 10), "event=paid " + text}}},
		}}}
	}
	at, _ := strconv.ParseInt(r.FormValue("time"), 10, 64)
	return obj{"status": "success", "data": obj{"resultType": "vector", "result": []any{
		obj{"metric": obj{"note": text}, "value": []any{float64(at/1e6) / 1e3, "3"}},
	}}}
}

func wellGrafana(r *http.Request, text string) any {
	prom := obj{"type": "prometheus", "uid": "prom"}
	switch {
	case strings.HasSuffix(r.URL.Path, "/api/search"):
		return []any{obj{"uid": "Prod", "title": "Prod", "type": "dash-db", "folderTitle": text}}
	case strings.HasSuffix(r.URL.Path, "/api/datasources"):
		return []any{obj{"uid": "prom", "name": "Prometheus " + text, "type": "prometheus", "url": "http://prometheus:9090", "isDefault": true}}
	case strings.HasSuffix(r.URL.Path, "/api/ds/query"):
		return wellFrames(r, text)
	}
	return obj{"meta": obj{"folderTitle": text}, "dashboard": obj{"uid": "Prod", "title": "Prod", "schemaVersion": 39, "description": text, "panels": []any{obj{
		"id": 1, "title": "Lag", "type": "timeseries", "datasource": prom, "description": text, "fieldConfig": obj{"defaults": obj{"unit": "s"}},
		"targets": []any{obj{"refId": "A", "expr": "max(lag_seconds)", "legendFormat": text}},
	}}}}
}

// wellFrames answers each query with one value, or with the time of its sample.
func wellFrames(r *http.Request, text string) any {
	var asked struct {
		To      string
		Queries []struct{ RefID, Expr string }
	}
	_ = json.NewDecoder(r.Body).Decode(&asked)
	at, _ := strconv.ParseInt(asked.To, 10, 64)
	results := obj{}
	for _, q := range asked.Queries {
		value := 0.01
		if strings.Contains(q.Expr, "timestamp(") {
			value = float64(at) / 1e3
		}
		results[q.RefID] = obj{"status": 200, "frames": []any{obj{
			"schema": obj{"fields": []any{obj{"name": "Time", "type": "time"}, obj{"name": "Value", "type": "number", "labels": obj{"note": text}}}},
			"data":   obj{"values": []any{[]any{at}, []any{value}}},
		}}}
	}
	return obj{"results": results}
}
