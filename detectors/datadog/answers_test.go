package datadog

import (
	"encoding/json"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	v2 "github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"
	"github.com/goccy/go-yaml"

	"github.com/signalbox/signalbox/internal/httpclient"
)

func decode[T any](t *testing.T, raw []byte) T {
	t.Helper()
	var out T
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// recorded returns the bodies that Datadog answered to requests whose path
// holds a text.
func recorded(t *testing.T, path string) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(contracts(t), "recorded", "datadog", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	var bodies [][]byte
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cassette struct {
			Interactions []struct {
				Request  struct{ URL string }
				Response struct{ Body string }
			}
		}
		if err := yaml.Unmarshal(raw, &cassette); err != nil {
			t.Fatal(err)
		}
		for _, i := range cassette.Interactions {
			if strings.Contains(i.Request.URL, path) {
				bodies = append(bodies, []byte(i.Response.Body))
			}
		}
	}
	if len(bodies) == 0 {
		t.Fatalf("nothing is recorded of %s", path)
	}
	return bodies
}

func bare() *Source {
	return &Source{client: httpclient.Over(nil, &url.URL{}, false, time.Now), now: time.Now}
}

func TestRecorded(t *testing.T) {
	t.Run("history: null, no_data and errors inside a 200", func(t *testing.T) {
		for _, body := range recorded(t, "/history?") {
			if sli, err := bare().readSLI(decode[v1.SLOHistoryResponse](t, body), 1704236088, 1704322488); err == nil {
				t.Errorf("got %g of %s", sli, body)
			}
		}
	})
	t.Run("search: a state of no_data", func(t *testing.T) {
		for _, body := range recorded(t, "/slo/search") {
			found := decode[v1.SearchSLOResponse](t, body).Data.Attributes.Slos[0].Data
			status := found.Attributes.OverallStatus[0]
			if status.GetIndexedAt() != 1676409980 || found.GetId() != "18101ab6982f547faba6c9bdc6de9413" {
				t.Fatalf("got %+v", found)
			}
			if got, err := bare().indexed(slo{}, "7d", 95, status); err == nil {
				t.Errorf("got %+v of a state that is not known", got)
			}
		}
	})
	t.Run("corrections", func(t *testing.T) {
		for _, body := range recorded(t, "/corrections") {
			list := decode[v1.SLOCorrectionListResponse](t, body)
			if len(list.Data) != 1 || list.Data[0].Attributes.GetStart() != 1704322486 {
				t.Errorf("got %+v", list)
			}
		}
	})
}

func FuzzHistory(f *testing.F) {
	f.Add([]byte(`{"data":{"from_ts":1,"to_ts":2,"overall":{"sli_value":99.5,"history":[[1,0]]}},"errors":null}`))
	f.Add([]byte(`{"data":{"overall":{"sli_value":null,"state":"no_data","errors":[{"error_type":"a","error_message":"b"}]}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var resp v1.SLOHistoryResponse
		if json.Unmarshal(raw, &resp) != nil {
			return
		}
		sli, err := bare().readSLI(resp, 1, 2)
		if err == nil && (math.IsNaN(sli) || sli < 0 || sli > 100) {
			t.Errorf("an SLI of %g", sli)
		}
		if err != nil && (len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\n\x1b")) {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}

func FuzzCounts(f *testing.F) {
	f.Add([]byte(`{"meta":{"status":"done"},"data":{"buckets":[{"by":{"service":"a"},"computes":{"c0":1}}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var resp v2.LogsAggregateResponse
		if json.Unmarshal(raw, &resp) != nil {
			return
		}
		for _, by := range [][]string{nil, {"service"}} {
			samples, _ := bare().readCounts(resp, question{by: by}, time.Unix(1, 0))
			for _, s := range samples {
				if math.IsNaN(s.Value) || s.Value < 0 || len(s.Labels) != len(by) {
					t.Errorf("got %+v", s)
				}
			}
		}
	})
}

func FuzzQuestion(f *testing.F) {
	f.Add("slo/history?id=a&window=1h0m0s&target=99.9")
	f.Add("logs?query=service%3Acore-%2A&over=5m0s&by=service")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := parseQuestion(text)
		if err != nil {
			return
		}
		if again, err := parseQuestion(q.text()); err != nil || again.text() != q.text() {
			t.Errorf("%q became %q, and then %q (%v)", text, q.text(), again.text(), err)
		}
	})
}

func TestSettings(t *testing.T) {
	for _, c := range []struct{ settings, want string }{
		{"slo: {id: a}\nmonitor: {id: 1}", "exactly one of slo, monitor and logs"},
		{"slo: {id: a, name: b}", "exactly one of id and name"},
		{"slo: {id: a, windows: [{long: 5m, short: 1h, burn: 2}]}", "must be shorter than long"},
		{"slo: {id: a, windows: [{long: 1h, short: 5m, burn: 0}]}", "greater than 0"},
		{"slo: {id: a, state: [ok]}", "must be breached or warning"},
		{"slo: {id: a, state: [breached], budget_left: {below: 10%}}", "at most one of"},
		{"slo: {id: a, target: 100%}", "less than 100%"},
		{"slo: {id: a}\nbreach: {above: 3}", "may only say for"},
		{"slo: {id: a, budget_left: {below: 10%}}\nclear: {above: 5%}", "must not be less"},
		{"monitor: {id: 0}", "must be the monitor's id"},
		{"monitor: {id: 1, state: [ok]}", "must be alert or warn"},
		{"logs: {query: a, over: 5m}", "must say above or below"},
		{"logs: {query: a, over: 1s, presence: b}\nbreach: {above: 1}", "from 1m to 7d"},
		{"logs: {query: a, over: 5m, by: [a, a], presence: b}\nbreach: {above: 1}", "each once"},
		{"logs: {query: a, over: 5m}\nbreach: {above: 1}", "logs.presence: must be given with breach.above"},
		{"logs: {query: a, over: 5m, by: [a], presence: b, presence_by: [c]}\nbreach: {above: 1}", "logs.presence_by[0]: must be one of logs.by"},
	} {
		var said []string
		settingsOf(t, c.settings).Validate(func(path, rule string, _ any) { said = append(said, path+": "+rule) })
		if !strings.Contains(strings.Join(said, "\n"), c.want) {
			t.Errorf("%s: got %q, want %q", c.settings, said, c.want)
		}
	}
}

func TestSites(t *testing.T) {
	for site, good := range map[string]bool{"datadoghq.com": true, "us3.datadoghq.com": true, "ddog-gov.com": true, "evil.example": false, "": false} {
		s := newSettings()
		s.Site, s.APIKeyEnv, s.ApplicationKeyEnv = site, "A", "B"
		broken := 0
		s.Validate(func(string, string, any) { broken++ })
		if (broken == 0) != good {
			t.Errorf("site %q breaks %d rules", site, broken)
		}
	}
	s := newSettings()
	s.Site, s.APIKeyEnv = "datadoghq.com", apiKey+"-!"
	s.Validate(func(path, rule string, value any) {
		if text, _ := value.(string); strings.Contains(rule+text, apiKey) {
			t.Errorf("%s repeats what may be a key", path)
		}
	})
}
