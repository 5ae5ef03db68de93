package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/signalbox/signalbox/internal/sandbox"
	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/grafana"
)

// metric reads a figure of the daemon's own.
func (h *house) metric(name string) float64 {
	h.t.Helper()
	families, err := h.d.registry.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	h.t.Fatalf("there is no metric %s", name)
	return 0
}

// onDashboards is the company's configuration, in which what readers see is a
// panel of a dashboard.
func onDashboards(company *sandbox.Company, grafanaURL string) string {
	config := strings.Replace(company.Config(), `source: metrics
    query: 'max by (cluster, env) (reads_lag_seconds)'
    unit: s
    presence: 'count(up{job="pg"} == 1)'`, `source: dashboards
    panel: {dashboard: "DB/Prod", panel: "Reads lag"}
    unit: s`, 1)
	return strings.Replace(config, "\nsources:\n", fmt.Sprintf("\nsources:\n  dashboards: {kind: grafana, url: %q, timeout: 2s, unknown_after: 30s}\n", grafanaURL), 1)
}

// grafanaOf is a Grafana whose only dashboard shows the company.
func grafanaOf(t *testing.T, company *sandbox.Company) (*grafana.Server, string) {
	t.Helper()
	var o grafana.Options
	if dir := os.Getenv("SIGNALBOX_CONTRACTS"); dir != "" {
		o.Spec = filepath.Join(dir, "grafana", "grafana.derived.json")
	} else {
		t.Log("SKIPPED: the checks against Grafana's contract: set SIGNALBOX_CONTRACTS")
	}
	stand, err := grafana.New(o)
	if err != nil {
		t.Fatal(err)
	}
	stand.SetDashboards(grafana.Dashboard{UID: "db-prod", Title: "Prod", Folder: "DB", Model: json.RawMessage(`{
		"time": {"from": "now-5m", "to": "now"},
		"panels": [{"id": 7, "title": "Reads lag", "type": "timeseries", "datasource": {"type": "prometheus", "uid": "prom"},
			"fieldConfig": {"defaults": {"unit": "s"}},
			"targets": [{"refId": "A", "expr": "max by (cluster, env) (reads_lag_seconds)", "legendFormat": "{{cluster}}"}]}]}`)})
	stand.SetDatasources(grafana.Datasource{
		UID: "prom", Name: "Prometheus", Type: "prometheus", URL: "http://prometheus:9090", Default: true,
		Answer: func(q grafana.Query) grafana.Result { return companySays(company, q) },
	})
	server := httptest.NewServer(stand)
	t.Cleanup(func() {
		server.Close()
		for _, v := range stand.Violations() {
			t.Errorf("violation of Grafana's contract: %s", v)
		}
	})
	return stand, server.URL
}

// companySays answers a query of Grafana's data source by the company's own
// Prometheus API.
func companySays(company *sandbox.Company, q grafana.Query) grafana.Result {
	expr, _ := q.Raw["expr"].(string)
	resp, err := http.Get(company.URL() + "/api/v1/query?" + url.Values{"query": {expr}}.Encode())
	if err != nil {
		return grafana.Result{Error: err.Error()}
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		return grafana.Result{Error: fmt.Sprint(resp.Status, err)}
	}
	out := grafana.Result{Frames: []grafana.Frame{}}
	for _, s := range answer.Data.Result {
		text, _ := s.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return grafana.Result{Error: err.Error()}
		}
		out.Frames = append(out.Frames, grafana.Frame{Fields: []grafana.Field{
			{Name: "Time", Type: "time", Values: []any{q.To}},
			{Name: "Value", Type: "number", Labels: s.Metric, Values: []any{v}},
		}})
	}
	return out
}

// ourNotes are the annotations that say text, with the ids of their actions.
func ourNotes(stand *grafana.Server, text string) (notes []grafana.Annotation) {
	for _, a := range stand.Annotations() {
		if slices.Contains(a.Tags, "signalbox") && strings.Contains(a.Text, text) {
			notes = append(notes, a)
		}
	}
	return notes
}

// The company breaks, and what readers see on a dashboard shows it. The daemon
// flips the switch: the dashboard gets an annotation, from the claim to the
// effect, that says what came of it, and the action that takes it back gets
// another. Loki has every entry of the journal once, also after a reload and
// a restart of Loki.
func TestWhatIsDoneIsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes as long as the sandbox company needs to break, and a real Loki")
	}
	logs := servers.Loki(t, servers.LokiOptions{})
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
	stand, address := grafanaOf(t, company)
	h := newHouse(t, "")
	h.dir = t.TempDir()
	if err := company.WriteConfig(h.dir); err != nil {
		t.Fatal(err)
	}
	h.write("sandbox.yaml", onDashboards(company, address))
	h.write("audit.yaml", fmt.Sprintf("sources:\n  logs: {kind: loki, url: %q}\naudit: {source: logs, labels: {job: signalbox, env: drill}}\n", logs.URL))
	h.open()
	h.eventually("good rounds of the panel", func() bool {
		return testutil.CollectAndCount(h.d.registry, "signalbox_poll_rounds_total") > 0 && strings.Contains(
			h.send(h.request(http.MethodGet, h.control+"/metrics", "")).body, `signalbox_poll_rounds_total{result="good",source="dashboards"} 3`)
	})
	if err := company.Break("replica-a"); err != nil {
		t.Fatal(err)
	}
	h.eventually("the flip", func() bool { return strings.HasPrefix(company.Position("read-endpoint"), "pg-b") })
	h.eventually("its annotation, ended", func() bool { return len(ourNotes(stand, "read-endpoint to replica-b: done")) == 1 })
	note := ourNotes(stand, "read-endpoint to replica-b")[0]
	if note.Dashboard != "db-prod" || !note.End.After(note.Start) || !strings.Contains(note.Text, "by policy replica-failover") || !slices.Contains(note.Tags, "read-endpoint") {
		t.Errorf("got %+v", note)
	}
	if got := h.reload(); got.status != http.StatusOK {
		t.Fatalf("reload: %+v", got)
	}
	logs.Kill()
	h.eventually("the way back", func() bool { return strings.HasPrefix(company.Position("read-endpoint"), "pg-a") })
	h.eventually("its annotation", func() bool { return len(ourNotes(stand, "read-endpoint to replica-a, taking back")) == 1 })
	logs.Restart()
	head := func() float64 {
		seq, err := h.d.teller.journal.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return float64(seq)
	}
	h.eventually("the whole trail in Loki", func() bool { return h.metric("signalbox_audit_sequence") == head() })
	h.stop()
	if n := len(ourNotes(stand, "")); n != 2 {
		t.Errorf("%d annotations of two actions", n)
	}
	mustHaveTrail(t, logs, int(head()))
}

// mustHaveTrail checks that Loki has the first entries of the journal, each
// once.
func mustHaveTrail(t *testing.T, logs *servers.LokiServer, least int) {
	t.Helper()
	resp, err := http.Get(logs.URL + "/loki/api/v1/query_range?" + url.Values{
		"query": {`{job="signalbox",env="drill"}`}, "limit": {"5000"}, "since": {"1h"},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]string }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	var seqs []int
	for _, r := range answer.Data.Result {
		for _, v := range r.Values {
			var e struct{ Seq int }
			if err := json.Unmarshal([]byte(v[1]), &e); err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, e.Seq)
			if strings.Contains(v[1], "sandboxdevops0") || strings.Contains(v[1], "sandboxbackend0") {
				t.Errorf("the trail holds a pager's key: %s", v[1])
			}
		}
	}
	slices.Sort(seqs)
	for i, seq := range seqs {
		if seq != i+1 {
			t.Fatalf("entry %d is missing or there twice: %v", i+1, seqs)
		}
	}
	if len(seqs) < 10 || len(seqs) > least {
		t.Errorf("Loki has %d entries, the journal %d", len(seqs), least)
	}
}

// A Loki that takes connections and answers nothing stops nobody: webhooks are
// taken, a reload is swift, and the stop does not wait for it.
func TestLokiThatHangs(t *testing.T) {
	asked := make(chan struct{}, 1000)
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet { // which lines it has: none
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"streams","result":[]}}`)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is noticed
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(func() {
		hanging.CloseClientConnections()
		hanging.Close()
	})
	audit := fmt.Sprintf("sources:\n  logs: {kind: loki, url: %q, timeout: 5m}\naudit: {source: logs, queue: 3}\n", hanging.URL)
	h := newHouse(t, alertsOnly)
	h.write("audit.yaml", audit)
	h.open()
	<-asked
	for i := range 10 {
		if got := h.send(h.post("/webhooks/am", message(fmt.Sprintf("Hangs%d", i), 0))); got.status != http.StatusOK {
			t.Fatalf("webhook %d: got %d", i, got.status)
		}
	}
	h.eventually("the incidents", func() bool { return len(h.status().Incidents) == 10 })
	h.write("audit.yaml", strings.Replace(audit, "queue: 3", "queue: 4", 1))
	if got := h.reload(); got.status != http.StatusOK {
		t.Fatalf("reload: %+v", got)
	}
	var stopped atomic.Bool
	go func() {
		h.stop()
		stopped.Store(true)
	}()
	h.eventually("the stop, though Loki answers in 5 minutes", stopped.Load)
}
