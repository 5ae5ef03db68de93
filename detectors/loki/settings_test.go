package loki

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

const secret = "hunter2-very-secret"

var moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func problems(s kind.Settings) []string {
	var got []string
	s.Validate(func(path, rule string, value any) {
		got = append(got, fmt.Sprintf("%s: %s, got %v", path, rule, value))
	})
	slices.Sort(got)
	return got
}

// refuses holds problems to exactly one that begins with want; none, where it
// is "".
func refuses(t *testing.T, got []string, want string) {
	t.Helper()
	if want == "" && len(got) == 0 {
		return
	}
	if len(got) != 1 || want == "" || !strings.HasPrefix(got[0], want) {
		t.Errorf("got %q, want one with %q", got, want)
	}
	if strings.Contains(strings.Join(got, ""), secret) {
		t.Errorf("%q holds the secret", got)
	}
}

func TestSettings(t *testing.T) {
	header := &promconfig.Headers{Headers: map[string]promconfig.Header{"x-scope-orgid": {Values: []string{"prod"}}}}
	for _, c := range []struct {
		name string
		with func(*Settings)
		want string
	}{
		{"good", func(*Settings) {}, ""},
		{"tenants", func(s *Settings) { s.Tenant = "team-a|team_b.(x)!" }, ""},
		{"the header itself", func(s *Settings) { s.HTTP.HTTPHeaders = header }, ""},
		{"no url", func(s *Settings) { s.URL = "" }, "url: must be the address"},
		{"tenant", func(s *Settings) { s.Tenant = "a b" }, "tenant: must be the id of a tenant"},
		{"empty tenant", func(s *Settings) { s.Tenant = "a||b" }, "tenant: must be the id of a tenant"},
		{"path as tenant", func(s *Settings) { s.Tenant = ".." }, "tenant: must be the id of a tenant"},
		{"long tenant", func(s *Settings) { s.Tenant = strings.Repeat("a", maxTenant+1) }, "tenant: must be the id of a tenant"},
		{"twice", func(s *Settings) { s.Tenant, s.HTTP.HTTPHeaders = "a", header }, "tenant: must not be given beside http_headers.x-scope-orgid"},
		{"page", func(s *Settings) { s.PageSize = 1 }, "page_size: must be from 10 to 50000"},
		{"a secret", func(s *Settings) { s.HTTP.BearerToken = secret }, "bearer_token: must not hold a secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSettings()
			s.URL = "http://loki:3100"
			c.with(s)
			refuses(t, problems(s), c.want)
		})
	}
}

func TestPushing(t *testing.T) {
	s := newSettings()
	s.URL, s.Tenant = "http://loki:3100", "audit"
	p, _, err := s.Pushing()
	if err != nil || p.URL != s.URL || p.Tenant != "audit" || p.Timeout != httpclient.DefaultTimeout {
		t.Errorf("%+v, %v", p, err)
	}
	s.Tenant = "a|b"
	if _, key, err := s.Pushing(); err == nil || key != "tenant" {
		t.Errorf("several tenants: %s %v", key, err)
	}
}

func quantity(t testing.TB, text string) (q kind.Quantity) {
	t.Helper()
	if err := q.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return q
}

func subject(t testing.TB, text string) (s kind.Subject) {
	t.Helper()
	if err := s.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	rateQuery     = `sum by (env) (rate({app="psp"} |= "failed" [5m]))`
	presenceQuery = `sum by (env) (count_over_time({app="psp"}[5m]))`
	linesQuery    = `{app="psp"} |= "webhook failed"`
)

func rateSettings(t testing.TB) *DetectorSettings {
	return &DetectorSettings{Query: rateQuery, Presence: presenceQuery, Breach: threshold.Side{Above: quantity(t, "5")}}
}

func logSettings(t testing.TB) *DetectorSettings {
	return &DetectorSettings{
		Logs:     &Logs{Query: linesQuery, Pattern: pspPattern, IDs: []string{"event_id"}},
		Presence: presenceQuery, Breach: threshold.Side{Above: quantity(t, "0")},
	}
}

func TestDetectorSettings(t *testing.T) {
	minutes := func(n int) kind.Duration { return kind.Duration(time.Duration(n) * time.Minute) }
	for _, c := range []struct {
		name string
		with func(*DetectorSettings)
		want string
	}{
		{"value", func(d *DetectorSettings) { *d = *rateSettings(t) }, ""},
		{"value without presence", func(d *DetectorSettings) { *d = *rateSettings(t); d.Presence = "" }, ""},
		{"a comparison", func(d *DetectorSettings) { *d = *rateSettings(t); d.Query += " > 5" }, "query: must not end in a comparison"},
		{"lines as a value", func(d *DetectorSettings) { *d = *rateSettings(t); d.Query = linesQuery }, "query: must count over a range"},
		{"vector", func(d *DetectorSettings) { *d = *rateSettings(t); d.Query += " or vector(0)"; d.Presence = "" }, "presence: must be given, since vector()"},
		{"vector with presence", func(d *DetectorSettings) { *d = *rateSettings(t); d.Query += " or vector(0)" }, ""},
		{"below", func(d *DetectorSettings) {
			*d = *rateSettings(t)
			d.Breach, d.Presence = threshold.Side{Below: quantity(t, "5")}, ""
		}, "presence: must be given with breach.below"},
		{"a presence that is always there", func(d *DetectorSettings) { d.Presence += " or vector(1)" }, "presence: must not use vector()"},
		{"presence of lines", func(d *DetectorSettings) { d.Presence = linesQuery }, "presence: must count over a range"},
		{"neither", func(d *DetectorSettings) { d.Logs = nil }, "query: must be LogQL"},
		{"both", func(d *DetectorSettings) { d.Query = rateQuery }, "query: must not be given beside logs"},

		{"logs", func(*DetectorSettings) {}, ""},
		{"lines are counted", func(d *DetectorSettings) { d.Logs.Pattern, d.Logs.IDs = "", nil }, ""},
		{"a value as lines", func(d *DetectorSettings) { d.Logs.Query = rateQuery }, "logs.query: must begin with a selector"},
		{"pattern", func(d *DetectorSettings) { d.Logs.Pattern = "(" }, "logs.pattern: must be a regular expression"},
		{"ids", func(d *DetectorSettings) { d.Logs.IDs = []string{"flow"} }, "logs.ids: must name one to four"},
		{"no presence", func(d *DetectorSettings) { d.Presence = "" }, "presence: must be given with logs"},
		{"unit", func(d *DetectorSettings) { d.ValueUnit = "s"; d.Breach.Above = quantity(t, "1s") }, "unit: must be absent with logs"},
		{"for", func(d *DetectorSettings) { d.Breach.For = minutes(1) }, "breach.for: must be absent with logs"},
		{"half an id", func(d *DetectorSettings) { d.Breach.Above = quantity(t, "0.5") }, "breach.above: must be a whole number"},
		{"fewer than", func(d *DetectorSettings) { d.Breach = threshold.Side{Below: quantity(t, "5")} }, "breach.below: must be absent with logs"},
		{"clear", func(d *DetectorSettings) { d.Clear.Below = quantity(t, "0") }, "clear: must say only for"},
		{"clear for", func(d *DetectorSettings) { d.Clear.For = minutes(1) }, ""},
		{"window", func(d *DetectorSettings) { d.Logs.Window = minutes(60 * 25) }, "logs.max_lookback: must be at least twice"},
		{"delay", func(d *DetectorSettings) { d.Logs.Delay = minutes(61) }, "logs.delay: must be from 1s to 1h"},
		{"look-back", func(d *DetectorSettings) { d.Logs.MaxLookback = minutes(9) }, "logs.max_lookback: must be at least twice the window and delay together (12m)"},
		{"lines", func(d *DetectorSettings) { d.Logs.MaxLines = mostLines + 1 }, "logs.max_lines: must be from"},
		{"list", func(d *DetectorSettings) { d.Logs.MaxIDs = mostIDs + 1 }, "logs.max_ids: must be from"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := logSettings(t)
			c.with(d)
			got := problems(d)
			if c.name == "window" { // it breaks two rules
				got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "logs.window: must be from 1s to 24h") })
			}
			refuses(t, got, c.want)
		})
	}
}

func TestBuild(t *testing.T) {
	common := kind.Common{Name: "failures", Source: "logs", Interval: 15 * time.Second}
	d := rateSettings(t)
	d.Breach.For, d.Clear.For, d.KeepFiringFor = 1, 2, 3
	det, timing, err := d.Build(common, nil)
	if err != nil || timing.For != 1 || timing.ClearFor != 2 || timing.KeepFiringFor != 3 {
		t.Fatalf("%+v, %v", timing, err)
	}
	if r := det.Judge(nil, nil, moment)[0]; r.Origin != "loki:logs" || r.Window != 5*time.Minute {
		t.Errorf("origin %q, window %s", r.Origin, r.Window)
	}
	stream, timing, err := logSettings(t).Build(common, &Source{client: over(nil)})
	if err != nil || timing.KeepFiringFor != leastKeep {
		t.Fatalf("%+v, %v: an incident must outlast what a restart forgets", timing, err)
	}
	if _, ok := stream.(signalbox.Follower); !ok {
		t.Error("a stream is not followed")
	}
	if r := stream.Judge(nil, nil, moment)[0]; r.Origin != "loki:loki:3100" {
		t.Errorf("origin %q", r.Origin)
	}
	common.Origin = "psp"
	if det, _, _ := d.Build(common, nil); det.Judge(nil, nil, moment)[0].Origin != "psp" {
		t.Error("a declared origin does not stand above")
	}
	if got := logSettings(t).Fresh(15 * time.Second); got != time.Minute+30*time.Second+time.Minute {
		t.Errorf("fresh for %s", got)
	}
	for _, break_ := range []func(*DetectorSettings){
		func(d *DetectorSettings) { d.Logs.Query = "x" },
		func(d *DetectorSettings) { d.Logs.Pattern = "(" },
		func(d *DetectorSettings) { d.Presence = "x" },
		func(d *DetectorSettings) { d.Logs, d.Query = nil, "x" },
	} {
		d := logSettings(t)
		break_(d)
		if _, _, err := d.Build(common, nil); err == nil || !strings.HasPrefix(err.Error(), "detector failures: ") {
			t.Errorf("got %v", err)
		}
	}
}
