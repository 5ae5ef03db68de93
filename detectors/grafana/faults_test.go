package grafana

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

// steady is a data source of Prometheus that always has the same value, ten
// seconds old.
var steady = standin.Datasource{UID: "prom", Name: "Prometheus", Type: "prometheus", URL: "http://prometheus:9090", Answer: func(q standin.Query) standin.Result {
	value := 0.25
	if strings.HasPrefix(q.Raw["expr"].(string), "timestamp(") {
		value = float64(q.To.Unix() - 10)
	}
	return standin.Result{Frames: []standin.Frame{{Fields: []standin.Field{
		{Name: "Time", Type: "time", Values: []any{q.To}}, {Name: "Value", Type: "number", Labels: map[string]string{"cluster": "eu"}, Values: []any{value}},
	}}}}
}}

// ready is a house with a panel that is ill, and the question about it.
func ready(t *testing.T) (*house, []signalbox.Question) {
	h := newHouse(t)
	h.SetDatasources(steady)
	h.SetDashboards(prod(panelOf(7, "Replication lag", "lag")))
	return h, h.detector(lagKeys).Questions()
}

// Whatever goes wrong at any request is an error in one line, which names the
// panel, and no secret.
func TestFaults(t *testing.T) {
	html := map[string]string{"Content-Type": "text/html"}
	for _, path := range []string{"/api/search", "/api/dashboards/uid/db-prod", "/api/datasources", "/api/ds/query"} {
		for _, c := range []struct {
			name  string
			fault standin.Fault
			want  string
		}{
			{"400", standin.Fault{Status: 400, Body: `{"message":"bad"}`}, "HTTP 400 Bad Request: bad"},
			{"401 that echoes", standin.Fault{Status: 401, Body: `{"message":"Bearer ` + token + `"}`}, "HTTP 401 Unauthorized: the server refuses the credentials, or wants some"},
			{"403", standin.Fault{Status: 403, Body: `{"message":"` + token + `"}`}, "HTTP 403 Forbidden: the server refuses the credentials, or wants some"},
			{"429", standin.Fault{Status: 429, Body: "{}"}, "HTTP 429 Too Many Requests"},
			{"429 with a time", standin.Fault{Status: 429, Header: map[string]string{"Retry-After": "30"}, Body: "{}"}, "HTTP 429 Too Many Requests"},
			{"500 that echoes", standin.Fault{Status: 500, Body: `{"message":"token ` + token + ` is wrong\nindeed"}`}, "HTTP 500 Internal Server Error: token (not shown) is wrong indeed"},
			{"502 of a proxy", standin.Fault{Status: 502, Header: html, Body: "<html>" + token}, "HTTP 502 Bad Gateway: an answer of type text/html, so of a proxy or another server"},
			{"200 of a proxy", standin.Fault{Status: 200, Header: html, Body: "<html>"}, "HTTP 200 OK: an answer of type text/html, so of a proxy or another server"},
			{"truncated", standin.Fault{Status: 200, Body: `{"a": [`}, "the answer is not the JSON that was asked for: unexpected end of JSON input"},
			{"empty", standin.Fault{Status: 200}, "the answer is not the JSON that was asked for: unexpected end of JSON input"},
			{"another shape", standin.Fault{Status: 200, Body: `"` + token + `"`}, "the answer is not the JSON that was asked for: string where"},
			{"too long", standin.Fault{Status: 200, Body: strings.Repeat(" ", 33<<20)}, "the answer is larger than 32 MiB"},
		} {
			if c.name == "too long" && path != "/api/search" {
				continue // the client is the same, and the body is long
			}
			t.Run(path+" "+c.name, func(t *testing.T) {
				h, qs := ready(t)
				c.fault.Path = path
				h.Fail(c.fault)
				a := h.source.Ask(t.Context(), qs, h.now)[0]
				if a.Err == nil || !strings.Contains(a.Err.Error(), c.want) || !strings.HasPrefix(a.Err.Error(), `dashboard "DB/Prod", panel "Replication lag": `) {
					t.Fatalf("error %v, want one with %q", a.Err, c.want)
				}
				if text := a.Err.Error(); strings.Contains(text, token) || strings.Contains(text, "127.0.0.1") || strings.Contains(text, "\n") || a.Samples != nil {
					t.Errorf("error %q holds a secret, an address or a line break, or there are samples", text)
				}
				if _, told := errors.AsType[*signalbox.RetryAfter](a.Err); c.fault.Header["Retry-After"] != "" && !told {
					t.Error("it does not say when to come back")
				}
				h.now = h.now.Add(2 * time.Minute)
				if a := h.source.Ask(t.Context(), qs, h.now)[0]; a.Err != nil || len(a.Samples) != 2 {
					t.Errorf("got %v when it was over", a.Err)
				}
			})
		}
	}
}

// The results of a query may fail one by one, also within a 207.
func TestPartsOfAQuery(t *testing.T) {
	for _, c := range []struct {
		name  string
		multi bool
		part  string // refId
		with  standin.Result
		want  string
	}{
		{"the value", true, "A", standin.Result{Error: "boom"}, "its query: the data source says: boom"},
		{"the age", true, "age-0", standin.Result{Error: "boom"}, "its query: the data source says: boom"},
		{"the age, in a 400", false, "age-0", standin.Result{Error: "boom"}, "its query: HTTP 400 Bad Request: boom"},
		{"an echo", true, "A", standin.Result{Error: "Authorization: Bearer " + token}, "its query: the data source says: Authorization: (not shown)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := openHouse(t, standin.Options{MultiStatus: c.multi})
			ds := steady
			answer := ds.Answer
			ds.Answer = func(q standin.Query) standin.Result {
				if q.RefID == c.part {
					return c.with
				}
				return answer(q)
			}
			h.SetDatasources(ds)
			h.SetDashboards(prod(panelOf(7, "Replication lag", "lag")))
			a := h.source.Ask(t.Context(), h.detector(lagKeys).Questions(), h.now)[0]
			if got := text0(a.Err); got != `dashboard "DB/Prod", panel "Replication lag": `+c.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// A part that is missing, and an answer for another moment.
func TestWrongAnswers(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"no results", `{"results":{}}`, `its query: the answer lacks the result of "A"`},
		{"no age", `{"results":{"A":{"frames":[]}}}`, `its query: the answer lacks the result of "age-0"`},
		{
			"of a cache", `{"results":{"A":` + resultOf(frameOf(at+","+eu, "[300000],[0]")) + `,"age-0":` + resultOf(frameOf(at+","+eu, "[300000],[300]")) + `}}`,
			"the answer is for 1970-01-01T00:05:00Z, and 1970-01-01T00:10:00Z was asked about: is there a cache between?",
		},
		{
			"the age of a cache", `{"results":{"A":` + resultOf(frameOf(at+","+eu, "[600000],[0]")) + `,"age-0":` + resultOf(frameOf(at+","+eu, "[300000],[590]")) + `}}`,
			"the answer is for 1970-01-01T00:05:00Z, and 1970-01-01T00:10:00Z was asked about: is there a cache between?",
		},
		{"rounded down to the step", `{"results":{"A":` + resultOf(frameOf(at+","+eu, "[585000],[0]")) + `,"age-0":` + resultOf(frameOf(at+","+eu, "[585000],[580]")) + `}}`, ""},
		{"of the future", `{"results":{"A":` + resultOf(frameOf(at+","+eu, "[660000],[0]")) + `,"age-0":{}}}`, "the answer is for 1970-01-01T00:11:00Z, and 1970-01-01T00:10:00Z was asked about: is there a cache between?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, qs := ready(t)
			h.Fail(standin.Fault{Path: "/api/ds/query", Status: 200, Body: c.body})
			a := h.source.Ask(t.Context(), qs, h.now)[0]
			if got := strings.TrimPrefix(text0(a.Err), `dashboard "DB/Prod", panel "Replication lag": `); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// silent is a server that answers nothing, or begins a body and stops; at is the
// path at which it does.
func silent(t *testing.T, at string, body bool, then func()) *Source {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server notices that the client is gone
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != at {
			fmt.Fprint(w, `[]`)
			return
		}
		if body {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
		}
		then()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	s := newSettings()
	s.URL, s.Timeout = server.URL, kind.Duration(50*time.Millisecond)
	opened, err := open("dashboards", s, kind.Env{ConfigDir: t.TempDir(), Agent: "signalbox/test", Now: func() time.Time { return moment }})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func TestDeadline(t *testing.T) {
	for _, body := range []bool{false, true} {
		s := silent(t, "/api/search", body, func() {})
		a := s.Ask(t.Context(), []signalbox.Question{{Query: reference{Dashboard: "a b", Panel: "c"}.encode()}}, moment)[0]
		if !errors.Is(a.Err, context.DeadlineExceeded) {
			t.Errorf("slow body %v: got %v", body, a.Err)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := silent(t, "/api/search", false, cancel)
	s.timeout = time.Hour
	qs := make([]signalbox.Question, 3*maxConcurrent) // also those that wait for their turn
	for i := range qs {
		qs[i].Query = reference{Dashboard: fmt.Sprint("a ", i), Panel: "c"}.encode()
	}
	for _, a := range s.Ask(ctx, qs, moment) {
		if !errors.Is(a.Err, context.Canceled) {
			t.Errorf("got %v", a.Err)
		}
	}
}

func TestAskIsBounded(t *testing.T) {
	h, qs := ready(t)
	var now, most atomic.Int64
	stand := h.Server
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			continue
		}
		stand.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s := h.open(server.URL)
	many := make([]signalbox.Question, 100)
	for i := range many {
		many[i] = qs[0]
	}
	for i, a := range s.Ask(t.Context(), many, h.now) {
		if a.Err != nil || len(a.Samples) != 2 {
			t.Fatalf("%d: %+v", i, a)
		}
	}
	if m := most.Load(); m > maxConcurrent {
		t.Errorf("%d at once, want at most %d", m, maxConcurrent)
	}
}

func TestQuestionThatNamesNoPanel(t *testing.T) {
	h, _ := ready(t)
	for _, q := range []string{"", "lag", "{}", `{"dashboard":"a","panel":"b","more":1}`} {
		if a := h.source.Ask(t.Context(), []signalbox.Question{{Query: q}}, h.now)[0]; !errors.Is(a.Err, errReference) {
			t.Errorf("%q: got %v", q, a.Err)
		}
	}
}

func TestConnectionRefusedNamesNoAddress(t *testing.T) {
	h, qs := ready(t)
	a := h.open("http://127.0.0.1:1/path-"+token).Ask(t.Context(), qs, h.now)[0]
	if a.Err == nil || !strings.Contains(a.Err.Error(), "connection refused") || strings.Contains(a.Err.Error(), token) {
		t.Errorf("got %v", a.Err)
	}
}
