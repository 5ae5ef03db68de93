package datadog

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func server(t *testing.T) *Server {
	t.Helper()
	dir := filepath.Join(cmp.Or(os.Getenv("SIGNALBOX_CONTRACTS"), "../../../../shared/contracts"), "datadog")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("SKIPPED: the contract is absent, set SIGNALBOX_CONTRACTS: %v", err)
	}
	c, err := ReadContract(filepath.Join(dir, "v1.trim.json"), filepath.Join(dir, "v2.trim.json"))
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{APIKey: "a", ApplicationKey: "b", Contract: c})
}

func send(s *Server, method, path, body, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header = http.Header{"Dd-Api-Key": {key}, "Dd-Application-Key": {"b"}, "Content-Type": {"application/json"}, "Accept": {"application/json"}}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// What it answers is what Datadog's description allows.
func TestItKeepsTheContract(t *testing.T) {
	s := server(t)
	s.Set("/api/v1/slo/x", SLO("x", "Core", "metric", 99.9, "env:prod"))
	s.Set("/api/v1/slo/search", Search(Found{ID: "x", Name: "Core", Kind: "metric", State: "no_data", IndexedAt: 1, Target: 99.9}))
	s.Set("/api/v1/slo/x/history", History(func(int64) any { return nil }, map[string]any{"errors": []any{map[string]any{"error_type": "a", "error_message": "b"}}}))
	s.Set("/api/v1/monitor/7", Monitor(7, "No Data", map[string]string{"host:a": "Alert"}, nil))
	s.Set("/api/v2/logs/analytics/aggregate", Buckets(func(query string) []Bucket { return []Bucket{{By: map[string]any{"service": query}, N: 1}} }))
	s.Limit("/api/v1/monitor/7", Limit{Limit: 2, Period: 10, Remaining: 1, Reset: 3})
	s.Fail("/api/v1/slo/x", Answer{Status: 503, Body: map[string]any{}})
	const count = `{"filter":{"query":"core","from":"1","to":"2"},"compute":[{"aggregation":"count","type":"total"}],"group_by":[{"facet":"service"}]}`
	for i, c := range []struct {
		method, path, body, key string
		code                    int
		with                    string
	}{
		{"GET", "/api/v1/slo/x", "", "a", 503, ""},
		{"GET", "/api/v1/slo/x", "", "a", 200, "99.9"},
		{"GET", "/api/v1/slo/x", "", "wrong", 403, "Forbidden"},
		{"GET", "/api/v1/slo/y", "", "a", 404, "Not found"},
		{"GET", "/api/v1/slo/search?query=Core&page[size]=10&page[number]=0", "", "a", 200, "no_data"},
		{"GET", "/api/v1/slo/x/history?from_ts=1&to_ts=2&target=99.9&apply_correction=true", "", "a", 200, `"sli_value":null`},
		{"GET", "/api/v1/monitor/7?group_states=all", "", "a", 200, "No Data"},
		{"GET", "/api/v1/monitor/7", "", "a", 429, "Rate limited"},
		{"POST", "/api/v2/logs/analytics/aggregate", count, "a", 200, `"service":"core"`},
	} {
		if w := send(s, c.method, c.path, c.body, c.key); w.Code != c.code || !strings.Contains(w.Body.String(), c.with) {
			t.Errorf("%d: got %d %s", i, w.Code, w.Body)
		}
	}
	if got := s.Violations(); len(got) > 0 {
		t.Errorf("violations %q", got)
	}
	if n := s.Count("/monitor/7"); n != 2 {
		t.Errorf("counted %d requests, want 2", n)
	}
}

// A contract that refuses nothing would prove nothing.
func TestItTellsViolations(t *testing.T) {
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/api/v1/slo/x/history?from_ts=1", ""},
		{"GET", "/api/v1/slo/x/history?from_ts=1&to_ts=soon", ""},
		{"GET", "/api/v1/slo/x?colour=blue", ""},
		{"GET", "/api/v3/slo/x", ""},
		{"GET", "/api/v1/nothing", ""},
		{"POST", "/api/v2/logs/analytics/aggregate", `{"compute":[{"aggregation":"guess"}]}`},
	} {
		s := server(t)
		send(s, c.method, c.path, c.body, "a")
		if len(s.Violations()) == 0 {
			t.Errorf("%s %s was accepted", c.method, c.path)
		}
	}
	s := server(t)
	s.Set("/api/v1/monitor/7", Answer{Body: map[string]any{"id": "seven"}})
	send(s, "GET", "/api/v1/monitor/7", "", "a")
	if got := s.Violations(); len(got) != 1 || !strings.Contains(got[0], "our own answer") {
		t.Errorf("an answer of another shape was accepted: %q", got)
	}
}
