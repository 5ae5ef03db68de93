package httpclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

var moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// connect makes a client of a stand-in, with a credential from a file.
func connect(t testing.TB, h http.Handler, change func(*promconfig.HTTPClientConfig)) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := promconfig.DefaultHTTPClientConfig
	c.Authorization = &promconfig.Authorization{CredentialsFile: "token"}
	if change != nil {
		change(&c)
	}
	client, err := New("metrics", server.URL+"/prefix", c, kind.Env{ConfigDir: dir, Agent: "signalbox/test", Now: func() time.Time { return moment }})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func says(code int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func whole(body []byte) string { return string(body) }

func TestJSONSendsWhatIsAsked(t *testing.T) {
	var got atomic.Value
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got.Store(strings.Join([]string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body), r.Header.Get("Content-Type"), r.Header.Get("Accept"), r.Header.Get("Authorization"), r.UserAgent()}, " "))
		says(200, "application/json", `{"n":7}`)(w, r)
	}), nil)
	var into struct{ N int }
	err := c.JSON(t.Context(), http.MethodPost, "api/"+url.PathEscape("a/b c"), url.Values{"q": {"x y"}}, map[string]int{"a": 1}, &into, nil)
	want := `POST /prefix/api/a%2Fb%20c q=x+y {"a":1} application/json application/json Bearer ` + secret + " signalbox/test"
	if err != nil || into.N != 7 || got.Load() != want {
		t.Errorf("got %v, %+v, sent\n%v, want\n%v", err, into, got.Load(), want)
	}
}

func TestJSONWhatFails(t *testing.T) {
	echo := func(code int) http.HandlerFunc { // a server that repeats what it was sent
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", r.Header.Get("Authorization"))
			says(code, "application/json", "you sent "+r.Header.Get("Authorization"))(w, r)
		}
	}
	for _, c := range []struct {
		name   string
		h      http.HandlerFunc
		want   string
		status int
	}{
		{"400", says(400, "application/json", "no such\nfield"), "HTTP 400 Bad Request: no such field", 400},
		{"400 that echoes", echo(400), "HTTP 400 Bad Request: you sent (not shown)", 400},
		{"401", echo(401), "HTTP 401 Unauthorized: the server refuses the credentials", 401},
		{"403", echo(403), "HTTP 403 Forbidden: the server refuses", 403},
		{"404", says(404, "text/plain; charset=utf-8", "404 page not found"), "HTTP 404 Not Found: 404 page not found", 404},
		{"500 that echoes", echo(500), "HTTP 500 Internal Server Error: you sent (not shown)", 500},
		{"502 of a proxy", says(502, "text/html", secret), "HTTP 502 Bad Gateway: an answer of type text/html, so of a proxy", 502},
		{"200 of a proxy", says(200, "text/html; charset=utf-8", secret), "HTTP 200 OK: an answer of type text/html", 200},
		{"a type that tells", says(200, "text/"+secret, ""), "HTTP 200 OK: an answer of another type than JSON", 200},
		{"304 that nobody asked for", says(304, "application/json", ""), "HTTP 304 Not Modified", 304},
		{"a redirect to nowhere", says(302, "application/json", ""), "HTTP 302 Found: a redirect to nowhere", 302},
		{"truncated", says(200, "application/json", `{"n":`), "not the JSON that was asked for: unexpected end", 0},
		{"empty", says(200, "application/json", ""), "not the JSON that was asked for: unexpected end", 0},
		{"another shape", says(200, "application/json", `{"n":"`+secret+`"}`), "string where int was expected", 0},
		{"another number", says(200, "application/json", `{"n":123.25}`), "number where int was expected", 0},
		{"a time that is none", says(200, "application/json", `{"t":"`+secret+`"}`), "(not shown)", 0},
		{"not JSON", says(200, "application/json", secret), "invalid character", 0},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "{")
		}, "the answer broke off: unexpected EOF", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var into struct {
				N int
				T time.Time
			}
			err := connect(t, c.h, nil).JSON(t.Context(), http.MethodGet, "x", nil, nil, &into, whole)
			if err == nil || !strings.Contains(err.Error(), c.want) || Status(err) != c.status {
				t.Fatalf("error %v of status %d, want one with %q of %d", err, Status(err), c.want, c.status)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 2*maxText {
				t.Errorf("%q holds a secret, more than one line, or too much", err)
			}
		})
	}
}

// raw answers each connection with bytes that are no HTTP, or hardly.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, answer)
	}
}

func TestWhatIsHardlyHTTPLeaksNothing(t *testing.T) {
	for _, answer := range []string{
		secret + "\r\n\r\n",
		"HTTP/1.1 " + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n " + secret + ": x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://[" + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
		"",
	} {
		err := connect(t, raw(answer), nil).JSON(t.Context(), http.MethodGet, "x", nil, nil, new(any), whole)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v", answer, err)
		}
	}
}

func TestRedirects(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		says(200, "application/json", "{}")(w, nil)
	}))
	defer other.Close()
	var asked atomic.Int32
	to := func(location string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.URL.Path == "/there" && r.Header.Get("Authorization") == "Bearer "+secret {
				says(200, "application/json", "{}")(w, r)
				return
			}
			http.Redirect(w, r, location, http.StatusTemporaryRedirect)
		}
	}
	for _, c := range []struct {
		name, location string
		follow, ok     bool
		requests       int32
	}{
		{"same host", "/there", true, true, 2},
		{"same host, not followed", "/there", false, false, 1},
		{"another host", other.URL, true, false, 1},
		{"another host of the same name", "http://" + secret + "@localhost:1/there", true, false, 1},
		{"another scheme", "https://127.0.0.1/there", true, false, 1},
		{"for ever", "/again", true, false, maxRedirects + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked.Store(0)
			client := connect(t, to(c.location), func(h *promconfig.HTTPClientConfig) { h.FollowRedirects = c.follow })
			err := client.JSON(t.Context(), http.MethodGet, "here", nil, nil, new(any), nil)
			if (err == nil) != c.ok || asked.Load() != c.requests {
				t.Errorf("got %v after %d requests, want %d", err, asked.Load(), c.requests)
			}
			if err != nil && (Status(err) != http.StatusTemporaryRedirect || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("got %v", err)
			}
		})
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

// A body ends at the bound, in memory too, and one that just fits is taken.
func TestBodiesAreBounded(t *testing.T) {
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		block := []byte(strings.Repeat(" ", 1<<20))
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := connect(t, endless, nil).JSON(t.Context(), http.MethodGet, "x", nil, nil, new(any), nil)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8*MaxBody {
		t.Errorf("%d MiB were allocated on the way", used>>20)
	}
	for size, want := range map[int]error{9: nil, 10: nil, 11: ErrTooLarge, 4096: ErrTooLarge} {
		b := &limitedBody{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", size))), left: 10}
		got, err := io.ReadAll(b)
		if !errors.Is(err, want) || len(got) != min(size, 10) {
			t.Errorf("%d bytes of at most 10: got %d, %v", size, len(got), err)
		}
	}
}

func TestDeadlineAndCancel(t *testing.T) {
	for _, slowBody := range []bool{false, true} {
		hang := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if slowBody {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(200)
				_ = http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		})
		c := connect(t, hang, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := c.JSON(ctx, http.MethodGet, "x", nil, nil, new(any), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("slow body %v: got %v", slowBody, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if err := c.JSON(ctx, http.MethodGet, "x", nil, nil, new(any), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

func TestNoAddressInErrors(t *testing.T) {
	u, _ := url.Parse("http://u:" + secret + "@127.0.0.1:1/" + secret)
	c := Over(http.DefaultTransport, u, true, func() time.Time { return moment })
	err := c.JSON(t.Context(), http.MethodGet, "x", url.Values{"q": {secret}}, nil, nil, nil)
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
	if _, err := New("metrics", "http://u:"+secret+"@[", promconfig.DefaultHTTPClientConfig, kind.Env{}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestMissingCredentialFile(t *testing.T) {
	var asked atomic.Int32
	c := connect(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }), func(h *promconfig.HTTPClientConfig) { h.Authorization.CredentialsFile = "gone" })
	if err := c.JSON(t.Context(), http.MethodGet, "x", nil, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "unable to read") || asked.Load() > 0 {
		t.Errorf("got %v after %d requests", err, asked.Load())
	}
}

// trip is a transport without a network.
type trip func(*http.Request) (*http.Response, error)

func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func response(r *http.Request, code int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

func TestSkew(t *testing.T) {
	const took = 2 * time.Second
	for _, c := range []struct {
		name string
		date time.Time // zero: none
		age  string
		want time.Duration
		seen bool
	}{
		{"none", time.Time{}, "", 0, false},
		{"exact", moment, "", 0, true},
		{"within the request", moment.Add(took), "", 0, true},
		{"cut to the second", moment.Add(-time.Second), "", 0, true},
		{"ahead", moment.Add(time.Minute), "", time.Minute - took, true},
		{"behind", moment.Add(-time.Minute), "", -time.Minute + time.Second, true},
		{"a cache's", moment.Add(-time.Hour), "3600", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := moment
			u, _ := url.Parse("http://server")
			client := Over(trip(func(r *http.Request) (*http.Response, error) {
				h := http.Header{}
				if !c.date.IsZero() {
					h.Set("Date", c.date.Format(http.TimeFormat))
				}
				if c.age != "" {
					h.Set("Age", c.age)
				}
				now = now.Add(took)
				return response(r, 200, h, "{}"), nil
			}), u, true, func() time.Time { return now })
			if _, ok := client.Skew(); ok {
				t.Fatal("skew is known before an answer")
			}
			if err := client.JSON(t.Context(), http.MethodGet, "x", nil, nil, nil, nil); err != nil {
				t.Fatal(err)
			}
			if got, ok := client.Skew(); got != c.want || ok != c.seen {
				t.Errorf("got %v, %v, want %v, %v", got, ok, c.want, c.seen)
			}
		})
	}
}

// What a server puts of our credentials into its data is not told either.
func TestRedactAnswer(t *testing.T) {
	c := connect(t, says(200, "application/json", "{}"), nil)
	echo := "you sent Bearer " + secret + " (" + url.QueryEscape(secret) + ")"
	if got := c.Redact(echo); got != echo {
		t.Errorf("before anything was sent nothing is known, got %q", got)
	}
	if err := c.JSON(t.Context(), http.MethodGet, "x", nil, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	cause := &signalbox.RetryAfter{After: time.Second, Err: &Error{503, echo}}
	a := signalbox.Answer{
		Samples:  []signalbox.Sample{{Labels: map[string]string{"note": echo, "env": "eu"}, Text: echo}, {}},
		Warnings: []string{echo, "half"}, Err: cause,
	}
	c.RedactAnswer(&a)
	const want = "you sent (not shown) ((not shown))"
	got := []string{a.Samples[0].Labels["note"], a.Samples[0].Labels["env"], a.Samples[0].Text, a.Warnings[0], a.Warnings[1], a.Err.Error()}
	if !slices.Equal(got, []string{want, "eu", want, want, "half", "HTTP 503 Service Unavailable: " + want}) {
		t.Errorf("got %q", got)
	}
	if r, ok := errors.AsType[*signalbox.RetryAfter](a.Err); !ok || r.After != time.Second || Status(a.Err) != 503 {
		t.Errorf("what the error wraps is lost: %#v", a.Err)
	}
	plain := errors.New("no route")
	a.Err = plain
	if c.RedactAnswer(&a); !errors.Is(a.Err, plain) || a.Err.Error() != "no route" {
		t.Errorf("an error without a secret became %#v", a.Err)
	}
}
