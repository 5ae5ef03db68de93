package grafana

import (
	"math"
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
	path := filepath.Join(dir, "grafana", "grafana.derived.json")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: the contract is absent, set SIGNALBOX_CONTRACTS: %v", err)
	}
	return path
}

func do(s *Server, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header = http.Header{"User-Agent": {"x"}, "Accept": {"application/json"}, "Authorization": {"Bearer t"}}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func stand(t *testing.T, o Options) *Server {
	t.Helper()
	o.Spec, o.Token = spec(t), "t"
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.SetDashboards(Dashboard{UID: "a", Title: "Prod", Folder: "DB", Model: []byte(`{"panels":[]}`)}, Dashboard{UID: "b", Title: "Production", Model: []byte(`{}`)})
	s.SetLibraries(Library{UID: "l", Name: "Lag", Kind: 1, Model: []byte(`{}`)})
	at := time.UnixMilli(1_000).Add(5)
	s.SetDatasources(Datasource{UID: "p", Name: "P", Type: "prometheus", URL: "http://p", Default: true, Answer: func(q Query) Result {
		if q.Raw["expr"] == "bad" {
			return Result{Error: "boom"}
		}
		return Result{Frames: []Frame{{
			Fields: []Field{
				{Name: "Time", Type: "time", Values: []any{at, at.Add(time.Second)}},
				{Name: "Value", Type: "number", Labels: map[string]string{"x": "y"}, Values: []any{math.NaN(), nil}},
			}, Notices: []Notice{{"warning", "half of it"}},
		}}}
	}})
	return s
}

func one(expr string) string {
	return `{"from":"0","to":"2000","queries":[{"refId":"A","expr":"` + expr + `","datasource":{"uid":"p","type":"prometheus"},"intervalMs":1000,"maxDataPoints":100}]}`
}

// What it answers is what Grafana's description allows.
func TestItKeepsTheContract(t *testing.T) {
	s := stand(t, Options{})
	for _, c := range []struct {
		method, path, body string
		code               int
		with               string
	}{
		{"GET", "/api/search?type=dash-db&query=prod&limit=5", "", 200, `"folderTitle":"DB"`},
		{"GET", "/api/search?type=dash-db&query=none&limit=5", "", 200, "[]"},
		{"GET", "/api/dashboards/uid/a", "", 200, `"folderTitle":"DB"`},
		{"GET", "/api/dashboards/uid/b", "", 200, `"folderTitle":"General"`},
		{"GET", "/api/dashboards/uid/c", "", 404, "not found"},
		{"GET", "/api/library-elements/l", "", 200, `"name":"Lag"`},
		{"GET", "/api/library-elements/m", "", 404, "could not be found"},
		{"GET", "/api/datasources", "", 200, `"isDefault":true`},
		{"POST", "/api/ds/query", one("lag"), 200, `"entities":[null,{"NaN":[0]}],"nanos":[[5,5],null],"values":[[1000,2000],[null,null]]`},
		{"POST", "/api/ds/query", one("bad"), 400, `"error":"boom"`},
		{"POST", "/api/ds/query", strings.Replace(one("lag"), `"uid":"p"`, `"uid":"q"`, 1), 400, "data source not found"},
		{"POST", "/api/annotations", `{"dashboardUID":"a","text":"x","tags":["one","two"],"time":1000}`, 200, `"id":1`},
		{"GET", "/api/annotations?tags=one&tags=two&dashboardUID=a&type=annotation&limit=10", "", 200, `"timeEnd":1000`},
		{"GET", "/api/annotations?tags=one&tags=three", "", 200, "[]"},
		{"PATCH", "/api/annotations/1", `{"timeEnd":5000,"text":"y"}`, 200, "patched"},
		{"PATCH", "/api/annotations/9", `{"text":"y"}`, 404, "not found"},
	} {
		got := do(s, c.method, c.path, c.body)
		if body := got.Body.String(); got.Code != c.code || !strings.Contains(body, c.with) {
			t.Errorf("%s %s: got %d %s", c.method, c.path, got.Code, body)
		}
	}
	if a := s.Annotations(); len(a) != 1 || a[0].Text != "y" || a[0].End.UnixMilli() != 5_000 || len(a[0].Tags) != 2 {
		t.Errorf("got %+v", a)
	}
	s.o.MultiStatus = true
	if got := do(s, "POST", "/api/ds/query", one("bad")); got.Code != http.StatusMultiStatus {
		t.Errorf("got %d", got.Code)
	}
	if got := s.Violations(); len(got) > 0 {
		t.Errorf("violations %q", got)
	}
}

// What breaks the contract is told, each by one violation.
func TestItTellsViolations(t *testing.T) {
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/api/search?type=dash-db&colour=blue", "", `there is no parameter "colour"`},
		{"GET", "/api/search?query=x", "", "type must be dash-db"},
		{"GET", "/api/annotations?limit=many", "", "limit must be a whole number"},
		{"POST", "/api/ds/query", strings.Replace(one("lag"), `"from":"0"`, `"from":"now-1h"`, 1), "from and to must be times"},
		{"POST", "/api/ds/query", strings.Replace(one("lag"), `"refId":"A"`, `"refId":""`, 1), "refId must be there"},
		{"POST", "/api/ds/query", one("rate(x[$__interval])"), "a variable that is not filled in"},
		{"POST", "/api/ds/query", strings.Replace(one("lag"), `"intervalMs":1000`, `"intervalMs":"1s"`, 1), "intervalMs must be a whole number"},
		{"POST", "/api/annotations", `{"text":"x","colour":"blue"}`, "unknown field"},
		{"POST", "/api/annotations", `{"text":"x","dashboardUID":"gone"}`, "there is no dashboard"},
		{"POST", "/api/annotations", `{"text":"x","time":"now"}`, "contract: "},
		{"GET", "/api/nothing", "", "no matching operation"},
	} {
		s := stand(t, Options{})
		do(s, c.method, c.path, c.body)
		if got := strings.Join(s.Violations(), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: got %q, want %q", c.method, c.path, got, c.want)
		}
	}
	s := stand(t, Options{})
	r := httptest.NewRequest(http.MethodGet, "/api/search", http.NoBody)
	s.ServeHTTP(httptest.NewRecorder(), r)
	if got := s.Violations(); len(got) != 2 { // User-Agent and Accept; the credentials are refused before type is looked at
		t.Errorf("violations %q", got)
	}
	// A contract that refuses no answer would prove nothing.
	r = httptest.NewRequest(http.MethodGet, "/api/search?type=dash-db", http.NoBody)
	if s.contract.response(r, nil, 200, []byte(`[{"id":"one"}]`)) == nil {
		t.Error("a hit whose id is a text was accepted")
	}
}

// A fault meets its path, and its effect may have been.
func TestFaults(t *testing.T) {
	s := stand(t, Options{})
	s.Fail(Fault{Path: "/api/annotations", Status: 504, After: true}, Fault{Status: 429, Header: map[string]string{"Retry-After": "5"}})
	if got := do(s, "POST", "/api/annotations", `{"text":"x"}`); got.Code != 504 || len(s.Annotations()) != 1 {
		t.Errorf("got %d and %d annotations", got.Code, len(s.Annotations()))
	}
	if got := do(s, "GET", "/api/datasources", ""); got.Code != 429 || got.Header().Get("Retry-After") != "5" {
		t.Errorf("got %d", got.Code)
	}
	if got := do(s, "GET", "/api/datasources", ""); got.Code != 200 || s.Requests("GET /api/datasources") != 2 {
		t.Errorf("got %d", got.Code)
	}
}
