package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/sandbox"
	"github.com/signalbox/signalbox/internal/setting"
	"github.com/signalbox/signalbox/remediators/endpoint"
)

// start runs a calm company.
func start(t *testing.T) *sandbox.Company {
	t.Helper()
	c, err := sandbox.New(sandbox.Options{Calm: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

// The daemon's own remediator finds here what it needs for class A, throws the
// switch once, and takes it back.
func TestTheRemediatorThrowsASwitch(t *testing.T) {
	c := start(t)
	k := endpoint.Kind()
	r, err := k.Open(kind.Env{Now: time.Now, Agent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	settings, ok := k.Backends["http"]().(*setting.HTTP)
	if !ok {
		t.Fatal("the http backend has other settings")
	}
	settings.URL = c.URL() + "/switches/read-endpoint"
	spec, err := k.Spec(kind.SpecInput{
		Name: "read-endpoint", Backend: "http", Settings: settings,
		Positions: map[string]string{"replica-a": "pg-a.data-plane:5432", "replica-b": "pg-b.data-plane:5432"},
	})
	if err != nil {
		t.Fatal(err)
	}
	throw := func(a signalbox.Action) signalbox.Forecast {
		t.Helper()
		if a.Forecast, err = r.Preview(t.Context(), a.Step); err != nil || a.Forecast.Refused != "" || a.Forecast.Class != signalbox.ClassA {
			t.Fatalf("preview: %+v, %v", a.Forecast, err)
		}
		if _, err := r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		return a.Forecast
	}
	forecast := throw(signalbox.Action{ID: "a1", Token: 7, Step: signalbox.Step{Kind: "endpoint", Name: "read-endpoint", To: "replica-b", Spec: spec}})
	if got := c.Position("read-endpoint"); got != "pg-b.data-plane:5432" || forecast.Undo == nil {
		t.Fatalf("after the flip readers go to %q, and the undo is %v", got, forecast.Undo)
	}
	throw(signalbox.Action{ID: "a2", Token: 9, Undoes: "a1", Step: *forecast.Undo})
	if got := c.Position("read-endpoint"); got != "pg-a.data-plane:5432" {
		t.Errorf("after the undo readers go to %q", got)
	}
}

// exchange sends a request, and holds it and its answer against a vendor's
// document; base replaces the document's own servers.
func exchange(t *testing.T, file, base, method, path, contentType, body string) {
	t.Helper()
	doc := load(t, file, base)
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation())
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	route, parameters, err := router.FindRoute(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: route, PathParams: parameters},
		Status:                 resp.StatusCode,
		Header:                 resp.Header,
		Body:                   io.NopCloser(bytes.NewReader(answer)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		t.Errorf("%s %s answered %d %s\n%v", method, path, resp.StatusCode, answer, err)
	}
}

// load reads a vendor's document, or skips the test where there is none.
func load(t *testing.T, file, base string) *openapi3.T {
	t.Helper()
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "contracts")
	}
	file = filepath.Join(dir, file)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("CONTRACT CHECKS SKIPPED: no vendor documents at %s; set SIGNALBOX_CONTRACTS", dir)
	}
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = openapi3.Servers{{URL: base}}
	return doc
}

func TestMetricsKeepPrometheusContract(t *testing.T) {
	c := start(t)
	const form = "application/x-www-form-urlencoded"
	// Not a string: the document has its time as a string, Prometheus itself sends a number.
	for _, query := range []string{"up", "up[10s]", "scalar(sum(up))", "up(", "up * on (env) group_left up"} {
		exchange(t, "prometheus/prometheus.trim.json", c.URL()+"/api/v1", http.MethodPost, "/query", form, "query="+url.QueryEscape(query))
	}
	exchange(t, "prometheus/prometheus.trim.json", c.URL()+"/api/v1", http.MethodGet, "/query_range?query=up&start=1772366400&end=1772366460&step=15", form, "")
}

func TestPagerKeepsPagerDutysContract(t *testing.T) {
	c := start(t)
	dir := filepath.Join(t.TempDir(), "conf")
	if err := c.WriteConfig(dir); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "secrets", "pd-devops"))
	if err != nil {
		t.Fatal(err)
	}
	event := func(action string) string {
		b, err := json.Marshal(map[string]any{
			"routing_key": strings.TrimSpace(string(key)), "event_action": action, "dedup_key": "k",
			"payload": map[string]string{"summary": "s", "source": "x", "severity": "error"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, body := range []string{event("trigger"), event("acknowledge"), event("resolve"), event("nothing"), "{"} {
		exchange(t, "pagerduty/events-v2.json", c.URL()+"/v2", http.MethodPost, "/enqueue", "application/json", body)
	}
	if pages := c.Pages(); len(pages) != 1 || pages[0].Status != "resolved" || pages[0].Owner != "devops" {
		t.Errorf("pages %+v", pages)
	}
}
