package grafana

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// canned answers by path, without a network.
type canned map[string][]byte

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	code, body := http.StatusOK, c[r.URL.Path]
	if body == nil {
		code, body = http.StatusNotFound, []byte(`{"message":"not found"}`)
	}
	return &http.Response{
		StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
		Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1,
	}, nil
}

func (c canned) source() *Source {
	client := httpclient.Over(c, &url.URL{Scheme: "http", Host: "grafana:3000"}, true, func() time.Time { return moment })
	s := newSettings()
	s.URL = "http://grafana:3000"
	return newSource("dashboards", s, client, kind.Env{Now: func() time.Time { return moment }, ConfigDir: "/"})
}

var cannedGrafana = map[string]string{
	"/api/search":      `[{"uid":"u","title":"Prod","type":"dash-db"}]`,
	"/api/datasources": `[{"uid":"prom","name":"Prometheus","type":"prometheus","url":"http://prometheus:9090","isDefault":true},{"uid":"pg","name":"pg","type":"mysql"},{"uid":"loki","name":"loki","type":"loki"}]`,
	"/api/ds/query":    `{"results":{"A":` + resultOf(frameOf(at+","+eu, "[600000],[0.5]")) + `,"age-0":` + resultOf(frameOf(at+","+eu, "[600000],[590]")) + `}}`,
	"/api/dashboards/uid/u": `{"dashboard":{"uid":"u","title":"Prod","time":{"from":"now-1h","to":"now"},` +
		`"panels":[{"id":1,"title":"Lag","fieldConfig":{"defaults":{"unit":"s"}},"targets":[{"refId":"A","expr":"lag"}]}]},"meta":{}}`,
}

func with0(path string, body []byte) canned {
	c := canned{}
	for p, b := range cannedGrafana {
		c[p] = []byte(b)
	}
	c[path] = body
	return c
}

// asked asks for the panel and judges it, and holds the outcome to what must
// hold whatever a server says: an error is one bounded line, and a reading is
// known only from a finite value that is fresh.
func asked(t *testing.T, c canned) []signalbox.Reading {
	t.Helper()
	s := c.source()
	d := (&house{t: t, source: s}).detector("panel: {dashboard: Prod, panel: Lag}\nunit: s\nbreach: {above: 100ms}\nclear: {below: 80ms}")
	answers := s.Ask(t.Context(), d.Questions(), moment)
	if err := answers[0].Err; err != nil {
		if text := err.Error(); answers[0].Samples != nil || len(text) > 8_000 || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("error %q with %d samples", text, len(answers[0].Samples))
		}
	}
	readings := d.Judge(answers, nil, moment)
	if len(readings) == 0 {
		t.Error("there are no readings")
	}
	for _, r := range readings {
		value := float64(r.Value)
		if r.Condition != signalbox.Unknown && (!r.HasValue || r.SampleAt.IsZero() || moment.Sub(r.SampleAt) > leastMaxAge || r.SampleAt.Sub(moment) > futureSlack || math.IsNaN(value) || math.IsInf(value, 0)) {
			t.Errorf("known from nothing: %+v", r)
		}
	}
	return readings
}

func TestCanned(t *testing.T) {
	check(t, says(asked(t, with0("", nil))), "breached: db/eu: 500ms, above 100ms")
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte(cannedGrafana["/api/ds/query"]))
	f.Add([]byte(`{"results":{"A":{"status":500,"error":"x\u0000y"},"age-0":{}}}`))
	f.Add([]byte(`{"results":{"A":{"frames":[{"schema":{"fields":[` + at + "," + v + `]},"data":{"values":[[600000],[null]],"entities":[null,{"NaN":[0]}],"nanos":[[5],null]}}]},"age-0":{}}}`))
	f.Add([]byte(`{"results":{"A":` + resultOf(frameOf(at+","+eu+","+us, "[570000,600000],[1,null],[null,4]")) + `,"age-0":` + resultOf(frameOf(at+","+name+","+v, `[600000],["eu"],[590]`)) + `}}`))
	f.Add([]byte(`{"results":{"A":{"frames":[{"schema":{"meta":{"notices":[{"severity":"warning","text":"a"}]},"fields":[]},"data":{"values":[]}}]},"age-0":{}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		asked(t, with0("/api/ds/query", body))
	})
}

func FuzzDashboard(f *testing.F) {
	whole := cannedGrafana["/api/dashboards/uid/u"]
	f.Add([]byte(whole))
	f.Add([]byte(strings.Replace(whole, `"expr":"lag"`, `"expr":"rate(lag{a=~\"$c\"}[$__rate_interval])","interval":">1m"`, 1)))
	f.Add([]byte(strings.Replace(whole, `"panels":[`, `"templating":{"list":[{"name":"c","type":"custom","query":"a : b","multi":true,"includeAll":true,"current":{"value":["$__all"]}}]},"panels":[{"type":"row","repeat":"c","panels":[{}]},{"type":"row"},`, 1)))
	f.Add([]byte(strings.Replace(whole, `"expr":"lag"`, `"rawSql":"SELECT ${c:sqlstring}","datasource":"pg"`, 1)))
	f.Add([]byte(strings.Replace(whole, `"panels":[`, `"panels":5,"rows":[{"panels":[{"id":1,"title":"Lag"}]}],"x":[`, 1)))
	f.Add([]byte(`{"dashboard":{"uid":"u","elements":{}},"status":{"conversion":{"storedVersion":"v2"}}}`))
	if dir := os.Getenv("SIGNALBOX_CONTRACTS"); dir != "" {
		if raw, err := os.ReadFile(filepath.Join(dir, "recorded", "grafana", "dashboard_argocd.json")); err == nil {
			f.Add([]byte(`{"dashboard":` + string(raw) + `}`))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		asked(t, with0("/api/dashboards/uid/u", body))
	})
}

// A variable's value is filled in once: whatever it is, no variable is left in
// what it becomes but what was written beside it.
func FuzzFill(f *testing.F) {
	f.Add(`x{a="$c"}`, "eu", "prom")
	f.Add("${c:regex}", "a|b", "es")
	f.Add("[[c:csv]] ${c.text} $1", `a"b`, "pg")
	f.Add("$c", "$c", "loki")
	f.Fuzz(func(t *testing.T, in, value, ds string) {
		got, err := filled(t, in, ds, reference{}, obj{"name": "c", "type": "textbox", "query": value})
		if err == nil && strings.Contains(in, "$c") && !strings.Contains(value, "$") && strings.Contains(got, "$c") && !strings.Contains(strings.ReplaceAll(in, "$c", ""), "$") && isName(value) {
			t.Errorf("%q with %q is %q", in, value, got)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Error(err)
		}
	})
}
