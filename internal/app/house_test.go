package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/signalbox/signalbox/internal/store/mem"
)

// house is the whole daemon over a store in memory, with a pager that takes
// everything.
type house struct {
	t        *testing.T
	d        *daemon
	store    *mem.Store
	dir      string // of the configuration
	control  string // URL
	webhooks string // URL
	hup      chan os.Signal
	log      *lockedBuffer
	pager    string // URL
	web      string // web configuration of control, in dir; empty: none
	replica  string
	client   *http.Client
	stop     func() // ends the daemon, once
}

const (
	postToken = "a-token-that-only-the-sender-has"
	pagerKey  = "0123456789abcdef0123456789abcdef"
)

// alertsOnly is a configuration that only takes alerts.
const alertsOnly = `
sources:
  alerts: {kind: alertmanager, receive: /webhooks/am, reconcile: 0, max_body: 1MiB, auth: {bearer_file: secrets/am}}
detectors:
  - {name: alerts, source: alerts, subject: "{{alertname}}", labels: [alertname]}
`

// newHouse writes a configuration; nothing runs before open.
func newHouse(t *testing.T, config string) *house {
	t.Helper()
	pager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"status":"success","message":"Event processed","dedup_key":"x"}`)
	}))
	t.Cleanup(pager.Close)
	h := &house{t: t, store: mem.New(), replica: "test", dir: t.TempDir(), hup: make(chan os.Signal, 1), log: &lockedBuffer{}, pager: pager.URL, client: http.DefaultClient}
	h.write("secrets/am", postToken)
	h.write("secrets/pd", pagerKey)
	h.write("owners.yaml", fmt.Sprintf(`
default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_file: secrets/pd, url: %q}}
`, pager.URL))
	h.write("story.yaml", config)
	return h
}

func (h *house) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// open runs the daemon until the test ends, and waits until it is ready.
func (h *house) open() *house {
	h.t.Helper()
	bound := make(chan struct{})
	scheme, web := "http://", ""
	if h.web != "" {
		scheme, web = "https://", filepath.Join(h.dir, h.web)
	}
	d, rt, err := newDaemon(Options{
		Config: h.dir, Data: h.t.TempDir(), Replica: h.replica, Listen: "127.0.0.1:0", ListenWebhooks: "127.0.0.1:0",
		Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})), RestoreWithin: time.Minute, WebConfig: web,
		Ready: func(control, webhooks string) {
			h.control, h.webhooks = scheme+control, "http://"+webhooks
			close(bound)
		},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.d, d.store = d, h.store
	servers, err := d.bind(rt)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx, rt, servers, h.hup) }()
	h.stop = sync.OnceFunc(func() {
		h.store.Mend()
		stop()
		if err := <-ended; err != nil {
			h.t.Errorf("the daemon ended with %v", err)
		}
	})
	h.t.Cleanup(func() {
		h.stop()
		for _, secret := range []string{postToken, pagerKey} {
			if strings.Contains(h.log.String(), secret) {
				h.t.Error("the log holds a secret")
			}
		}
		if h.t.Failed() {
			h.t.Log(h.log.String())
		}
	})
	<-bound
	h.eventually("it is ready", h.ready)
	return h
}

func (h *house) ready() bool {
	return h.send(h.request(http.MethodGet, h.control+"/-/ready", "")).status == http.StatusOK
}

// eventually polls until what is true.
func (h *house) eventually(what string, is func() bool) {
	h.t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			h.t.Fatalf("waited for long: %s", what)
		}
	}
}

// loseStore breaks the store and waits until the daemon has noticed.
func (h *house) loseStore() {
	h.t.Helper()
	h.store.Break(io.ErrUnexpectedEOF)
	h.eventually("it is not ready", func() bool { return !h.ready() })
}

// answered is what a server said.
type answered struct {
	status int
	body   string
}

func (h *house) request(method, url, body string) *http.Request {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	return req
}

func (h *house) send(req *http.Request) answered {
	h.t.Helper()
	resp, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answered{resp.StatusCode, string(body)}
}

// counted is how many webhooks have ended so.
func (h *house) counted(result string) float64 {
	return testutil.ToFloat64(h.d.metrics.webhooks.WithLabelValues(result))
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
