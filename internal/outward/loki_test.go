package outward

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// canary is a password that must not be told to anybody.
const canary = "canary-9d2e-password"

func lokiOptions(t *testing.T, url string) LokiOptions {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	http := promconfig.DefaultHTTPClientConfig
	http.BasicAuth = &promconfig.BasicAuth{Username: "audit", PasswordFile: "password"}
	return LokiOptions{
		Name: "logs", URL: url, Tenant: "ops", Timeout: 5 * time.Second, HTTP: http,
		Labels: map[string]string{"job": "signalbox", "env": `pr"od`}, Env: kind.Env{Now: time.Now, Agent: "signalbox", ConfigDir: dir},
	}
}

func newTestLoki(t *testing.T, o LokiOptions) *Loki {
	t.Helper()
	l, err := NewLoki(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func someLines(from, n int) []Line {
	lines := make([]Line, n)
	for i := range lines {
		seq := from + i
		lines[i] = Line{uint64(seq), time.Unix(1_770_000_000, int64(seq/2)), fmt.Sprintf(`{"seq":%d,"text":"a \"b\" ü"}`, seq)}
	}
	return lines
}

// Lines arrive whole, in one stream, with the tenant and the credentials; what
// is there is told by Loki.
func TestLokiTakesLines(t *testing.T) {
	server := newLokiServer(t)
	l := newTestLoki(t, lokiOptions(t, server.URL+"/base/"))
	lines := someLines(1, 700)
	for _, part := range [][]Line{lines[:500], lines[500:]} {
		if err := l.Push(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	got := server.got()
	if len(got) != len(lines) {
		t.Fatalf("got %d lines, want %d", len(got), len(lines))
	}
	for i, p := range got {
		if p.labels != `{env="pr\"od", job="signalbox"}` || p.Line != lines[i].Text || !p.Timestamp.Equal(lines[i].At) {
			t.Fatalf("line %d: got %+v, want %+v", i, p, lines[i])
		}
	}
	has, err := l.Has(t.Context(), append(someLines(699, 2), someLines(701, 3)...))
	if err != nil || len(has) != 2 || !has[699] || !has[700] {
		t.Errorf("has %v, %v", has, err)
	}
	for _, h := range server.headers {
		user, password, ok := (&http.Request{Header: h}).BasicAuth()
		if h.Get("X-Scope-OrgID") != "ops" || !ok || user != "audit" || password != canary {
			t.Errorf("headers %v", h)
		}
	}
}

// Every answer is told for what it is, and after it the same client works.
func TestLokiAnswers(t *testing.T) {
	server := newLokiServer(t)
	o := lokiOptions(t, server.URL+"/base")
	o.Timeout = 300 * time.Millisecond
	l := newTestLoki(t, o)
	echo := func(status int, text string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text+" "+r.Header.Get("Authorization"))
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}
	at := 1
	for name, c := range map[string]struct {
		answer  func(http.ResponseWriter, *http.Request)
		status  int
		refused bool
		says    string
	}{
		"too old":      {echo(400, "entry too far behind, entry timestamp is: 2026-01-01"), 400, true, "too far behind"},
		"too long":     {echo(400, "Max entry size '262144' bytes exceeded for stream"), 400, true, "max entry size"},
		"labels":       {echo(400, "stream '{a=\"b\"}' has label value too long: 'b'"), 400, false, "label value too long"},
		"bad request":  {echo(400, "something is wrong with"), 400, false, "400"},
		"unprocessed":  {echo(422, "timestamp too old"), 422, false, "422"},
		"too large":    {echo(413, "too large"), 413, true, "413"},
		"unauthorised": {echo(401, "who are you,"), 401, false, "401"},
		"forbidden":    {echo(403, "not you,"), 403, false, "403"},
		"not there":    {echo(404, "no such page"), 404, false, "404"},
		"too many":     {echo(429, "ingestion rate limit exceeded"), 429, false, "429"},
		"fault":        {echo(500, "oh"), 500, false, "500"},
		"away":         {echo(503, "oh"), 503, false, "503"},
		"blocked":      {echo(260, "blocked until tomorrow"), 0, false, "blocked"},
		"a page":       {echo(200, "<html>please log in</html>"), 0, false, "not with 204"},
		"other 2xx":    {echo(207, "partly"), 0, false, "not with 204"},
		"hangs":        {hang, 0, false, "no answer in time"},
		"breaks off":   {abort, 0, false, "EOF"},
		"redirects":    {redirect, 307, false, "307"},
		"endless":      {endless, 500, false, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			server.set(func() { server.answer = c.answer })
			err := l.Push(t.Context(), someLines(at, 3))
			_, refused := errors.AsType[*Refused](err)
			if err == nil || refused != c.refused || httpclient.Status(err) != c.status || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v (refused %t, status %d), want %q (refused %t, status %d)", err, refused, httpclient.Status(err), c.says, c.refused, c.status)
			}
			mustHideCanary(t, err)
			server.set(func() { server.answer = nil })
			if err := l.Push(t.Context(), someLines(at, 3)); err != nil {
				t.Errorf("well again: %v", err)
			}
			at += 3
		})
	}
}

func mustHideCanary(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{canary, base64.StdEncoding.EncodeToString([]byte("audit:" + canary))} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
}

// Nobody listens, nobody has the name.
func TestLokiIsNotThere(t *testing.T) {
	server := newLokiServer(t)
	url := server.URL
	server.Close()
	l := newTestLoki(t, lokiOptions(t, url))
	err := l.Push(t.Context(), someLines(1, 2))
	if err == nil || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "http://") {
		t.Errorf("got %v", err)
	}
	if _, err := l.Has(t.Context(), someLines(1, 2)); err == nil {
		t.Error("asked nobody, and had an answer")
	}
}

// A stop does not wait for the server, and what follows is counted for itself:
// the batch that was given up is not taken for the next one.
func TestLokiIsLeft(t *testing.T) {
	server := newLokiServer(t)
	l := newTestLoki(t, lokiOptions(t, server.URL+"/base"))
	release, arrived := make(chan struct{}), make(chan struct{}, 10)
	server.set(func() {
		server.keep = true
		server.answer = func(w http.ResponseWriter, _ *http.Request) {
			arrived <- struct{}{}
			<-release
			w.WriteHeader(http.StatusNoContent)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- l.Push(ctx, someLines(1, 3)) }()
	<-arrived
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	// The server still works on it: a second push waits for it, as long as it
	// may.
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := l.Push(ctx, someLines(4, 3)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if n := len(server.got()); n != 3 {
		t.Fatalf("%d lines came while one batch was on its way, want 3", n)
	}
	close(release)
	server.set(func() { server.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) } })
	if err := l.Push(t.Context(), someLines(4, 3)); httpclient.Status(err) != 500 {
		t.Fatalf("got %v, want the 500 of the second batch, not the 204 of the first", err)
	}
}

// What Loki answers to the question is taken strictly.
func TestLokiIsAsked(t *testing.T) {
	server := newLokiServer(t)
	o := lokiOptions(t, server.URL+"/base")
	o.Timeout = 300 * time.Millisecond
	l := newTestLoki(t, o)
	write := func(status int, text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	for name, c := range map[string]struct {
		query  func(http.ResponseWriter)
		status int
		says   string
	}{
		"a page":       {write(200, "<html>"), 200, "proxy"},
		"a metric":     {write(200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`), 0, "not the list"},
		"an error":     {write(200, `{"status":"error","data":{"resultType":"streams","result":[]}}`), 0, "not the list"},
		"no line":      {write(200, `{"status":"success","data":{"resultType":"streams","result":[{"values":[["1"]]}]}}`), 0, "not the list"},
		"a number":     {write(200, `{"status":"success","data":{"resultType":"streams","result":[{"values":[[1,"x"]]}]}}`), 0, "not the list"},
		"cut":          {write(200, `{"status":"succ`), 0, "not the list"},
		"unauthorised": {write(401, canary), 401, "401"},
		"forbidden":    {write(403, canary), 403, "403"},
		"not there":    {write(404, canary), 404, "404"},
		"too long":     {write(400, "the query time range exceeds the limit "+canary), 400, "400"},
		"too many":     {write(429, canary), 429, "429"},
		"fault":        {write(500, canary), 500, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			server.set(func() { server.query = c.query })
			has, err := l.Has(t.Context(), someLines(1, 3))
			if err == nil || has != nil || httpclient.Status(err) != c.status || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, %v (status %d)", has, err, httpclient.Status(err))
			}
			mustHideCanary(t, err)
		})
	}
	server.set(func() { server.query = nil })
	if has, err := l.Has(t.Context(), someLines(1, 3)); err != nil || len(has) != 0 {
		t.Errorf("got %v, %v", has, err)
	}
}

// A whole trail through the real client: a server that fails, loses answers and
// refuses, and a restart in between. No entry is there twice.
func TestTrailThroughTheClient(t *testing.T) {
	server := newLokiServer(t)
	o := lokiOptions(t, server.URL+"/base")
	o.Timeout = time.Second
	l := newLab(t, "")
	audit := func() (stop func()) {
		a := l.audit(10_000)
		sink, err := NewLoki(o)
		if err != nil {
			t.Fatal(err)
		}
		a.o.Sink = sink
		return l.start(a)
	}
	stop := audit()
	for round, answer := range []func(w http.ResponseWriter, r *http.Request){
		nil,
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		nil,
		func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
		func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		server.set(func() { server.answer, server.keep = answer, round != 1 })
		failures := l.errors(stepPush)
		l.write(50)
		l.until("a try", func() bool {
			return answer == nil && l.marked() == uint64(l.written) || answer != nil && l.errors(stepPush) > failures
		})
		if round == 3 {
			stop()
			stop = audit()
		}
		server.set(func() { server.answer = nil })
	}
	l.until("all to be told", func() bool { return l.marked() == uint64(l.written) })
	stop()
	var lines []string
	for _, p := range server.got() {
		lines = append(lines, p.Line)
	}
	mustChain(t, lines)
	if len(lines) != l.written {
		t.Errorf("%d lines for %d entries", len(lines), l.written)
	}
	if strings.Contains(l.log.String(), canary) {
		t.Error("the log holds a secret")
	}
}

// The options are checked before anything is connected to.
func TestLokiThatCannotBe(t *testing.T) {
	o := lokiOptions(t, "http://127.0.0.1:3100")
	o.HTTP.TLSConfig.CAFile = "missing"
	if _, err := NewLoki(o); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v", err)
	}
}

// Batches of the client are not split: what is handed over together comes in
// one request.
func TestOneRequestForABatch(t *testing.T) {
	server := newLokiServer(t)
	l := newTestLoki(t, lokiOptions(t, server.URL+"/base"))
	lines := someLines(1, batchEntries)
	for i := range lines {
		lines[i].Text += strings.Repeat("x", 1000)
	}
	if err := l.Push(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	if n := len(server.headers); n != 1 {
		t.Errorf("%d requests", n)
	}
}
