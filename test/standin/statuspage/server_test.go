package statuspage

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
	path := filepath.Join(dir, "statuspage", "statuspage.trim.json")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: the contract is absent, set SIGNALBOX_CONTRACTS: %v", err)
	}
	return path
}

func get(s *Server, target, tag string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("User-Agent", "x")
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// What it answers is made of what the vendor's schemas allow, and what breaks
// them is told.
func TestItKeepsTheContract(t *testing.T) {
	s, err := New(Options{Spec: spec(t)})
	if err != nil {
		t.Fatal(err)
	}
	page := Page{
		ID: "p", Name: "Payments", UpdatedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Components: []Component{{ID: "g", Name: "API", IsGroup: true}, {ID: "a", Name: "Payouts", Group: "g", Status: "partial_outage"}},
		Incidents:  []Incident{{ID: "i", Name: "Slow", Status: "identified", Components: []string{"a"}}, {ID: "m", Name: "Move", Status: "scheduled", Maintenance: true}},
	}
	s.Set(page)
	first := get(s, "/api/v2/summary.json", "")
	if body := first.Body.String(); first.Code != 200 || !strings.Contains(body, `"indicator":"major"`) || !strings.Contains(body, `"components":["a"]`) {
		t.Errorf("got %d %s", first.Code, body)
	}
	if again := get(s, "/api/v2/summary.json", first.Header().Get("ETag")); again.Code != 304 || again.Body.Len() > 0 {
		t.Errorf("got %d", again.Code)
	}
	if got := s.Violations(); len(got) > 0 {
		t.Errorf("violations %q", got)
	}
	get(s, "/api/v2/summary.json?a=b", "")
	get(s, "/api/v2/status.json", "")
	page.Components[1].Status = "ablaze"
	page.Indicator = "none"
	defer func() {
		if got := s.Violations(); len(got) < 3 {
			t.Errorf("violations %q, want those of two requests and an answer", got)
		}
	}()
	s.Set(page)
	get(s, "/api/v2/summary.json", "")
}
