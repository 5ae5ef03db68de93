package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

const hidden = "s3cr3t-k3y"

// rig is a remediator with its clock, and a server that keeps what it was sent.
type rig struct {
	*remediator
	clock  time.Time
	dir    string
	server *httptest.Server
	mu     sync.Mutex
	log    []received
	answer http.HandlerFunc // nil: 202
}

type received struct {
	method, path, body string
	header             http.Header
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{clock: now, dir: t.TempDir()}
	opened, err := Kind().Open(kind.Env{Now: func() time.Time { return r.clock }, Agent: "signalbox/test"})
	if err != nil {
		t.Fatal(err)
	}
	r.remediator = opened.(*remediator)
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	t.Cleanup(r.clients.Close)
	r.file(t, "hmac", hidden)
	return r
}

// ServeHTTP implements http.Handler.
func (r *rig) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.log = append(r.log, received{req.Method, req.URL.RequestURI(), string(body), req.Header})
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		answer = status(http.StatusAccepted)
	}
	answer(w, req)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (r *rig) sent() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log
}

func (r *rig) file(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// step is a step of the tool, as the configuration would make it.
func (r *rig) step(t *testing.T, change func(*Settings)) signalbox.Step {
	t.Helper()
	s := newSettings()
	s.URL = r.server.URL + "/hook"
	s.Networks = []string{"127.0.0.0/8"}
	s.Body, s.Labels = `{"who": "{{labels.user}}", "of": "{{incident}}"}`, []string{"user"}
	if change != nil {
		change(s)
	}
	s.Validate(func(path, rule string, value any) { t.Fatalf("%s: %s, got %v", path, rule, value) })
	raw, err := Kind().Spec(kind.SpecInput{Name: "lock", Backend: "webhook", Settings: s, ConfigDir: r.dir})
	if err != nil {
		t.Fatal(err)
	}
	return signalbox.Step{Kind: "webhook", Name: "lock", Spec: raw, Tool: true, About: &signalbox.About{
		Incident: "i-1", Subject: "db/eu", OpenedAt: now, Labels: map[string]string{"user": `eve", "admin": "yes`, "secret": "x"},
	}}
}

func action(s signalbox.Step, stage signalbox.Stage) signalbox.Action {
	return signalbox.Action{ID: "a-7", Incident: "i-1", Step: s, Stage: stage, ClaimedAt: now}
}

func keyed(s *Settings) { s.IdempotencyHeader, s.Retains = "Idempotency-Key", kind.Duration(time.Hour) }

func decoded(t *testing.T, body string) map[string]any {
	t.Helper()
	var into map[string]any
	if err := json.Unmarshal([]byte(body), &into); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return into
}

// contextUntil is cancelled once a request has arrived.
func contextUntil(t *testing.T, arrived <-chan struct{}) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		select {
		case <-arrived:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func sprint(x any) string { return fmt.Sprintf("%+v", x) }
