package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testHistory(t *testing.T) *history {
	t.Helper()
	h, err := openHistory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// testProm serves a minute of a company at rest that ends at noon.
func testProm(t *testing.T) (address string, client promv1.API) {
	t.Helper()
	h, s := testHistory(t), atRest()
	for at := noon.Add(-time.Minute); !at.After(noon); at = at.Add(testTick) {
		s = s.step(well, testTick)
		if err := h.record(t.Context(), at, s.samples()); err != nil {
			t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	newPromAPI(h, func() time.Time { return noon }).routes(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := api.NewClient(api.Config{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return server.URL, promv1.NewAPI(c)
}

func TestQueriesThroughThePrometheusClient(t *testing.T) {
	_, client := testProm(t)
	for query, want := range map[string]string{
		`count(up{job="pg"} == 1)`:                                       `{} => 2 @[1772366400]`,
		`max by (cluster, env) (timestamp(reads_lag_seconds))`:           `{cluster="eu", env="prod"} => 1772366400 @[1772366400]`,
		`round(rate(psp_webhooks_total{result="delivered"}[30s]))`:       `{env="prod", psp="acquirer", result="delivered"} => 20 @[1772366400]`,
		`sum(round(rate(cdn_requests_total[20s] offset 30s)))`:           `{} => 900 @[1772366400]`,
		`max by (cluster) (pg_replication_lag_seconds) < bool 0.1`:       `{cluster="eu"} => 1 @[1772366400]`,
		`count_over_time(reads_lag_seconds[10s] @ ` + "1772366400" + `)`: `{cluster="eu", env="prod"} => 20 @[1772366400]`,
		`no_such_metric`:             ``,
		`scalar(sum(up))`:            `scalar: 4 @[1772366400]`,
		`0/0`:                        `scalar: NaN @[1772366400]`,
		`-1/0`:                       `scalar: -Inf @[1772366400]`,
		`up{job="psp-webhooks"}[1s]`: "up{env=\"prod\", instance=\"psp-webhooks:8080\", job=\"psp-webhooks\"} =>\n1 @[1772366399.5]\n1 @[1772366400]",
	} {
		got, warnings, _, err := client.Query(t.Context(), query, noon)
		if err != nil || len(warnings) > 0 || got.String() != want {
			t.Errorf("%s:\n got %v, %v, %v\nwant %s", query, got, warnings, err, want)
		}
	}
}

func TestRangesThroughThePrometheusClient(t *testing.T) {
	_, client := testProm(t)
	got, _, _, err := client.QueryRange(t.Context(), `sum by (job) (up{job="pg"})`, promv1.Range{Start: noon.Add(-20 * time.Second), End: noon, Step: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	m, ok := got.(model.Matrix)
	if !ok || len(m) != 1 || len(m[0].Values) != 3 || m[0].Values[2].Value != 2 || m[0].Values[2].Timestamp.Time().Compare(noon) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestErrorsAsPrometheusHasThem(t *testing.T) {
	_, client := testProm(t)
	for query, want := range map[string]promv1.ErrorType{
		`rate(`:                             promv1.ErrBadData,
		`up * on (env) group_left up`:       promv1.ErrExec,
		``:                                  promv1.ErrBadData,
		`label_replace(up, "", "", "", "")`: promv1.ErrExec,
	} {
		_, _, _, err := client.Query(t.Context(), query, noon)
		var got *promv1.Error
		if !errors.As(err, &got) || got.Type != want {
			t.Errorf("%s: %v, want %v", query, err, want)
		}
	}
	ends := promv1.Range{Start: noon, End: noon.Add(-time.Second), Step: time.Second}
	if _, _, _, err := client.QueryRange(t.Context(), `up`, ends); err == nil || !strings.Contains(err.Error(), "bad_data") {
		t.Errorf("an end before its start: %v", err)
	}
	long := promv1.Range{Start: noon.Add(-time.Hour), End: noon, Step: 100 * time.Millisecond}
	if _, _, _, err := client.QueryRange(t.Context(), `up`, long); err == nil || !strings.Contains(err.Error(), "11,000 points") {
		t.Errorf("36000 points: %v", err)
	}
}

// Infos and warnings come beside the data, in a 200.
func TestNotesComeWithTheData(t *testing.T) {
	address, client := testProm(t)
	_, body := do(t, http.MethodGet, address+"/api/v1/query?query="+url.QueryEscape(`rate(psp_webhook_queue_depth[10s])`), "")
	if !strings.Contains(body, `"status":"success"`) || !strings.Contains(body, `"infos":["PromQL info: metric might not be a counter`) {
		t.Errorf("a rate of a gauge: %s", body)
	}
	if _, body = do(t, http.MethodGet, address+"/api/v1/query?query="+url.QueryEscape(`"text"`), ""); !strings.Contains(body, `{"resultType":"string","result":[1772366400,"text"]}`) {
		t.Errorf("a string: %s", body)
	}
	_, warnings, _, err := client.Query(t.Context(), `quantile(2, up)`, noon)
	if err != nil || len(warnings) != 1 {
		t.Errorf("a quantile of 2: warnings %v, %v", warnings, err)
	}
}

func TestBadParametersAreRefused(t *testing.T) {
	address, _ := testProm(t)
	for path, parameter := range map[string]string{
		"query?query=up&time=noon":                      "time",
		"query?query=up&time=1e300":                     "time",
		"query?query=up&timeout=soon":                   "timeout",
		"query_range?query=up&end=1&step=1":             "start",
		"query_range?query=up&start=1&step=1":           "end",
		"query_range?query=up&start=1&end=2":            "step",
		"query_range?query=up&start=1&end=2&step=0":     "step",
		"query_range?query=up&start=1&end=2&step=1e300": "step",
		"query_range?query=up%28&start=1&end=2&step=1":  "query",
	} {
		resp, body := do(t, http.MethodGet, address+"/api/v1/"+path, "")
		want := fmt.Sprintf(`"errorType":"bad_data","error":"invalid parameter \"%s\"`, parameter)
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	form := "Content-Type: application/x-www-form-urlencoded"
	if resp, body := do(t, http.MethodPost, address+"/api/v1/query", "query="+strings.Repeat("x", maxForm), form); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a form of more than %d bytes: %d %.100s", maxForm, resp.StatusCode, body)
	}
	if resp, body := do(t, http.MethodGet, address+"/api/v1/query?query=up&timeout=0", ""); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"errorType":"timeout"`) {
		t.Errorf("no time at all: %d %s", resp.StatusCode, body)
	}
}

func TestParsePromTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"1772366400":                noon,
		"1772366400.25":             noon.Add(250 * time.Millisecond),
		"2026-03-01T13:00:00+01:00": noon,
		"":                          noon,
	} {
		if got, err := parsePromTime(text, noon); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"NaN", "Inf", "1e300", "now"} {
		if got, err := parsePromTime(text, noon); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}

func FuzzPromParameters(f *testing.F) {
	f.Add("1772366400.25", "1h30m")
	f.Add("2026-03-01T13:00:00+01:00", "0.5")
	f.Add("NaN", "NaN")
	f.Fuzz(func(t *testing.T, at, step string) {
		if got, err := parsePromTime(at, noon); err == nil && got.IsZero() && at == "" {
			t.Fatal("an absent time became zero")
		}
		if d, err := parsePromDuration(step); err == nil && d == time.Duration(-1<<63) {
			t.Fatalf("%q overflowed", step)
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	h, s := testHistory(t), atRest()
	for at := noon; at.Before(noon.Add(3 * time.Hour)); at = at.Add(5 * time.Second) {
		s = s.step(well, 5*time.Second)
		if err := h.record(t.Context(), at, s.samples()); err != nil {
			t.Fatal(err)
		}
		if at.Sub(noon)%blockRange == 0 {
			if err := h.db.Compact(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	oldest := h.db.Head().MinTime()
	for _, b := range h.db.Blocks() {
		oldest = min(oldest, b.MinTime())
	}
	if age := noon.Add(3 * time.Hour).Sub(time.UnixMilli(oldest)); age > retention+2*blockRange {
		t.Errorf("samples of %v are kept, the retention is %v", age, retention)
	}
	if inMemory := time.UnixMilli(h.db.Head().MaxTime()).Sub(time.UnixMilli(h.db.Head().MinTime())); inMemory > 2*blockRange {
		t.Errorf("%v are kept in memory, a block is %v", inMemory, blockRange)
	}
}

func TestAClosedHistoryAnswersErrors(t *testing.T) {
	h, err := openHistory()
	if err != nil {
		t.Fatal(err)
	}
	view, err := h.Querier(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- h.close() }()
	if h.use.TryLock() {
		t.Fatal("the history can be closed under a view")
	}
	if err := errors.Join(view.Close(), <-done); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Querier(0, 1); !errors.Is(err, errClosed) {
		t.Errorf("a view of a closed history: %v", err)
	}
	if err := h.record(context.Background(), noon, nil); !errors.Is(err, errClosed) {
		t.Errorf("a scrape into a closed history: %v", err)
	}
}
