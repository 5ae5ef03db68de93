package loki

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// trip is a transport without a network.
type trip func(*http.Request) (*http.Response, error)

func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func over(rt trip) *httpclient.Client {
	return httpclient.Over(rt, &url.URL{Scheme: "http", Host: "loki:3100"}, true, func() time.Time { return moment })
}

func says(code int, contentType, body string) trip {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: code, Header: http.Header{"Content-Type": {contentType}},
			Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	}
}

func sourceOver(rt trip) *Source {
	s := newSettings()
	s.PageSize = leastPage
	return newSource(s, over(rt))
}

func ask(t testing.TB, s *Source, query string, from time.Time) signalbox.Answer {
	t.Helper()
	return s.Ask(t.Context(), []signalbox.Question{{Source: "logs", Query: query, From: from}}, moment)[0]
}

const vectorText = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"env":"eu"},"value":[1772366400,"1.25"]}],"stats":{}}}`

var streamText = question{query: linesQuery, back: 5 * time.Minute, reach: time.Hour, lines: 100}.text()

func at(before time.Duration) string { return fmt.Sprint(moment.Add(-before).UnixNano()) }

func streams(values string) string {
	return `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"psp"},"values":[` + values + `]}]}}`
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		name, body, want string
		warnings         int
	}{
		{"vector", vectorText, "map[env:eu]=1.25", 0},
		{"scalar", `{"status":"success","data":{"resultType":"scalar","result":[1772366400.2,"7"]}}`, "map[]=7", 0},
		{"NaN", strings.Replace(vectorText, "1.25", "NaN", 1), "map[env:eu]=NaN", 0},
		{"empty", `{"status":"success","data":{"resultType":"vector","result":[]}}`, "", 0},
		{"warnings", strings.Replace(vectorText, `"data"`, `"warnings":["a\nb"],"data"`, 1), "map[env:eu]=1.25", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := ask(t, sourceOver(says(200, "application/json", c.body)), rateQuery, time.Time{})
			got := ""
			for _, s := range a.Samples {
				got += fmt.Sprintf("%v=%v", s.Labels, s.Value)
			}
			if a.Err != nil || got != c.want || len(a.Warnings) != c.warnings {
				t.Errorf("got %q, %v, %v", got, a.Warnings, a.Err)
			}
		})
	}
}

func TestWhatIsNoAnswer(t *testing.T) {
	const html = "<html>" + secret
	json := func(body string) trip { return says(200, "application/json", body) }
	for _, c := range []struct {
		name  string
		rt    trip
		query string
		want  string
	}{
		{"Loki's own words", says(400, "text/plain; charset=utf-8", "parse error at line 1, col 5:\nsyntax error"), rateQuery, "HTTP 400 Bad Request: parse error at line 1, col 5: syntax error"},
		{"no tenant", says(401, "text/plain", "no org id "+secret), rateQuery, "HTTP 401"},
		{"404", says(404, "text/plain", "404 page not found"), rateQuery, "HTTP 404 Not Found: 404 page not found"},
		{"429", says(429, "text/plain", "too many outstanding requests"), streamText, "HTTP 429 Too Many Requests: too many outstanding"},
		{"500", says(500, "text/plain", "oops"), streamText, "HTTP 500 Internal Server Error: oops"},
		{"502 of a proxy", says(502, "text/html", html), streamText, "so of a proxy"},
		{"200 of a proxy", says(200, "text/html", html), rateQuery, "so of a proxy"},
		{"another moment", json(strings.Replace(vectorText, "1772366400", "1772366100", 1)), rateQuery, "is there a cache between?"},
		{"a failure that says 200", json(`{"status":"fail"}`), rateQuery, "not one of Loki's"},
		{"null", json(`null`), rateQuery, "not one of Loki's"},
		{"no result", json(`{"status":"success","data":{"resultType":"vector"}}`), rateQuery, "not one of Loki's"},
		{"null result", json(`{"status":"success","data":{"resultType":"vector","result":null}}`), rateQuery, "not one of Loki's"},
		{"null scalar", json(`{"status":"success","data":{"resultType":"scalar","result":null}}`), rateQuery, "not one of Loki's"},
		{"no value", json(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}`), rateQuery, "not one of Loki's"},
		{"a value that is a number", json(strings.Replace(vectorText, `"1.25"`, `1.25`, 1)), rateQuery, "not one of Loki's"},
		{"a value of letters", json(strings.Replace(vectorText, `1.25`, secret, 1)), rateQuery, "not one of Loki's"},
		{"matrix", json(`{"status":"success","data":{"resultType":"matrix","result":[]}}`), rateQuery, "not one of Loki's"},
		{"lines for a value", json(streams("")), rateQuery, "selects lines"},
		{"values for lines", json(`{"status":"success","data":{"resultType":"matrix","result":[]}}`), streamText, "gives values"},
		{"truncated", json(vectorText[:40]), rateQuery, "unexpected end of JSON input"},
		{"time as a number", json(streams(`[1772366399000000000,"x"]`)), streamText, "not one of Loki's"},
		{"time of letters", json(streams(`["soon","x"]`)), streamText, "not one of Loki's"},
		{"no line", json(streams(`["` + at(time.Second) + `"]`)), streamText, "not one of Loki's"},
		{"null line", json(streams(`["` + at(time.Second) + `",null]`)), streamText, "not one of Loki's"},
		{"a line of the end", json(streams(`["` + at(0) + `","x"]`)), streamText, "which was not asked about"},
		{"a line before", json(streams(`["` + at(6*time.Minute) + `","x"]`)), streamText, "which was not asked about"},
		{"endless", func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: endless{}, Request: r}, nil
		}, streamText, "make the source's page_size smaller"},
		{"a question of nobody", says(200, "", ""), streamPrefix + "back=5m", "the question can't be read"},
		{"refused", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, rateQuery, "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := ask(t, sourceOver(c.rt), c.query, time.Time{})
			if a.Err == nil || !strings.Contains(a.Err.Error(), c.want) || a.Samples != nil {
				t.Fatalf("got %v with %d samples, want an error with %q", a.Err, len(a.Samples), c.want)
			}
			if strings.Contains(a.Err.Error(), secret) || strings.Contains(a.Err.Error(), "\n") {
				t.Errorf("%q holds a secret, or more than one line", a.Err)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
func (endless) Close() error { return nil }

func TestTooManySeries(t *testing.T) {
	one := `{"metric":{},"value":[1772366400,"1"]}`
	body := `{"status":"success","data":{"resultType":"vector","result":[` + strings.Repeat(one+",", maxSeries) + one + `]}}`
	if a := ask(t, sourceOver(says(200, "application/json", body)), rateQuery, time.Time{}); a.Err == nil || !strings.Contains(a.Err.Error(), "20001 series") {
		t.Errorf("got %v", a.Err)
	}
}

// What is sent: the tenant, no cache, and the range with its end not included.
func TestWhatIsSent(t *testing.T) {
	s := newSettings()
	s.URL, s.Tenant = "http://loki:3100/prefix/", "a|b"
	c := s.client()
	if got := c.HTTPHeaders.Headers; fmt.Sprint(got[tenantHeader].Values, got["Cache-Control"].Values) != "[a|b] [no-cache]" {
		t.Errorf("headers %v", got)
	}
	if s.HTTP.HTTPHeaders != nil {
		t.Error("the settings were changed")
	}
	own := &promconfig.Headers{Headers: map[string]promconfig.Header{"X-Own": {Values: []string{"1"}}}}
	s.HTTP.HTTPHeaders = own
	if got := s.client().HTTPHeaders.Headers; len(got) != 3 || len(own.Headers) != 1 {
		t.Errorf("headers %v, and in the settings %v", got, own.Headers)
	}
	var sent []string
	source := sourceOver(func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.Method+" "+r.URL.Path+" "+r.URL.Query().Encode())
		return says(200, "application/json", streams(""))(r)
	})
	ask(t, source, streamText, moment.Add(-20*time.Minute))
	ask(t, source, rateQuery, time.Time{})
	want := []string{
		"GET /loki/api/v1/query_range " + url.Values{
			"direction": {"forward"}, "limit": {"10"}, "query": {linesQuery}, "start": {at(20 * time.Minute)}, "end": {at(0)},
		}.Encode(),
		"GET /loki/api/v1/query " + url.Values{"query": {rateQuery}, "time": {at(0)}}.Encode(),
	}
	if strings.Join(sent, "\n") != strings.Join(want, "\n") {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(sent, "\n"), strings.Join(want, "\n"))
	}
}

func TestSpan(t *testing.T) {
	q := question{back: 5 * time.Minute, reach: time.Hour}
	for _, c := range []struct {
		from time.Time
		want time.Duration
	}{
		{time.Time{}, q.back},
		{moment.Add(-20 * time.Minute), 20 * time.Minute},
		{moment.Add(-2 * time.Hour), time.Hour},
		{moment.Add(time.Hour), q.back}, // the clock was set back
	} {
		if start, end := q.span(c.from, moment); moment.Sub(start) != c.want || !end.Equal(moment) {
			t.Errorf("from %s: %s to %s, want %s", c.from, start, end, c.want)
		}
	}
}

func TestAskHonoursItsContext(t *testing.T) {
	hang := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	s := newSettings()
	s.Timeout = kind.Duration(time.Millisecond)
	if a := ask(t, newSource(s, over(hang)), streamText, time.Time{}); !errors.Is(a.Err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", a.Err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	source := sourceOver(func(r *http.Request) (*http.Response, error) { cancel(); return hang(r) })
	for _, a := range source.Ask(ctx, make([]signalbox.Question, 3*maxConcurrent), moment) { // also those that wait for their turn
		if !errors.Is(a.Err, context.Canceled) {
			t.Fatalf("got %v, want canceled", a.Err)
		}
	}
}
