package grafana

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

func problems(s kind.Settings) []string {
	var got []string
	s.Validate(func(path, rule string, value any) {
		got = append(got, fmt.Sprintf("%s: %s, got %v", path, rule, value))
	})
	slices.Sort(got)
	return got
}

func TestSettingsRefuse(t *testing.T) {
	for _, c := range []struct {
		name string
		with func(*Settings)
		want string // "": nothing is refused
	}{
		{"good", func(*Settings) {}, ""},
		{"no url", func(s *Settings) { s.URL = "" }, "url: must be the address"},
		{"a token in the configuration", func(s *Settings) { s.HTTP.Authorization = &promconfig.Authorization{Credentials: token} }, "authorization.credentials: must not hold a secret"},
		{"refresh", func(s *Settings) { s.Refresh = kind.Duration(time.Millisecond) }, "refresh: must be at least 1s and at most 1h, got 1ms"},
		{"seldom", func(s *Settings) { s.Refresh = kind.Duration(2 * time.Hour) }, "refresh: must be at least 1s and at most 1h, got 2h"},
		{"organization", func(s *Settings) { s.OrgID = -1 }, "org_id: must be at least 1, or absent, got -1"},
		{"organization twice", func(s *Settings) {
			s.OrgID = 2
			s.HTTP.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"x-grafana-org-id": {Values: []string{"1"}}}}
		}, "http_headers.x-grafana-org-id: must not be given beside org_id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSettings()
			s.URL = "http://grafana:3000"
			c.with(s)
			got := problems(s)
			if c.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || c.want == "" || !strings.HasPrefix(got[0], c.want) || strings.Contains(got[0], token) {
				t.Errorf("got %q, want one with %q", got, c.want)
			}
		})
	}
}

func TestOrganization(t *testing.T) {
	s := newSettings()
	s.OrgID = 3
	c := s.client()
	if got := c.HTTPHeaders.Headers[orgHeader].Values; !slices.Equal(got, []string{"3"}) || s.HTTP.HTTPHeaders != nil {
		t.Errorf("got %v, and the settings have %v", got, s.HTTP.HTTPHeaders)
	}
}

func TestDetectorSettingsRefuse(t *testing.T) {
	const rest = "\nunit: s\nbreach: {above: 100ms}"
	for keys, want := range map[string]string{
		"panel: {dashboard: DB/Prod, panel: Lag, query: A, variables: {cluster: eu}}" + rest: "",
		"unit: s\nbreach: {above: 100ms}":                                                 "panel: must name the dashboard and the panel that give the value; or match the labels of alerts, got <nil>",
		"panel: {panel: Lag}" + rest:                                                      `panel.dashboard: must be the dashboard's title, like "DB/Prod", or its uid, got <nil>`,
		"panel: {dashboard: DB/Prod}" + rest:                                              "panel.panel: must be the panel's title or number, got <nil>",
		"panel: {dashboard: a, panel: b}\nunit: s":                                        "breach: must say above or below, got <nil>",
		"panel: {dashboard: a, panel: b}\nunit: days":                                     "unit: must be s, B, or absent for a plain number, got days",
		"panel: {dashboard: a, panel: b, query: " + strings.Repeat("q", 201) + "}" + rest: "panel.query: must be the letter of a query, got <nil>",
		"panel: {dashboard: a, panel: b, variables: {'$x': eu}}" + rest:                   "panel.variables.$x: must be the name of a variable, without $, got <nil>",
	} {
		d := Kind().Detector()
		if err := yaml.Unmarshal([]byte(keys), d); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(problems(d), "; "); got != want {
			t.Errorf("%s: got\n\t%s\nwant\n\t%s", keys, got, want)
		}
	}
}

// What is asked is the same for the same panel, whatever the order of its keys,
// and the origin that is declared stands above what is known.
func TestBuild(t *testing.T) {
	h := newHouse(t)
	a := h.detector("panel: {dashboard: DB/Prod, panel: Lag, variables: {a: x, b: y}}\nunit: s\nbreach: {above: 1s}")
	b := h.detector("panel: {panel: Lag, dashboard: DB/Prod, variables: {b: y, a: x}}\nunit: s\nbreach: {above: 5s}")
	if qa, qb := a.Questions(), b.Questions(); len(qa) != 1 || !slices.Equal(qa, qb) || qa[0].Source != "dashboards" {
		t.Errorf("got %v and %v", qa, qb)
	}
	d := &DetectorSettings{Panel: &PanelSettings{Dashboard: "a", Panel: "b"}}
	built, _, err := d.Build(kind.Common{Name: "x", Interval: time.Minute, Origin: "metrics"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p := built.(*panelDetector); p.maxAge != 2*time.Minute+15*time.Second {
		t.Errorf("max_age is %s", p.maxAge)
	}
	told := about{Origin: "prometheus:other"}.sample(moment)
	readings := built.Judge([]signalbox.Answer{{Samples: []signalbox.Sample{told, {At: moment, Value: 1}}}}, nil, moment)
	if len(readings) != 1 || readings[0].Origin != "metrics" {
		t.Errorf("got %+v", readings)
	}
}

// Who measures is the data source's server, where that is sure.
func TestOrigin(t *testing.T) {
	for _, c := range []struct{ kind, url, want string }{
		{"prometheus", "http://prometheus:9090/p", "prometheus:prometheus:9090"},
		{"loki", "http://loki:3100", "loki:loki:3100"},
		{"prometheus", "http://localhost:9090", ""},
		{"prometheus", "http://127.0.0.1:9090", ""},
		{"prometheus", "http://[::1]:9090", ""},
		{"prometheus", "", ""},
		{"mysql", "http://db:3306", ""},
	} {
		d := datasource{Type: c.kind, URL: c.url}
		if got := d.origin(); got != c.want {
			t.Errorf("%s at %s: got %q, want %q", c.kind, c.url, got, c.want)
		}
	}
}
