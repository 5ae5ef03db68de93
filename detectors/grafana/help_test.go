package grafana

import (
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/prometheus/promql/promqltest"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

// moment is when most tests ask: ten minutes after the epoch of the series.
var moment = time.Unix(600, 0).UTC()

const token = "glsa_0123456789abcdef"

// contracts is the folder of the vendors' descriptions and recorded payloads; ""
// where it is absent.
func contracts(t testing.TB) string {
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "contracts")
	}
	if _, err := os.Stat(filepath.Join(dir, "grafana")); err != nil {
		t.Log("SKIPPED: the checks against the contract, which is absent: set SIGNALBOX_CONTRACTS")
		return ""
	}
	return dir
}

// lines is a log to read.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// house is a stand-in of Grafana with a source on it. Its clock is now.
type house struct {
	*standin.Server
	t      testing.TB
	source *Source
	url    string
	now    time.Time
	log    lines
}

func openHouse(t testing.TB, o standin.Options) *house {
	t.Helper()
	if dir := contracts(t); dir != "" {
		o.Spec = filepath.Join(dir, "grafana", "grafana.derived.json")
	}
	o.Token = token
	stand, err := standin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(stand)
	h := &house{Server: stand, t: t, now: moment, url: server.URL}
	t.Cleanup(func() {
		server.Close()
		for _, v := range stand.Violations() {
			t.Errorf("violation of the contract: %s", v)
		}
	})
	h.source = h.open(h.url)
	return h
}

func newHouse(t testing.TB) *house { return openHouse(t, standin.Options{}) }

func (h *house) open(address string) *Source {
	h.t.Helper()
	file := filepath.Join(h.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		h.t.Fatal(err)
	}
	s := newSettings()
	if err := yaml.Unmarshal([]byte("url: "+address+"\nauthorization: {credentials_file: '"+file+"'}\n"), s); err != nil {
		h.t.Fatal(err)
	}
	s.Validate(func(path, rule string, value any) { h.t.Errorf("%s: %s, got %v", path, rule, value) })
	opened, err := Kind().Open("dashboards", s, kind.Env{
		ConfigDir: h.t.TempDir(), Agent: "signalbox/test", Now: func() time.Time { return h.now },
		Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return opened.(*Source)
}

// promDS is a data source of Prometheus, over series in promtool's notation, 15s
// apart, from the epoch on.
func promDS(t testing.TB, series string) standin.Datasource {
	store := promqltest.LoadedStorage(t, "load 15s\n"+series)
	t.Cleanup(func() { store.Close() })
	return standin.Datasource{
		UID: "prom", Name: "Prometheus", Type: "prometheus", URL: "http://prometheus:9090", Default: true,
		Answer: standin.PromQL(t.Context(), promqltest.NewTestEngine(t, false, 0, 1_000_000), store),
	}
}

// obj is a JSON object.
type obj = map[string]any

// panelOf is a panel with one query.
func panelOf(id int, title, expr string) obj {
	return obj{
		"id": id, "title": title, "type": "timeseries", "datasource": obj{"type": "prometheus", "uid": "prom"},
		"fieldConfig": obj{"defaults": obj{"unit": "s"}},
		"targets":     []any{obj{"refId": "A", "expr": expr, "legendFormat": "{{cluster}}"}},
	}
}

// prod is a dashboard DB/Prod of some panels.
func prod(panels ...obj) standin.Dashboard { return boardOf("db-prod", "Prod", "DB", panels...) }

func boardOf(uid, title, folder string, panels ...obj) standin.Dashboard {
	return standin.Dashboard{UID: uid, Title: title, Folder: folder, Model: modelOf(obj{"panels": panels})}
}

func modelOf(model obj) json.RawMessage {
	if model["time"] == nil {
		model["time"] = obj{"from": "now-5m", "to": "now"}
	}
	raw, err := json.Marshal(model)
	if err != nil {
		panic(err)
	}
	return raw
}

// detector makes a detector of its YAML keys.
func (h *house) detector(keys string) signalbox.Detector {
	h.t.Helper()
	d := Kind().Detector()
	if err := yaml.Unmarshal([]byte(keys), d); err != nil {
		h.t.Fatal(err)
	}
	d.Validate(func(path, rule string, value any) { h.t.Errorf("%s: %s, got %v", path, rule, value) })
	var subject kind.Subject
	if err := subject.UnmarshalText([]byte("db/{{cluster}}")); err != nil {
		h.t.Fatal(err)
	}
	built, _, err := d.Build(kind.Common{Name: "replication-lag", Source: "dashboards", Subject: subject, Owner: "devops", Interval: 15 * time.Second}, h.source)
	if err != nil {
		h.t.Fatal(err)
	}
	return built
}

const lagKeys = `
panel: {dashboard: "DB/Prod", panel: "Replication lag"}
unit: s
breach: {above: 100ms}
clear: {below: 80ms}
`

// round asks and judges once.
func (h *house) round(d signalbox.Detector, was map[string]signalbox.Reading) []signalbox.Reading {
	h.t.Helper()
	return d.Judge(h.source.Ask(h.t.Context(), d.Questions(), h.now), was, h.now)
}

func bySeries(readings []signalbox.Reading) map[string]signalbox.Reading {
	was := map[string]signalbox.Reading{}
	for _, r := range readings {
		was[r.Series] = r
	}
	return was
}

// says writes readings as one line each: the summaries.
func says(readings []signalbox.Reading) []string {
	var out []string
	for _, r := range readings {
		out = append(out, r.Condition.String()+": "+r.Summary)
	}
	return out
}
