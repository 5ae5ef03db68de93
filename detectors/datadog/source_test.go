package datadog

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/datadog"
)

const (
	apiKey = "0123456789abcdef0123456789abcdef"
	appKey = "fedcba9876543210fedcba9876543210fedcba98"
)

// folder is where vendors' descriptions and recorded payloads are.
func folder() string {
	return cmp.Or(os.Getenv("SIGNALBOX_CONTRACTS"), filepath.Join("..", "..", "..", "shared", "contracts"))
}

// described is Datadog's description of its API, which all tests share.
var described = sync.OnceValues(func() (standin.Contract, error) {
	return standin.ReadContract(filepath.Join(folder(), "datadog", "v1.trim.json"), filepath.Join(folder(), "datadog", "v2.trim.json"))
})

func contracts(t *testing.T) string {
	t.Helper()
	dir := folder()
	if _, err := os.Stat(filepath.Join(dir, "datadog")); err != nil {
		t.Skipf("NOT CHECKED: no contracts of Datadog (%v): set SIGNALBOX_CONTRACTS", err)
	}
	return dir
}

// site is a stand-in, and a source that asks it.
func site(t *testing.T) (*standin.Server, *Source) {
	t.Helper()
	contracts(t)
	contract, err := described()
	if err != nil {
		t.Fatal(err)
	}
	s := standin.New(standin.Options{APIKey: apiKey, ApplicationKey: appKey, Contract: contract})
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		for _, v := range s.Violations() {
			t.Error("contract:", v)
		}
	})
	set := newSettings()
	set.Site, set.URL = "datadoghq.eu", server.URL
	set.APIKeyFile, set.ApplicationKeyFile = keyFile(t, apiKey), keyFile(t, appKey)
	source, err := open("slos", set, kind.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now, Agent: "signalbox/test"})
	if err != nil {
		t.Fatal(err)
	}
	return s, source
}

func keyFile(t *testing.T, key string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func settingsOf(t *testing.T, text string) *DetectorSettings {
	t.Helper()
	d := newDetectorSettings()
	if err := yaml.Unmarshal([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	return d
}

func build(t *testing.T, s *Source, text string) signalbox.Detector {
	t.Helper()
	d := settingsOf(t, text)
	d.Validate(func(path, rule string, value any) { t.Errorf("%s: %s, got %v", path, rule, value) })
	var subject kind.Subject
	if err := subject.UnmarshalText([]byte("core")); err != nil {
		t.Fatal(err)
	}
	det, _, err := d.Build(kind.Common{Name: "d", Source: "slos", Subject: subject, Interval: time.Minute}, s)
	if err != nil {
		t.Fatal(err)
	}
	return det
}

func look(t *testing.T, s *Source, det signalbox.Detector, was ...signalbox.Reading) []signalbox.Reading {
	t.Helper()
	before := map[string]signalbox.Reading{}
	for _, r := range was {
		before[r.Series] = r
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	at := time.Now()
	return det.Judge(s.Ask(ctx, det.Questions(), at), before, at)
}

func only(t *testing.T, rs []signalbox.Reading) signalbox.Reading {
	t.Helper()
	if len(rs) != 1 {
		t.Fatalf("want one reading, got %+v", rs)
	}
	return rs[0]
}

func flat(sli any) func(int64) any { return func(int64) any { return sli } }

const sloID = "00000000000000000000000000000001"

func TestBurn(t *testing.T) {
	short := func(seconds int64) bool { return seconds <= 1800 }
	for _, c := range []struct {
		name  string
		sli   func(int64) any
		more  map[string]any
		want  signalbox.Condition
		value float64
	}{
		{"well", flat(99.95), nil, signalbox.Clear, 0.5},
		{"both windows of the fast pair", flat(98), nil, signalbox.Breached, 20},
		{"only the slow pair", flat(99.2), nil, signalbox.Breached, 8},
		{"over: the short windows are well", func(n int64) any {
			if short(n) {
				return 100.0
			}
			return 90.0
		}, nil, signalbox.Clear, 0},
		{"all bad", flat(0.0), nil, signalbox.Breached, 1000},
		{"null is not 0", flat(nil), nil, signalbox.Unknown, 0},
		{"null of the long windows, short ones well", func(n int64) any {
			if short(n) {
				return 100.0
			}
			return nil
		}, nil, signalbox.Clear, 0},
		{"null of the short windows, long ones well: the data may have stopped", func(n int64) any {
			if short(n) {
				return nil
			}
			return 100.0
		}, nil, signalbox.Unknown, 0},
		{"null of the short windows, long ones ill", func(n int64) any {
			if short(n) {
				return nil
			}
			return 90.0
		}, nil, signalbox.Unknown, 0},
		{"no_data beside a value", flat(100.0), map[string]any{"state": "no_data"}, signalbox.Unknown, 0},
		{"errors inside a 200", flat(100.0), map[string]any{"errors": []any{map[string]any{"error_type": "X", "error_message": "y"}}}, signalbox.Unknown, 0},
		{"a replay is in progress", flat(100.0), map[string]any{"preview": true}, signalbox.Unknown, 0},
		{"no data at the end", flat(100.0), map[string]any{"history": []any{[]any{1, 0}, []any{2, 2}}}, signalbox.Unknown, 0},
		{"out of range", flat(120.0), nil, signalbox.Unknown, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, source := site(t)
			s.Set("/api/v1/slo/"+sloID, standin.SLO(sloID, "Core", "monitor", 99.9, "service:core"))
			s.Set("/api/v1/slo/"+sloID+"/history", standin.History(c.sli, c.more))
			s.Set("/api/v1/slo/"+sloID+"/corrections", standin.Answer{Body: map[string]any{"data": []any{}}})
			r := only(t, look(t, source, build(t, source, "slo: {id: \""+sloID+"\"}")))
			if r.Condition != c.want || math.Abs(float64(r.Value)-c.value) > 1e-6 {
				t.Fatalf("got %v %v (%s), want %v %v", r.Condition, r.Value, r.Reason, c.want, c.value)
			}
			if r.Condition != signalbox.Unknown && (r.Labels["service"] != "core" || r.Origin != "datadog:datadoghq.eu" || !strings.HasPrefix(r.Links[0].Href, "https://app.datadoghq.eu/slo?slo_id=")) {
				t.Errorf("got %+v", r)
			}
			for _, asked := range s.Requests() {
				if strings.Contains(asked, "/history") && !(strings.Contains(asked, "apply_correction=true") && strings.Contains(asked, "target=99.9")) {
					t.Errorf("asked %s without corrections or target", asked)
				}
			}
		})
	}
}

func TestBudgetAndState(t *testing.T) {
	now := time.Now().Unix()
	found := func(state string, at int64) standin.Found {
		return standin.Found{ID: sloID, Name: "Core", Kind: "metric", State: state, IndexedAt: at, Status: 99.9, Budget: 40.0, Target: 99.9}
	}
	other := found("ok", now)
	other.ID = "00000000000000000000000000000002"
	null := found("ok", now)
	null.Status = nil
	for _, c := range []struct {
		name, settings string
		sli            any
		list           []standin.Found
		want           signalbox.Condition
		reason         string
	}{
		{"half left", "slo: {name: Core, budget_left: {below: 10%}}", 99.95, []standin.Found{found("ok", now)}, signalbox.Clear, ""},
		{"overspent", "slo: {name: Core, budget_left: {below: 10%}}", 99.0, []standin.Found{found("ok", now)}, signalbox.Breached, ""},
		{"null budget", "slo: {name: Core, budget_left: {below: 10%}}", nil, []standin.Found{found("ok", now)}, signalbox.Unknown, "null"},
		{"two of one name", "slo: {name: Core, state: [breached]}", 99.0, []standin.Found{found("ok", now), other}, signalbox.Unknown, "more than one"},
		{"none of that name", "slo: {name: Nix, state: [breached]}", 99.0, []standin.Found{found("ok", now)}, signalbox.Unknown, "none of that name"},
		{"breached", "slo: {name: Core, state: [breached]}", 99.0, []standin.Found{found("breached", now)}, signalbox.Breached, ""},
		{"warning is no breach", "slo: {name: Core, state: [breached]}", 99.0, []standin.Found{found("warning", now)}, signalbox.Clear, ""},
		{"no_data", "slo: {name: Core, state: [breached]}", 99.0, []standin.Found{found("no_data", now)}, signalbox.Unknown, "no_data"},
		{"null status", "slo: {name: Core, state: [breached]}", 99.0, []standin.Found{null}, signalbox.Unknown, "null"},
		{"the index is old", "slo: {name: Core, state: [breached]}", 99.0, []standin.Found{found("ok", now-3600)}, signalbox.Unknown, "old"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, source := site(t)
			s.Set("/api/v1/slo/"+sloID, standin.SLO(sloID, "Core", "metric", 99.9))
			s.Set("/api/v1/slo/search", standin.Search(c.list...))
			s.Set("/api/v1/slo/"+sloID+"/history", standin.History(flat(c.sli), nil))
			s.Set("/api/v1/slo/"+sloID+"/corrections", standin.Answer{Body: map[string]any{"data": []any{}}})
			r := only(t, look(t, source, build(t, source, c.settings)))
			if r.Condition != c.want || !strings.Contains(r.Reason, c.reason) {
				t.Fatalf("got %v (%s), want %v", r.Condition, r.Reason, c.want)
			}
		})
	}
}

// A window without an SLI says so when a correction covers it, and only then.
func TestCorrections(t *testing.T) {
	now := time.Now().Unix()
	correction := func(start int64, end any, rrule any) map[string]any {
		return map[string]any{"id": "c", "type": "correction", "attributes": map[string]any{
			"slo_id": sloID, "category": "Scheduled Maintenance", "start": start, "end": end, "rrule": rrule, "description": "", "timezone": "UTC",
		}}
	}
	for _, c := range []struct {
		name string
		list []any
		want bool
	}{
		{"none", []any{}, false},
		{"whole", []any{correction(now-7*86400, now+3600, nil)}, true},
		{"open end", []any{correction(now-7*86400, nil, nil)}, true},
		{"a part", []any{correction(now-60, now+3600, nil)}, false},
		{"over", []any{correction(now-7*86400, now-3600, nil)}, false},
		{"that recurs", []any{correction(now-7*86400, now+3600, "FREQ=DAILY;INTERVAL=10")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, source := site(t)
			s.Set("/api/v1/slo/"+sloID, standin.SLO(sloID, "Core", "metric", 99.9))
			s.Set("/api/v1/slo/"+sloID+"/history", standin.History(flat(nil), map[string]any{"state": "no_data"}))
			s.Set("/api/v1/slo/"+sloID+"/corrections", standin.Answer{Body: map[string]any{"data": c.list}})
			r := only(t, look(t, source, build(t, source, "slo: {id: \""+sloID+"\"}")))
			if r.Condition != signalbox.Unknown || strings.Contains(r.Reason, "a correction covers the whole window: Scheduled Maintenance") != c.want {
				t.Errorf("got %v (%s)", r.Condition, r.Reason)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	retried := standin.Answer{Status: 503, Body: json.RawMessage(`{}`)}
	for _, c := range []struct {
		name   string
		faults []standin.Answer
		want   signalbox.Condition
		asked  int
	}{
		{"two 503s", []standin.Answer{retried, retried}, signalbox.Clear, 3},
		{"three 503s", []standin.Answer{retried, retried, retried}, signalbox.Unknown, 3},
		{"400 is not tried again", []standin.Answer{{Status: 400, Body: map[string]any{"errors": []string{"bad " + appKey}}}}, signalbox.Unknown, 1},
		{"403 is not tried again", []standin.Answer{{Status: 403, Body: map[string]any{"errors": []string{apiKey}}}}, signalbox.Unknown, 1},
		{"HTML", []standin.Answer{{Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>" + apiKey}}, signalbox.Unknown, 1},
		{"cut JSON", []standin.Answer{{Body: `{"overall_state": "Al`}}, signalbox.Unknown, 1},
		{"null", []standin.Answer{{Body: "null"}}, signalbox.Unknown, 1},
		{"another type", []standin.Answer{{Body: `{"id":7,"overall_state":5}`}}, signalbox.Unknown, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, source := site(t)
			s.Set("/api/v1/monitor/7", standin.Monitor(7, "OK", nil, nil))
			s.Fail("/api/v1/monitor/7", c.faults...)
			r := only(t, look(t, source, build(t, source, "monitor: {id: 7}")))
			if n := s.Count("/monitor/7"); r.Condition != c.want || n != c.asked {
				t.Errorf("got %v (%s) after %d requests, want %v after %d", r.Condition, r.Reason, n, c.want, c.asked)
			}
			if strings.Contains(r.Reason, apiKey) || strings.Contains(r.Reason, appKey) {
				t.Errorf("a key is told: %s", r.Reason)
			}
		})
	}
}

func TestEqualQuestionsAreAskedOnce(t *testing.T) {
	s, source := site(t)
	s.Set("/api/v1/monitor/7", standin.Monitor(7, "OK", nil, nil))
	det := build(t, source, "monitor: {id: 7}")
	for range 5 {
		look(t, source, det)
	}
	if n := s.Count("/monitor/7"); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestKeysAreReadAtEachUse(t *testing.T) {
	s, source := site(t)
	s.Set("/api/v1/monitor/7", standin.Monitor(7, "OK", nil, nil))
	det := build(t, source, "monitor: {id: 7}")
	if err := os.WriteFile(source.keys.api.file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := only(t, look(t, source, det)); r.Condition != signalbox.Unknown || s.Count("/monitor/7") != 0 {
		t.Fatalf("got %+v with an empty key", r)
	}
	if err := os.WriteFile(source.keys.api.file, []byte(apiKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := only(t, look(t, source, det)); r.Condition != signalbox.Clear {
		t.Fatalf("got %+v with the rotated key", r)
	}
}
