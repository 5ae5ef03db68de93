package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/grafana"
)

// Where to look, by the evidence of the handbook: the page of a lag that the
// dashboard DB/Prod shows has the panel's value and a link to the panel, the errors
// of a real Loki by their listed fields, each with a link to its trace in Tempo by
// env:prod and trace.flow_id, and links to the rest. No line of a log leaves the
// building.
func TestEvidenceOfTheHandbook(t *testing.T) {
	t.Parallel()
	const token, private = "a-service-account-of-grafana", "card 4111-1111-1111-1111 of jane"
	b := newBox(t)
	exporter := servers.Exporter(t)
	exporter.Set("canary_lag_seconds", 0.01, "cluster", "eu")
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"canary": {exporter.Host()}}})
	logs := servers.Loki(t, servers.LokiOptions{Tenants: true})
	b.secret("grafana", token)
	b.domains()
	e := newHandbookExcerpt(t)
	e.take("detectors", "replication-lag", handbookSoon)
	for _, name := range []string{"errors", "traces"} {
		e.take("evidence", name, func(map[string]any) {})
	}
	e.take("evidence", "db-prod", func(x map[string]any) { // the others of its detectors are not in this story
		x["on"], x["readings"] = []any{"replication-lag"}, []any{"replication-lag"}
	})
	e.write(b)
	b.write("sources.yaml", fmt.Sprintf(`
sources:
  boards: {kind: grafana, url: %q, authorization: {credentials_file: secrets/grafana}, unknown_after: 2m}
  logs: {kind: loki, url: %q, tenant: %s, timeout: 20s}
`, lagBoard(t, token, metrics.URL), logs.URL, lokiTenant))
	b.start()
	b.eventually("good rounds of the board", func() error {
		if at := b.metric(`signalbox_poll_last_good_round_timestamp_seconds{source="boards"}`); at == "" || at == "0" {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	logs.Push(lokiTenant, map[string]string{"env": "prod", "app": "core-api"}, servers.Line{
		At: time.Now(), Text: fmt.Sprintf(`{"level":"error","component":"checkout","code":"E42","trace":{"flow_id":"flow-7f3a"},"msg":%q}`, private),
	})
	exporter.Set("canary_lag_seconds", 5, "cluster", "eu")
	b.eventually("the page", b.is(backendKey, "db/eu", "triggered"))
	var raw []string
	for _, event := range b.pages("db/eu")[0].Events {
		raw = append(raw, string(event.Raw))
	}
	page := strings.Join(raw, "\n")
	for what, want := range map[string]string{
		"the panel's value":            "db/eu: 5s, above 100ms",
		"a link to the panel":          "viewPanel=1",
		"the fields of an error":       "level=error component=checkout code=E42",
		"a link to its trace":          "flow-7f3a",
		"the trace's environment":      "resource.env",
		"a link to the rest of them":   "all of them",
		"a link to traces of env:prod": "env:prod",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page must tell %s, %q:\n%s", what, want, page)
		}
	}
	if strings.Contains(page, "4111") || strings.Contains(page, "jane") {
		t.Errorf("a line of the log left the building:\n%s", page)
	}
}

// lagBoard is a Grafana with the dashboard DB/Prod, whose panel asks a real
// Prometheus.
func lagBoard(t *testing.T, token, metrics string) string {
	t.Helper()
	server, err := grafana.New(grafana.Options{Token: token, Spec: contractOf(t, filepath.Join("grafana", "grafana.derived.json"))})
	if err != nil {
		t.Fatal(err)
	}
	server.SetDatasources(grafana.Datasource{UID: "prom", Name: "Prometheus", Type: "prometheus", URL: metrics, Default: true, Answer: panelAnswer(metrics)})
	model, err := json.Marshal(map[string]any{"time": map[string]any{"from": "now-5m", "to": "now"}, "panels": []any{map[string]any{
		"id": 1, "title": "Replication lag", "type": "timeseries", "datasource": map[string]any{"type": "prometheus", "uid": "prom"},
		"fieldConfig": map[string]any{"defaults": map[string]any{"unit": "s"}}, "targets": []any{map[string]any{"refId": "A", "expr": "max by (cluster) (canary_lag_seconds)"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	server.SetDashboards(grafana.Dashboard{UID: "db-prod", Title: "Prod", Folder: "DB", Model: model})
	listening := httptest.NewServer(server)
	t.Cleanup(func() {
		listening.Close()
		for _, v := range server.Violations() {
			t.Errorf("Grafana's contract was broken: %s", v)
		}
	})
	return listening.URL
}
