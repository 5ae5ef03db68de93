package github

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func spec(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = "../../../../shared/contracts"
	}
	path := filepath.Join(dir, "github", "actions.trim.json")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: the contract is absent, set SIGNALBOX_CONTRACTS: %v", err)
	}
	return path
}

func get(s *Server, path, tag string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header = http.Header{"User-Agent": {"x"}, "Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"}, "Authorization": {"Bearer t"}}
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// What it answers is what GitHub's description allows, and what breaks that is told.
func TestItKeepsTheContract(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, err := New(Options{Spec: spec(t), Token: "t", Limit: 3, Reset: now.Add(time.Hour), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	s.SetWorkflows("acme/shop", Workflow{ID: 7, Name: "Deploy", File: "deploy.yml"})
	s.SetRuns(7, Run{ID: 1, Number: 1, Conclusion: "success", Branch: "main", Created: now}, Run{ID: 2, Number: 2, Status: "queued", Branch: "x", Fork: true, Created: now})
	first := get(s, "/repos/acme/shop/actions/workflows/deploy.yml/runs?branch=main", "")
	again := get(s, "/repos/acme/shop/actions/workflows/7/runs?branch=main", first.Header().Get("ETag"))
	flows := get(s, "/repos/acme/shop/actions/workflows?per_page=100&page=1", "")
	none := get(s, "/repos/acme/shop/actions/workflows/8/runs", "")
	spent := get(s, "/repos/acme/shop/actions/workflows", "")
	for i, c := range []struct {
		got  *httptest.ResponseRecorder
		code int
		with string
	}{{first, 200, `"total_count":1`}, {again, 304, ""}, {flows, 200, "deploy.yml"}, {none, 404, "Not Found"}, {spent, 403, "rate limit"}} {
		if body := c.got.Body.String(); c.got.Code != c.code || !strings.Contains(body, c.with) {
			t.Errorf("%d: got %d %s", i, c.got.Code, body)
		}
	}
	if got := s.Violations(); len(got) > 0 {
		t.Errorf("violations %q", got)
	}
	get(s, "/repos/acme/shop/actions/workflows/7/runs?status=perhaps", "")
	get(s, "/repos/acme/shop/actions/workflows/7/runs?colour=blue", "")
	get(s, "/repos/acme/shop/actions/nothing", "")
	if got := s.Violations(); len(got) != 3 {
		t.Errorf("violations %q, want three", got)
	}
	// A contract that refuses no answer would prove nothing.
	w := httptest.NewRequest(http.MethodGet, "/repos/acme/shop/actions/workflows/7/runs", nil)
	if s.contract.response(w, 200, http.Header{"Content-Type": {"application/json"}}, []byte(`{"total_count":1,"workflow_runs":[{"id":1}]}`)) == nil {
		t.Error("a run without its fields was accepted")
	}
}
