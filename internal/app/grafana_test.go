package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/test/standin/grafana"
)

const (
	grafanaToken = "glsa_0123456789abcdef"
	hmacSecret   = "a-secret-of-the-contact-point"
)

// grafanaConfig is a source that is asked for a panel, and posts alerts.
const grafanaConfig = `
sources:
  boards:
    kind: grafana
    url: %q
    authorization: {credentials_file: secrets/grafana}
    receive: /webhooks/grafana
    hmac: {secret_file: secrets/hmac, timestamp_header: X-Signed-At}
    receiver: signalbox
    reconcile: 1s
    warm_up: 2s
    unknown_after: 3s
detectors:
  - {name: panel, source: boards, panel: {dashboard: DB/Prod, panel: "1"}, breach: {above: 5}, subject: "panel/{{cluster}}", interval: 1s}
  - {name: lag, source: boards, match: {alertname: Lag}, subject: "lag/{{instance}}"}
`

// grafanaHouse is a house whose source is a stand-in of Grafana.
type grafanaHouse struct {
	*house
	alerting *grafana.Alerting
	value    atomic.Int64 // of the panel
}

func newGrafanaHouse(t *testing.T) *grafanaHouse {
	t.Helper()
	g := &grafanaHouse{}
	boards, err := grafana.New(grafana.Options{Token: grafanaToken, Spec: contract(t, "grafana/grafana.derived.json")})
	if err != nil {
		t.Fatal(err)
	}
	boards.SetDatasources(grafana.Datasource{UID: "prom", Name: "Prometheus", Type: "prometheus", Default: true, Answer: func(q grafana.Query) grafana.Result {
		v := float64(g.value.Load())
		if expr, _ := q.Raw["expr"].(string); strings.HasPrefix(expr, "timestamp(") {
			v = float64(q.To.Unix()) // of the sample behind it
		}
		return grafana.Result{Frames: []grafana.Frame{{Fields: []grafana.Field{
			{Name: "Time", Type: "time", Values: []any{q.To}},
			{Name: "Value", Type: "number", Labels: map[string]string{"cluster": "eu"}, Values: []any{v}},
		}}}}
	}})
	boards.SetDashboards(grafana.Dashboard{UID: "db-prod", Title: "Prod", Folder: "DB", Model: json.RawMessage(
		`{"time":{"from":"now-5m","to":"now"},"panels":[{"id":1,"title":"Lag","type":"timeseries","datasource":{"type":"prometheus","uid":"prom"},"targets":[{"refId":"A","expr":"lag"}]}]}`)})
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	g.house = newHouse(t, fmt.Sprintf(grafanaConfig, server.URL))
	g.write("secrets/grafana", grafanaToken)
	g.write("secrets/hmac", hmacSecret)
	g.alerting, err = grafana.NewAlerting(grafana.AlertingOptions{
		Spec: contract(t, "alertmanager/openapi.v2.json"), Token: grafanaToken, Receiver: "signalbox", Secret: hmacSecret, TimestampHeader: "X-Signed-At",
	})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/", boards)
	mux.Handle("/api/alertmanager/", g.alerting)
	t.Cleanup(func() {
		server.Close()
		if v := append(boards.Violations(), g.alerting.Violations()...); len(v) > 0 {
			t.Errorf("the contract was broken: %q", v)
		}
		for _, secret := range []string{grafanaToken, hmacSecret} {
			if strings.Contains(g.log.String(), secret) {
				t.Error("the log holds a secret")
			}
		}
	})
	g.open()
	return g
}

// contract finds a vendor's description, which is not part of the project.
func contract(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join(root, "..", "shared", "contracts")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Logf("CONTRACT CHECKS SKIPPED: %s is not there (set SIGNALBOX_CONTRACTS)", name)
		return ""
	}
	return path
}

// posted sends a message with the header that the contact point gives it.
func (g *grafanaHouse) posted(body []byte, header http.Header) answered {
	g.t.Helper()
	req := g.request(http.MethodPost, g.webhooks+"/webhooks/grafana", string(body))
	req.Header = header
	return g.send(req)
}

// fires posts alerts, and lists those of them that fire.
func (g *grafanaHouse) fires(list ...*grafana.Alert) {
	g.t.Helper()
	g.alerting.Set(list...)
	body := g.alerting.Message(list...)
	if got := g.posted(body, g.alerting.Sign(body, time.Now())); got.status != http.StatusOK {
		g.t.Fatalf("got %d %s, want 200", got.status, got.body)
	}
}

// incident is the open incident of a subject; nil: there is none.
func (h *house) incident(subject string) *engine.IncidentStatus {
	h.t.Helper()
	for _, inc := range h.status().Incidents {
		if inc.Reading.Subject == subject {
			return &inc
		}
	}
	return nil
}

// is waits until the incident of a subject has a condition; open false: until
// it is closed.
func (h *house) is(subject string, condition signalbox.Condition, open bool) {
	h.t.Helper()
	h.eventually(fmt.Sprintf("%s is %v, open %t", subject, condition, open), func() bool {
		inc := h.incident(subject)
		return inc == nil && !open || inc != nil && open && inc.Reading.Condition == condition
	})
}

func lagAlert() *grafana.Alert {
	return &grafana.Alert{
		Rule: "r1", Labels: map[string]string{"alertname": "Lag", "instance": "db-1"}, Annotations: map[string]string{"summary": "db-1 lags"},
		StartsAt: time.Now().Add(-time.Minute),
	}
}

// Grafana is asked for panels, and posts alerts, by one source: each becomes an
// incident of its own detector, and ends with its own cause.
func TestGrafanaAsksAndPosts(t *testing.T) {
	g := newGrafanaHouse(t)
	lag := lagAlert()
	g.fires(lag)
	g.is("lag/db-1", signalbox.Breached, true)
	if inc := g.incident("lag/db-1"); inc.Reading.Detector != "lag" || inc.Reading.Summary != "db-1 lags" {
		t.Errorf("got %+v", inc.Reading)
	}
	g.value.Store(6)
	g.is("panel/eu", signalbox.Breached, true)
	other := &grafana.Alert{Rule: "r2", Labels: map[string]string{"alertname": "Other"}, StartsAt: time.Now()}
	g.fires(lag, other)
	g.is("Other", signalbox.Breached, true) // the default owner's: nothing is dropped
	lag.SilencedBy = []string{"a-silence"}
	g.alerting.Set(lag, other)
	g.eventually("the silence to be seen", func() bool {
		inc := g.incident("lag/db-1")
		return inc != nil && inc.Reading.Suppressed == "silence a-silence" && inc.Reading.Confirmed
	})
	lag.SilencedBy = nil
	lag.EndsAt = time.Now()
	g.fires(lag)
	g.is("lag/db-1", signalbox.Clear, false)
	g.is("Other", signalbox.Clear, false) // its end was lost: it is missed for warm_up
	g.is("panel/eu", signalbox.Breached, true)
	g.value.Store(1)
	g.is("panel/eu", signalbox.Clear, false)
}

// Only what is signed with the secret, of now, is taken; taken twice it is one
// incident.
func TestGrafanaSignature(t *testing.T) {
	g := newGrafanaHouse(t)
	lag := lagAlert()
	body, now := g.alerting.Message(lag), time.Now()
	right := g.alerting.Sign(body, now)
	unsigned := right.Clone()
	unsigned.Del("X-Grafana-Alerting-Signature")
	bearer := unsigned.Clone()
	bearer.Set("Authorization", "Bearer "+hmacSecret)
	for name, c := range map[string]struct {
		body   []byte
		header http.Header
		want   int
	}{
		"not signed":                 {body, unsigned, http.StatusUnauthorized},
		"the secret as a bearer":     {body, bearer, http.StatusUnauthorized},
		"altered":                    {bytes.Replace(body, []byte("db-1"), []byte("db-2"), 1), right, http.StatusUnauthorized},
		"signed ten minutes ago":     {body, g.alerting.Sign(body, now.Add(-10*time.Minute)), http.StatusUnauthorized},
		"signed in ten minutes":      {body, g.alerting.Sign(body, now.Add(10*time.Minute)), http.StatusUnauthorized},
		"signed, and Alertmanager's": {[]byte(message("Lag", 0)), g.alerting.Sign([]byte(message("Lag", 0)), now), http.StatusBadRequest},
	} {
		if got := g.posted(c.body, c.header); got.status != c.want || strings.Contains(got.body, hmacSecret) {
			t.Errorf("%s: got %d %s, want %d", name, got.status, got.body, c.want)
		}
	}
	if n := g.counted("credential"); n != 5 {
		t.Errorf("%v were refused for their credential, want 5", n)
	}
	if n := len(g.status().Incidents); n != 0 {
		t.Fatalf("%d incidents came of what was refused", n)
	}
	g.alerting.Set(lag)
	for range 3 {
		if got := g.posted(body, right); got.status != http.StatusOK {
			t.Fatalf("got %d %s, want 200", got.status, got.body)
		}
	}
	g.is("lag/db-1", signalbox.Breached, true)
	id := g.incident("lag/db-1").ID
	if got := g.posted(body, right); got.status != http.StatusOK {
		t.Fatalf("got %d %s, want 200", got.status, got.body)
	}
	g.eventually("the inbox to be consumed", func() bool { return g.inbox() == 0 })
	if st := g.status(); len(st.Incidents) != 1 || st.Incidents[0].ID != id {
		t.Errorf("a replay made %d incidents", len(st.Incidents))
	}
	// Without the secret to compare with it is our fault, and sent again.
	if err := os.Remove(filepath.Join(g.dir, "secrets", "hmac")); err != nil {
		t.Fatal(err)
	}
	if got := g.posted(body, right); got.status != http.StatusServiceUnavailable {
		t.Errorf("without the secret: got %d, want 503", got.status)
	}
	g.write("secrets/hmac", hmacSecret)
}

// Data is lost under an incident: Grafana tells its end, and it is Unknown until
// the rule can be judged; a rule that stays so is an incident of the source.
func TestGrafanaRuleLosesItsData(t *testing.T) {
	g := newGrafanaHouse(t)
	lag := lagAlert()
	g.fires(lag)
	g.is("lag/db-1", signalbox.Breached, true)
	noData := &grafana.Alert{
		Rule: "r1", Labels: map[string]string{"alertname": "DatasourceNoData", "rulename": "Lag", "datasource_uid": "prom", "ref_id": "A", "instance": "db-1"},
		StartsAt: time.Now(),
	}
	lag.EndsAt, lag.Annotations["grafana_state_reason"] = time.Now(), "MissingSeries"
	g.fires(noData, lag)
	g.is("lag/db-1", signalbox.Unknown, true)
	g.is("source/boards/alerts", signalbox.Breached, true)
	if inc := g.incident("source/boards/alerts"); !strings.Contains(inc.Reading.Summary, "lag/db-1 is unknown since") || !strings.Contains(inc.Reading.Summary, "Grafana's rule Lag has no data") {
		t.Errorf("got %q", inc.Reading.Summary)
	}
	if inc := g.incident("lag/db-1"); inc == nil || inc.Reading.Condition != signalbox.Unknown {
		t.Errorf("its end is believed: %+v", inc)
	}
	if n := len(g.status().Incidents); n != 2 {
		t.Errorf("got %d incidents, want the alert's and the source's", n)
	}
	noData.EndsAt = time.Now()
	g.fires(noData)
	g.is("source/boards/alerts", signalbox.Clear, false)
	g.is("lag/db-1", signalbox.Clear, false)
}

// A contact point that leaves alerts out of its message has the rest read.
func TestGrafanaTruncatedMessage(t *testing.T) {
	g := newGrafanaHouse(t)
	lag := lagAlert()
	g.alerting.Set(lag)
	body := bytes.Replace(g.alerting.Message(), []byte(`"truncatedAlerts":0`), []byte(`"truncatedAlerts":1`), 1)
	g.alerting.Fail(grafana.Fault{Status: 500}, grafana.Fault{Status: 500}, grafana.Fault{Status: 500}, grafana.Fault{Status: 500})
	refused := 0
	g.eventually("it to be taken once the rest can be read", func() bool {
		got := g.posted(body, g.alerting.Sign(body, time.Now()))
		if got.status == http.StatusServiceUnavailable {
			refused++
		}
		return got.status == http.StatusOK
	})
	if refused == 0 {
		t.Error("it was acknowledged while the rest could not be read")
	}
	g.is("lag/db-1", signalbox.Breached, true)
}

// What can't be meant is refused before anything runs.
func TestGrafanaConfigurationIsRefused(t *testing.T) {
	const good = grafanaConfig
	for name, c := range map[string]struct{ old, now, want string }{
		"an interval of alerts": {`subject: "lag/{{instance}}"`, `subject: "lag/{{instance}}", interval: 5s`, "must not be given: source boards posts its readings"},
		"a panel of alerts":     {"match: {alertname: Lag}", "match: {alertname: Lag}, panel: {dashboard: a, panel: b}", "must not be given together with match"},
		"neither":               {"match: {alertname: Lag}, ", "", "panel must name the dashboard"},
		"alerts from nowhere":   {"    receive: /webhooks/grafana\n    hmac: {secret_file: secrets/hmac, timestamp_header: X-Signed-At}\n    receiver: signalbox\n", "", "give it receive"},
		"the source's own name": {"name: panel", "name: boards", "no detector that asks, or of another source, may have its name"},
		"no signature's secret": {"secret_file: secrets/hmac, ", "", "hmac.secret_file is required"},
		"a secret in the open":  {"secret_file: secrets/hmac", "secret: " + hmacSecret, "hmac.secret must not stand in the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.now, 1)
			if text == good {
				t.Fatal("nothing was changed")
			}
			h := newHouse(t, fmt.Sprintf(text, "http://127.0.0.1:1"))
			h.write("secrets/grafana", grafanaToken)
			h.write("secrets/hmac", hmacSecret)
			_, _, err := newDaemon(Options{Config: h.dir, Replica: "test"})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), hmacSecret) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
