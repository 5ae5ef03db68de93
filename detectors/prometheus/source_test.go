package prometheus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

const secret = "hunter2-very-secret"

var moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// connect opens a source on a stand-in server, with a credential from a file.
func connect(t testing.TB, h http.Handler, change func(*Settings)) *Source {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSettings()
	s.URL = server.URL
	s.HTTP.Authorization = &promconfig.Authorization{CredentialsFile: "token"}
	if change != nil {
		change(s)
	}
	s.Validate(func(path, rule string, value any) { t.Errorf("%s: %s, got %v", path, rule, value) })
	opened, err := Kind().Open("metrics", s, kind.Env{ConfigDir: dir, Agent: "signalbox/test", Now: func() time.Time { return moment }})
	if err != nil {
		t.Fatal(err)
	}
	return opened.(*Source)
}

func ask(t testing.TB, s *Source, query string) signalbox.Answer {
	t.Helper()
	return s.Ask(t.Context(), []signalbox.Question{{Source: "metrics", Query: query}}, moment)[0]
}

// says answers with a body.
func says(code int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

func vector(rest, samples string) string {
	return `{"status":"success",` + rest + `"data":{"resultType":"vector","result":[` + samples + `]}}`
}

const sampleText = `{"metric":{"cluster":"eu"},"value":[1772366400,"1.25"]}`

func TestAskWhatIsWell(t *testing.T) {
	for _, c := range []struct {
		name, body string
		samples    int
		value      string
		warnings   int
	}{
		{"vector", vector("", sampleText), 1, "1.25", 0},
		{"empty", vector("", ""), 0, "", 0},
		{"NaN", vector("", `{"metric":{},"value":[1772366400,"NaN"]}`), 1, "NaN", 0},
		{"infinite", vector("", `{"metric":{},"value":[1772366400,"+Inf"]}`), 1, "+Inf", 0},
		{"scalar", `{"status":"success","data":{"resultType":"scalar","result":[1772366400,"7"]}}`, 1, "7", 0},
		{"warnings", vector(`"warnings":["store gateway\nis down"],`, sampleText), 1, "1.25", 1},
		{"infos are no warnings", vector(`"infos":["metric might not be a counter"],`, sampleText), 1, "1.25", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := ask(t, connect(t, says(200, "application/json", c.body), nil), "x")
			if a.Err != nil || len(a.Samples) != c.samples || len(a.Warnings) != c.warnings || !a.At.Equal(moment) {
				t.Fatalf("got %+v", a)
			}
			if c.samples > 0 && fmt.Sprint(a.Samples[0].Value) != c.value {
				t.Errorf("value %v, want %s", a.Samples[0].Value, c.value)
			}
		})
	}
}

func TestAskWhatFails(t *testing.T) {
	apiError := func(kind, text string) string {
		return fmt.Sprintf(`{"status":"error","errorType":%q,"error":%q}`, kind, text)
	}
	echo := func(code int) http.HandlerFunc { // a server that repeats what it was sent
		return func(w http.ResponseWriter, r *http.Request) {
			says(code, "application/json", apiError("x", r.Header.Get("Authorization")))(w, r)
		}
	}
	html := "<html><body>" + secret + "</body></html>"
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		want string
	}{
		{"400", says(400, "application/json", apiError("bad_data", "parse error")), "bad_data: parse error"},
		{"401", echo(401), "HTTP 401 Unauthorized: the server refuses the credentials"},
		{"403", echo(403), "HTTP 403 Forbidden"},
		{"404", says(404, "text/plain; charset=utf-8", "404 page not found"), "client error: 404"},
		{"422", says(422, "application/json", apiError("execution", "many-to-many matching")), "execution: many-to-many matching"},
		{"429", says(429, "application/json", "{}"), "client error: 429"},
		{"500 that echoes", echo(500), "server error: 500: (not shown)"},
		{"a value that is none", says(200, "application/json", vector("", `{"metric":{},"value":[1772366400,"`+secret+`"]}`)), "bad_response"},
		{"another shape", says(200, "application/json", `{"status":"success","data":{"resultType":"vector","result":"`+secret+`"}}`), "bad_response"},
		{"500", says(500, "application/json", apiError("internal", "oops")), "server error: 500: oops"},
		{"503", says(503, "application/json", apiError("timeout", "query timed out")), "server error: 503: query timed out"},
		{"502 of a proxy", says(502, "text/html", html), "HTTP 502 Bad Gateway: an answer of type text/html, so of a proxy"},
		{"200 of a proxy", says(200, "text/html; charset=utf-8", html), "HTTP 200 OK: an answer of type text/html"},
		{"an error that says 200", says(200, "application/json", apiError("internal", "oops")), "internal: oops"},
		{"truncated", says(200, "application/json", vector("", sampleText)[:60]), "bad_response: unexpected end of JSON input"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "{")
		}, "unexpected EOF"},
		{"empty body", says(200, "application/json", ""), "unexpected end of JSON input"},
		{"null", says(200, "application/json", "null"), "not one of Prometheus' HTTP API"},
		{"matrix", says(200, "application/json", `{"status":"success","data":{"resultType":"matrix","result":[]}}`), "not one of Prometheus"},
		{"string", says(200, "application/json", `{"status":"success","data":{"resultType":"string","result":[1,"a"]}}`), "bad_response"},
		{"histogram", says(200, "application/json", vector("", `{"metric":{},"histogram":[1772366400,{"count":"1","sum":"1","buckets":[]}]}`)), "native histograms"},
		{"another moment", says(200, "application/json", vector("", `{"metric":{},"value":[1772366100,"1"]}`)), "is there a cache between?"},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			block := []byte(strings.Repeat(" ", 1<<20))
			for r.Context().Err() == nil {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, "larger than 32 MiB"},
		{"a redirect elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost.invalid/?"+secret, http.StatusTemporaryRedirect)
		}, "bad response code 307"},
	} {
		t.Run(c.name, func(t *testing.T) {
			patient := func(s *Settings) { s.Timeout = kind.Duration(2 * time.Minute) } // 32 MiB take their time on a busy machine
			a := ask(t, connect(t, c.h, patient), "x")
			if a.Err == nil || !strings.Contains(a.Err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", a.Err, c.want)
			}
			if strings.Contains(a.Err.Error(), secret) || strings.Contains(a.Err.Error(), "\n") || a.Samples != nil {
				t.Errorf("error %q with samples %v: holds a secret, more than one line, or a part of an answer", a.Err, a.Samples)
			}
		})
	}
}

func TestAskTooManySeries(t *testing.T) {
	body := vector("", strings.Repeat(sampleText+",", maxSeries)+sampleText)
	if a := ask(t, connect(t, says(200, "application/json", body), nil), "x"); a.Err == nil || !strings.Contains(a.Err.Error(), "20001 series") {
		t.Fatalf("got %v", a.Err)
	}
}

func TestAskSendsWhatIsAsked(t *testing.T) {
	var got atomic.Value
	s := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		got.Store(fmt.Sprint(r.Method, r.URL.Path, r.URL.RawQuery, r.PostForm, r.Header.Get("Authorization"), r.UserAgent()))
		says(200, "application/json", vector("", ""))(w, r)
	}), func(s *Settings) { s.URL += "/prefix/" })
	ask(t, s, `x{a="b"}`)
	if d, ok := s.Skew(); !ok || d == 0 { // the test's clock stands still
		t.Errorf("skew %v, %v", d, ok)
	}
	want := fmt.Sprint("POST", "/prefix/api/v1/query", "", map[string][]string{"query": {`x{a="b"}`}, "time": {"1772366400"}, "timeout": {"10s"}}, "Bearer "+secret, "signalbox/test")
	if got.Load() != want {
		t.Errorf("sent %v\nwant %v", got.Load(), want)
	}
}

func TestAskHonoursItsDeadline(t *testing.T) {
	headers := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
	}
	for _, slowBody := range []bool{false, true} {
		s := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // so that the server notices that the client is gone
			if slowBody {
				headers(w)
			}
			<-r.Context().Done()
		}), func(s *Settings) { s.Timeout = kind.Duration(30 * time.Millisecond) })
		if a := ask(t, s, "x"); !errors.Is(a.Err, context.DeadlineExceeded) {
			t.Errorf("slow body %v: got %v, want the deadline", slowBody, a.Err)
		}
	}
}

func TestAskHonoursCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := connect(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}), nil)
	qs := make([]signalbox.Question, 3*maxConcurrent) // also those that wait for their turn
	for _, a := range s.Ask(ctx, qs, moment) {
		if !errors.Is(a.Err, context.Canceled) {
			t.Fatalf("got %v, want canceled", a.Err)
		}
	}
}

func TestAskIsBounded(t *testing.T) {
	var now, most atomic.Int64
	s := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for n := now.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		defer now.Add(-1)
		says(200, "application/json", vector("", ""))(w, r)
	}), nil)
	qs := make([]signalbox.Question, 200)
	for i := range qs {
		qs[i].Query = fmt.Sprint("x", i)
	}
	for i, a := range s.Ask(t.Context(), qs, moment) {
		if a.Err != nil || a.Question != qs[i] {
			t.Fatalf("answer %d: %+v", i, a)
		}
	}
	if m := most.Load(); m > maxConcurrent {
		t.Errorf("%d at once, want at most %d", m, maxConcurrent)
	}
}

func TestConnectionRefusedNamesNoAddress(t *testing.T) {
	s := connect(t, http.NotFoundHandler(), func(s *Settings) { s.URL = "http://127.0.0.1:1/path-" + secret })
	if a := ask(t, s, "x"); a.Err == nil || !strings.Contains(a.Err.Error(), "connection refused") || strings.Contains(a.Err.Error(), secret) {
		t.Errorf("got %v, want connection refused, without the path", a.Err)
	}
}

func TestMissingCredentialFile(t *testing.T) {
	s := connect(t, http.NotFoundHandler(), func(s *Settings) { s.HTTP.Authorization.CredentialsFile = "gone" })
	if a := ask(t, s, "x"); a.Err == nil || !strings.Contains(a.Err.Error(), "unable to read") {
		t.Errorf("got %v", a.Err)
	}
}
