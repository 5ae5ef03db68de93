package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// own is written for a rule that its own emptiness proves well.
const own = "its own emptiness"

// proofs are expressions, and what is made of each: a "!" says why nothing is.
func proofs() map[string][]string {
	fresh := func(selector string) string {
		return "(" + selector + " and (time() - timestamp(" + selector + ") < 75))"
	}
	return map[string][]string{
		"x > 5":                               {fresh("x")},
		"5 < x":                               {fresh("x")},
		"((x > 5))":                           {fresh("x")},
		"x > y":                               {"(" + fresh("x") + " - " + fresh("y") + ")"},
		"x > on (a) group_left (b) y":         {"(" + fresh("x") + " - on (a) group_left (b) " + fresh("y") + ")"},
		"x > scalar(y)":                       {"(" + fresh("x") + " - scalar(" + fresh("y") + "))"},
		"x < time()":                          {fresh("x")},
		"x / y > 0.1":                         {"(" + fresh("x") + " / " + fresh("y") + ")"},
		"rate(x[5m]) > 1":                     {"(rate(x[5m]) and (time() - timestamp(x) < 75))"},
		"rate(x[5m] offset 1h) > 1":           {"(rate(x[5m] offset 1h) and (time() - timestamp(x offset 1h) < 3675))"},
		"sum by (a) (x) > 1":                  {"sum by (a) (" + fresh("x") + ")"},
		"count(up == 0) > 3":                  {"count(" + fresh("up") + ")"},
		"topk(3, x) > 1":                      {fresh("x")},
		"x > 1 and y":                         {"(" + fresh("x") + " and " + fresh("y") + ")"},
		"x > 1 and on (a) absent(y)":          {fresh("x")},
		"x > 1 unless y":                      {fresh("x")},
		"x unless y":                          {fresh("x")},
		"x > 1 or y > 2":                      {fresh("x"), fresh("y")},
		"(count(x > 1) or vector(0)) > 2":     {"count(" + fresh("x") + ")"},
		"time() - timestamp(x) > 300":         {"(time() - timestamp(x))"},
		"max_over_time((x > 1)[10m:1m]) >= 1": {"(max_over_time((" + fresh("x") + ")[10m:1m]) and (" + fresh("x") + "))"},
		`{__name__=~"a|b"} > 1`:               {`({__name__=~"a|b"} and {__name__=~"a|b"})`},
		"absent(x)":                           {own},
		"absent(x) == 1":                      {own},
		"absent_over_time(x[5m])":             {own},
		"vector(1) unless on () (up == 1)":    {own},
		"x":                                   {"!no comparison"},
		"vector(1)":                           {"!no comparison"},
		"x > bool 1":                          {"!no comparison"},
		"x @ 0 > 1":                           {"!fixed time"},
		"x > 1 or vector(1)":                  {"!always true"},
		"count_values(\"v\", x) > 1":          {"!count_values"},
		"absent(x) * on () y > 1":             {"!absent()"},
	}
}

func TestProof(t *testing.T) {
	for expr, want := range proofs() {
		e, err := parser.ParseExpr(expr)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		before := e.String()
		p := derive(e, 75*time.Second)
		got := p.parts
		switch {
		case p.why != "":
			got = []string{"!" + p.why}
		case p.own:
			got = []string{own}
		}
		if reason, refused := strings.CutPrefix(want[0], "!"); refused {
			if len(got) != 1 || !strings.HasPrefix(got[0], "!") || !strings.Contains(got[0], reason) {
				t.Errorf("%s: got %q, want a reason that says %q", expr, got, reason)
			}
		} else if !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", expr, got, want)
		}
		for _, part := range p.parts {
			if _, err := parser.ParseExpr(part); err != nil {
				t.Errorf("%s: %s is no PromQL: %v", expr, part, err)
			}
		}
		if e.String() != before {
			t.Errorf("%s was changed into %s", before, e)
		}
	}
}

func TestReach(t *testing.T) {
	for expr, want := range map[string]time.Duration{
		"x > 1": 0, "rate(x[5m] offset 1h) > 1": 65 * time.Minute, "max_over_time(rate(x[5m])[1h:1m] offset 1m) > 1": 66 * time.Minute,
	} {
		e, err := parser.ParseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := reach(e); got != want {
			t.Errorf("%s: got %s, want %s", expr, got, want)
		}
	}
}

// FuzzProof: whatever the expression, what proves it is PromQL.
func FuzzProof(f *testing.F) {
	f.Add("sum by (a) (rate(x[5m])) / on (a) group_left count(y > 0) > 0.1 unless z")
	f.Add("(a or b) and absent(c) or vector(0) > 1")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parser.ParseExpr(text)
		if err != nil {
			return
		}
		_ = reach(e)
		p := derive(e, 75*time.Second)
		if p.why == "" && !p.own && len(p.parts) == 0 {
			t.Fatalf("%s: no proof, and no reason", text)
		}
		for _, part := range p.parts {
			if _, err := parser.ParseExpr(part); err != nil {
				t.Fatalf("%s: %s: %v", text, part, err)
			}
		}
	})
}
