package alertmanager

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
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/config"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

const secret = "s3cret-t0ken"

// api is an Alertmanager whose answers a test changes.
type api struct {
	alerts, status http.HandlerFunc

	mu    sync.Mutex // a client asks again while the connection that broke off is still served
	asked []*http.Request
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked = append(a.asked, r)
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", at.Format(http.TimeFormat))
	switch r.URL.Path {
	case "/am/api/v2/alerts":
		a.alerts(w, r)
	case "/am/api/v2/status":
		a.status(w, r)
	default:
		http.NotFound(w, r)
	}
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

// serve starts an Alertmanager, and a source that asks it with a bearer token.
func serve(t *testing.T, change func(*Settings)) (*api, *Source) {
	t.Helper()
	a := &api{alerts: says(fixture(t, "present.json")), status: says(fixture(t, "status.json"))}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return a, opened(t, func(s *Settings) {
		s.URL = srv.URL + "/am/"
		s.HTTP.Authorization = &config.Authorization{Type: "Bearer", CredentialsFile: token}
		if change != nil {
			change(s)
		}
	})
}

func TestPresent(t *testing.T) {
	a, src := serve(t, nil)
	b, err := src.Present(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if !b.Synced || b.Source != "alerts" || !b.At.Equal(at) || len(b.Readings) != 3 {
		t.Fatalf("got %+v", b)
	}
	r := b.Readings[0]
	if r.Condition != signalbox.Breached || !r.Confirmed || r.Suppressed != "" || r.Series != "9556f853bb27ef8b" || r.Episode != "2026-03-01T10:00:00.5Z" {
		t.Errorf("got %+v", r)
	}
	if !r.SampleAt.Equal(at.Add(-30*time.Second)) || !r.OnsetAt.Equal(r.WellAt) || !r.EndedAt.IsZero() || !r.At.Equal(at) {
		t.Errorf("got %+v", r)
	}
	for i, want := range []string{"", "silence a-silence; inhibited by alert 9556f853bb27ef8b", "muted by time interval nights"} {
		if got := b.Readings[i].Suppressed; got != want {
			t.Errorf("alert %d: suppressed by %q, want %q", i, got, want)
		}
	}
	for _, r := range a.asked {
		if r.Header.Get("Authorization") != "Bearer "+secret || r.Header.Get("User-Agent") != "signalbox/test" {
			t.Errorf("headers: %v", r.Header)
		}
	}
	if q := a.asked[0].URL.RawQuery; q != "active=true&inhibited=true&silenced=true&unprocessed=true" {
		t.Errorf("query: %q", q)
	}
}

// The same alert is the same series and episode, however it was learnt.
func TestPresentAgreesWithDecode(t *testing.T) {
	_, src := serve(t, nil)
	present, err := src.Present(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	delivered, err := src.Decode(nil, []byte(fixture(t, "two_alerts.json")), at)
	if err != nil {
		t.Fatal(err)
	}
	p, d := present.Readings[0], delivered.Readings[0]
	if signalbox.NewIncidentID(p) != signalbox.NewIncidentID(d) || signalbox.DedupKey(p) != signalbox.DedupKey(d) || p.Origin != d.Origin {
		t.Errorf("got %+v and %+v", p, d)
	}
}

func TestPresentKeepsToTheReceiver(t *testing.T) {
	a, src := serve(t, func(s *Settings) { s.Receiver = "signalbox" })
	b, err := src.Present(t.Context(), at)
	if err != nil || len(b.Readings) != 2 {
		t.Errorf("got %d readings and %v", len(b.Readings), err)
	}
	if got := a.asked[0].URL.Query().Get("receiver"); got != "signalbox" {
		t.Errorf("asked for receiver %q", got)
	}
}

// Alertmanager forgets its alerts when it stops: soon after a start, what it
// does not name may still fire.
func TestPresentAfterARestart(t *testing.T) {
	for _, c := range []struct {
		started string
		synced  bool
	}{{"2026-03-01T10:00:00Z", true}, {"2026-03-01T10:00:01Z", false}, {"2026-03-01T10:06:00Z", false}} {
		a, src := serve(t, nil)
		a.alerts, a.status = says("[]"), says(`{"uptime":"`+c.started+`"}`)
		b, err := src.Present(t.Context(), at)
		if err != nil || b.Synced != c.synced {
			t.Errorf("started %s: got synced %v and %v", c.started, b.Synced, err)
		}
		if last := a.asked[len(a.asked)-1].URL.Path; last != "/am/api/v2/status" {
			t.Errorf("the start must be asked for last, was %s", last)
		}
	}
}

func TestPresentRefuses(t *testing.T) {
	fail := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "you sent "+r.Header.Get("Authorization"))
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"400":                {fail(400), "answered status 400 Bad Request"},
		"401":                {fail(401), "answered status 401 Unauthorized"},
		"403":                {fail(403), "answered status 403 Forbidden"},
		"404":                {fail(404), "answered status 404 Not Found"},
		"429":                {fail(429), "answered status 429"},
		"500":                {fail(500), "answered status 500"},
		"503":                {fail(503), "answered status 503"},
		"204":                {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "answered status 204"},
		"HTML":               {fail(200, "Content-Type", "text/html; charset=utf-8"), `answered "text/html; charset=utf-8" where JSON`},
		"other host":         {fail(302, "Location", "http://169.254.169.254/latest"), "redirected to another host"},
		"endless redirects":  {fail(302, "Location", "/am/api/v2/alerts"), "redirected too often"},
		"not JSON":           {says("oops"), "not one JSON value"},
		"null":               {says("null"), "must be an array, got null"},
		"forged fingerprint": {says(strings.Replace(fixture(t, "present.json"), `"9556f853bb27ef8b",`, `"9556f853bb27ef8c",`, 1)), "alerts[0]: fingerprint"},
		"no startsAt":        {says(`[{"labels":{"a":"b"}}]`), "startsAt"},
		"truncated": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			_, _ = io.WriteString(w, `[{"labels":`)
		}, "the answer broke off"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, "must have at most 65536 bytes"},
		"reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			a, src := serve(t, func(s *Settings) { s.MaxBody = kind.Quantity{Value: 64 << 10, Unit: signalbox.Bytes, Text: "64KiB"} })
			a.alerts = c.answer
			refused(t, src, c.want)
			a, src = serve(t, func(s *Settings) { s.MaxBody = kind.Quantity{Value: 64 << 10, Unit: signalbox.Bytes, Text: "64KiB"} })
			a.status = c.answer
			if _, err := src.Present(t.Context(), at); err == nil {
				t.Error("a bad status was taken")
			}
		})
	}
}

func refused(t *testing.T, src *Source, want string) {
	t.Helper()
	b, err := src.Present(t.Context(), at)
	if err == nil || !strings.Contains(err.Error(), want) || b.Synced || len(b.Readings) != 0 {
		t.Fatalf("got %+v and %v, want %q", b, err, want)
	}
	if strings.Contains(err.Error(), secret) || !strings.HasPrefix(err.Error(), `source "alerts": api v2: `) {
		t.Errorf("got %q", err)
	}
}

func TestPresentSaysWhenToComeBack(t *testing.T) {
	for header, want := range map[string]time.Duration{"30": 30 * time.Second, "0": 0, "99999999": 10 * time.Minute} {
		a, src := serve(t, nil)
		a.alerts = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
		}
		_, err := src.Present(t.Context(), at)
		if ra, ok := errors.AsType[*signalbox.RetryAfter](err); !ok || ra.After != want {
			t.Errorf("Retry-After %s: got %v", header, err)
		}
	}
}

func TestPresentHonoursItsDeadlines(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	a, src := serve(t, func(s *Settings) { s.Timeout = kind.Duration(50 * time.Millisecond) })
	a.alerts = hang
	if _, err := src.Present(t.Context(), at); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("own deadline: got %v", err)
	}
	a, src = serve(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	a.alerts = func(w http.ResponseWriter, r *http.Request) { cancel(); hang(w, r) }
	if _, err := src.Present(ctx, at); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	a, src = serve(t, func(s *Settings) { s.Timeout = kind.Duration(50 * time.Millisecond) })
	a.alerts = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "[")
		w.(http.Flusher).Flush()
		hang(w, r)
	}
	if _, err := src.Present(t.Context(), at); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow body: got %v", err)
	}
}

func TestNoSecretInErrors(t *testing.T) {
	for name, content := range map[string]string{"a line break inside": secret + "\nX: y", "control": secret + "\x00"} {
		_, src := serve(t, func(s *Settings) {
			if err := os.WriteFile(s.HTTP.Authorization.CredentialsFile, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		})
		if _, err := src.Present(t.Context(), at); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, src := serve(t, func(s *Settings) { s.HTTP.Authorization.CredentialsFile = "gone" })
	if _, err := src.Present(t.Context(), at); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("a missing file must be named, got %v", err)
	}
}

func TestPresentWithoutURL(t *testing.T) {
	if _, err := opened(t, nil).Present(t.Context(), at); !errors.Is(err, ErrNoAPI) {
		t.Errorf("got %v", err)
	}
}

func TestPresentAsksOnlyOnce(t *testing.T) {
	a, src := serve(t, nil)
	a.alerts = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	_, _ = src.Present(t.Context(), at)
	if len(a.asked) != 1 {
		t.Errorf("asked %d times: the caller retries, not the source", len(a.asked))
	}
	if fmt.Sprint(src) == "" || strings.Contains(fmt.Sprintf("%+v", src.Receiving().Door), secret) {
		t.Error("the door prints its secret")
	}
}
