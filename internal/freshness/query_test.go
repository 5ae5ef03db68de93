package freshness

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// tell writes what was read of a selector, for comparison.
func tell(s selector) string {
	text := s.question
	if s.optional {
		text += " optional"
	}
	if !s.compare.all {
		text += fmt.Sprintf(" on %v", s.compare.only)
	}
	if len(s.compare.except) > 0 {
		text += fmt.Sprintf(" but %v", s.compare.except)
	}
	return text
}

func TestParseQuery(t *testing.T) {
	for _, c := range []struct {
		query  string
		window time.Duration
		want   []string
	}{
		{`lag`, 0, []string{`timestamp(lag)`}},
		{`max by (cluster) (lag{job="pg"})`, 0, []string{`timestamp(lag{job="pg"}) on [cluster]`}},
		{`sum without (pod) (lag)`, 0, []string{`timestamp(lag) but [pod]`}},
		{`topk by (cluster) (3, lag)`, 0, []string{`timestamp(lag)`}},
		{`count_values("v", lag)`, 0, []string{`timestamp(lag) on []`}},
		{`count_values without (pod) ("v", lag)`, 0, []string{`timestamp(lag) but [v pod]`}},
		{`rate(errors[5m]) / rate(requests[1m])`, 5 * time.Minute, []string{`timestamp(errors)`, `timestamp(requests)`}},
		{`x - x offset 10m`, 10 * time.Minute, []string{`timestamp(x)`, `timestamp(x offset 10m)`}},
		{`max_over_time(rate(x[1m] offset 30s)[10m:15s] offset 1h)`, time.Hour + 11*time.Minute + 30*time.Second, []string{`timestamp(x offset 1h30s)`}},
		{`x > bool scalar(y)`, 0, []string{`timestamp(x)`, `timestamp(y) on []`}},
		{`x or vector(0)`, 0, []string{`timestamp(x) optional`}},
		{`x unless on (a) y`, 0, []string{`timestamp(x)`, `timestamp(y) optional on [a]`}},
		{`x and ignoring (a) y`, 0, []string{`timestamp(x)`, `timestamp(y) but [a]`}},
		{`x * on (pod) group_left (team) owner`, 0, []string{`timestamp(x) but [team]`, `timestamp(owner) on [pod team]`}},
		{`owner * ignoring (le) group_right (team) x`, 0, []string{`timestamp(owner) but [le]`, `timestamp(x) but [team]`}},
		{`label_replace(x, "host", "$1", "instance", "(.*):.*")`, 0, []string{`timestamp(x) but [host]`}},
		{`absent(x{a="b"})`, 0, []string{`timestamp(x{a="b"}) optional`}},
		{`histogram_quantile(0.9, sum by (le, job) (rate(d_bucket[5m])))`, 5 * time.Minute, []string{`timestamp(d_bucket) on [le job]`}},
		{`scalar(x)`, 0, []string{`timestamp(x) on []`}},
		{`-(x)`, 0, []string{`timestamp(x)`}},
		{`{__name__=~"a|b", c="d"}`, 0, []string{`timestamp({__name__=~"a|b",c="d"})`}},
		{`{"a.b", c="d"}`, 0, []string{`timestamp({__name__="a.b",c="d"})`}},
	} {
		t.Run(c.query, func(t *testing.T) {
			q, err := Parse(c.query)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range q.selectors {
				got = append(got, tell(s))
			}
			if !slices.Equal(got, c.want) || q.Window != c.window {
				t.Errorf("selectors %q over %s, want %q over %s", got, q.Window, c.want, c.window)
			}
		})
	}
}

func TestRefusedQueries(t *testing.T) {
	for query, want := range map[string]string{
		`x[5m]`:                               "must give an instant vector or a scalar, not a range vector",
		`"text"`:                              "must give an instant vector or a scalar, not a string",
		`sum(`:                                "must be PromQL: 1:5: parse error",
		``:                                    "must be PromQL",
		`vector(1)`:                           "must select a metric",
		`time()`:                              "must select a metric",
		`x @ 1700000000`:                      "must not use @",
		`x @ end()`:                           "must not use @",
		`rate(x[5m] @ start())`:               "must not use @",
		`sum_over_time(x[5m:] @ 1)`:           "must not use @",
		`x offset -5m`:                        "must not use a negative offset",
		`max_over_time(x[200y:] offset 200y)`: "must not reach further back than 10 years",
		`x offset 11y`:                        "must not reach further back than 10 years",
		`sum_over_time(x[5m:] offset -1m)`:    "must not use a negative offset",
	} {
		if _, err := Parse(query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", query, err, want)
		}
	}
}

func TestEndsInComparison(t *testing.T) {
	for query, want := range map[string]bool{
		`x > 5`: true, `((x) == 5)`: true, `x > bool 5`: false, `x`: false, `(x > 5) * 2`: false, `sum(x > 5)`: false, `x and x > 5`: false,
	} {
		if got := EndsInComparison(query); got != want {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
}

// Whatever parses as PromQL is either refused, or all its questions are again
// PromQL that gives a vector, and ask for nothing that is not yet there.
func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{
		`max by (cluster) (lag{job="pg"})`, `max_over_time(rate(x[1m] offset 30s)[10m:15s])`, `x * on (pod) group_left (team) owner`,
		`{"a.b", c="d"}`, `x or vector(0)`, `count_values("v", x)`, `label_replace(x, "a", "b", "c", "d")`, `x > bool 5`, `1 < bool x`, "x{a=\"\\n\\\"\"}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		EndsInComparison(text)
		q, err := Parse(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("the error is more than one line: %q", err)
			}
			return
		}
		if len(q.selectors) == 0 || q.Window < 0 {
			t.Fatalf("%q: %d selectors over %s", text, len(q.selectors), q.Window)
		}
		for _, s := range q.selectors {
			e, err := parser.ParseExpr(s.question)
			if err != nil || e.Type() != parser.ValueTypeVector || s.offset < 0 {
				t.Fatalf("%q: question %q at %s: %v", text, s.question, s.offset, err)
			}
		}
	})
}
