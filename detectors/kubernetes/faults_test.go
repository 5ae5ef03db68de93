package kubernetes

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
)

const token = "t0ken-of-the-daemon"

// kubeconfigOf writes a kubeconfig for a server of httptest.
func kubeconfigOf(t *testing.T, s *httptest.Server) string {
	t.Helper()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	content := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x, user: x}}],
clusters: [{name: x, cluster: {server: %q, certificate-authority-data: %q}}], users: [{name: x, user: {token: %s}}]}`,
		s.URL, base64.StdEncoding.EncodeToString(ca), token)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func statusOf(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no: %s","code":%d}`, r.Header.Get("Authorization"), code)
	}
}

func page(code int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// Whatever an API server answers instead: all is Unknown with a reason, no
// secret is told, requests are few, and nothing is left running.
func TestFaults(t *testing.T) {
	const list = `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"10"},"items":[`
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	for name, f := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"400":              {statusOf(400), "list pods in all namespaces: "},
		"401":              {statusOf(401), "refuses the credentials"},
		"403":              {statusOf(403), "is forbidden: a Role must grant list and watch on pods"},
		"404":              {statusOf(404), "the API server answers 404 (Not Found)"},
		"404 of a proxy":   {page(404, "text/html", "<html>not here</html>"), "the API server answers 404 (Not Found)"},
		"410":              {statusOf(410), "list pods in all namespaces: "},
		"429":              {statusOf(429), "list pods in all namespaces: "},
		"500":              {statusOf(500), "the API server answers 500 (Internal Server Error)"},
		"503 with a time":  {statusOf(503, "Retry-After", "3600"), "the API server answers 503 (Service Unavailable)"},
		"an HTML page":     {page(200, "text/html", "<html>welcome</html>"), "list pods in all namespaces: "},
		"an empty body":    {page(200, "application/json", ""), "list pods in all namespaces: "},
		"a truncated body": {page(200, "application/json", list+`{"metadata"`), "list pods in all namespaces: "},
		"another kind":     {page(200, "application/json", `{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"10"},"items":[{"metadata":{"name":"n"}}]}`), "list pods in all namespaces"},
		"a redirect":       {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, "list pods in all namespaces: "},
		"an endless body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			endless(w, list)
		}, "the answer has more than 2 MiB"},
		"a connection reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "list pods in all namespaces: "},
		"silence":            {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "the list of pods in all namespaces has not come yet"},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			var requests atomic.Int64
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if r.URL.Query().Get("watch") != "" && name != "silence" { // as a server that can't stream lists
					statusOf(422)(w, r)
					return
				}
				f.answer(w, r)
			}))
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			s.StartTLS()
			playFault(t, kubeconfigOf(t, s), f.want)
			s.CloseClientConnections()
			s.Close()
			if n := requests.Load(); n > 30 {
				t.Errorf("%d requests in a moment", n)
			}
			goleak.VerifyNone(t, before)
		})
	}
}

// playFault watches and asks until the reason holds what is wanted.
func playFault(t *testing.T, kubeconfig, want string) {
	t.Helper()
	settings := cluster.New()
	settings.Kubeconfig = kubeconfig
	src, err := open("cluster", settings, kind.Env{Now: time.Now, Agent: "signalbox-test"})
	if err != nil {
		t.Fatal(err)
	}
	src.clients.most = 2 << 20
	d := build(t, src, &DetectorSettings{Pods: &Scope{}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- src.Watch(ctx, func(...signalbox.Question) {}) }()
	defer func() { cancel(); <-done }()
	wait := firstWait
	if strings.Contains(want, "not come yet") { // nothing else will be told
		wait = time.Second
	}
	short, stop := context.WithTimeout(ctx, wait)
	defer stop()
	a := src.Ask(short, d.Questions(), time.Now())
	readings := d.Judge(a, nil, time.Now())
	if len(readings) != 1 || readings[0].Condition != signalbox.Unknown {
		t.Fatalf("got %+v, want Unknown", readings)
	}
	switch why := readings[0].Reason; {
	case !strings.Contains(why, want):
		t.Errorf("the reason is %q, want %q in it", why, want)
	case strings.Contains(why, token) || strings.Contains(why, "127.0.0.1") || strings.Contains(why, "\n"):
		t.Errorf("the reason %q tells a secret or an address, or has lines", why)
	}
}

// endless sends a list that has no end.
func endless(w http.ResponseWriter, head string) {
	_, err := io.WriteString(w, head)
	for chunk := strings.Repeat(" ", 1<<20); err == nil; {
		_, err = io.WriteString(w, chunk)
	}
}
