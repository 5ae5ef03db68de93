package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/signalbox/signalbox/internal/sandbox"
)

const beatToken = "a-token-in-a-path"

// While it leads a request goes out; its failure is counted, and told without
// the URL.
func TestHeartbeat(t *testing.T) {
	var beats atomic.Int64
	outside := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/"+beatToken {
			beats.Add(1)
		}
	}))
	t.Cleanup(outside.Close)
	h := newHouse(t, alertsOnly+fmt.Sprintf("heartbeat: {url: %q, interval: 1s}\n", outside.URL+"/"+beatToken)).open()
	h.eventually("a heartbeat, on record", func() bool { return beats.Load() > 0 && testutil.ToFloat64(h.d.metrics.heartbeatLast) > 0 })
	outside.Close()
	h.eventually("the failure to be counted", func() bool { return testutil.ToFloat64(h.d.metrics.heartbeatErrors) > 0 })
	if strings.Contains(h.log.String(), beatToken) {
		t.Error("the log holds the heartbeat's URL")
	}
}

// What goes wrong is told without the URL, which may hold a token.
func TestBeatOnce(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/" + beatToken + "/fails":
			w.WriteHeader(http.StatusInternalServerError)
		case "/" + beatToken + "/turns":
			http.Redirect(w, r, "/"+beatToken+"/turns", http.StatusTemporaryRedirect)
		case "/" + beatToken + "/ends":
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	for _, c := range []struct{ url, says string }{
		{server.URL + "/" + beatToken, ""},
		{server.URL + "/" + beatToken + "/fails", "500"},
		{server.URL + "/" + beatToken + "/turns", "redirects"},
		{server.URL + "/" + beatToken + "/ends", "EOF"},
		{"http://127.0.0.1:1/" + beatToken, "refused"},
		{"http://127.0.0.1:1/" + beatToken + "\x7f", "not usable"},
	} {
		err := beatOnce(t.Context(), &http.Client{}, c.url)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: got %v, want %q", c.url, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), beatToken) {
			t.Errorf("%q: the error holds the URL: %v", c.url, err)
		}
	}
}

// otlp is a receiver of traces.
type otlp struct {
	mu        sync.Mutex
	resources []map[string]string // with each of its spans' attributes added
	wrong     error
}

func (o *otlp) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var got collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &got)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil || r.URL.Path != "/v1/traces" {
		o.wrong = fmt.Errorf("%s: %w", r.URL.Path, err)
	}
	for _, rs := range got.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, span := range ss.GetSpans() {
				o.resources = append(o.resources, flat(rs.GetResource().GetAttributes(), span))
			}
		}
	}
}

func flat(resource []*common.KeyValue, span *trace.Span) map[string]string {
	all := map[string]string{"name": span.GetName()}
	for _, kv := range resource {
		all["resource."+kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	for _, kv := range span.GetAttributes() {
		all[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return all
}

func (o *otlp) named(name string) map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, span := range o.resources {
		if span["name"] == name {
			return span
		}
	}
	return nil
}

// The sandbox company breaks, the daemon flips its switch, and the trace of
// that says where and for which incident.
func TestActionIsTraced(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes as long as the sandbox company needs to break")
	}
	receiver := &otlp{}
	traces := httptest.NewServer(receiver)
	t.Cleanup(traces.Close)
	company, err := sandbox.New(sandbox.Options{Calm: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- company.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := company.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	h := newHouse(t, "")
	h.dir = t.TempDir()
	if err := company.WriteConfig(h.dir); err != nil {
		t.Fatal(err)
	}
	h.write("tracing.yaml", fmt.Sprintf("tracing: {endpoint: %q, env: drill}\n", traces.URL))
	h.open()
	// Only an onset that was seen may be acted on: each of the five detectors
	// has had a good round once there were ten.
	h.eventually("good rounds", func() bool {
		for line := range strings.Lines(h.send(h.request(http.MethodGet, h.control+"/metrics", "")).body) {
			if n, ok := strings.CutPrefix(line, `signalbox_poll_rounds_total{result="good",source="metrics"} `); ok {
				return len(strings.TrimSpace(n)) > 1
			}
		}
		return false
	})
	if err := company.Break("replica-a"); err != nil {
		t.Fatal(err)
	}
	h.eventually("the flip", func() bool { return strings.HasPrefix(company.Position("read-endpoint"), "pg-b") })
	var span map[string]string
	h.eventually("its span", func() bool { span = receiver.named("signalbox.action"); return span != nil })
	incidents := h.status().Incidents
	if len(incidents) == 0 || span["trace.flow_id"] != string(incidents[0].ID) || span["env"] != "drill" {
		t.Errorf("span %v, want env drill and the flow of %+v", span, incidents)
	}
	if span["resource.service.name"] != "signalbox" || span["resource.env"] != "drill" || span["resource.service.instance.id"] != "test" {
		t.Errorf("resource: got %v", span)
	}
	if receiver.wrong != nil {
		t.Error(receiver.wrong)
	}
}
