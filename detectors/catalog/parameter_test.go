package catalog

import (
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

func ptr(f float64) *float64 { return &f }

// What is taken is written anew; what is not of the parameter's type is refused.
func TestParameters(t *testing.T) {
	for _, c := range []struct {
		typ   string
		given any
		want  string // as it stands in a query; "!": refused
	}{
		{typeMatchers, "", ""},
		{typeMatchers, `job="pg"`, `job="pg"`},
		{typeMatchers, ` env =~ 'prod|"x"' , job!="a" `, `env=~"prod|\"x\"",job!="a"`},
		{typeMatchers, `job="a\"} or up{"`, `job="a\"} or up{"`},
		{typeMatchers, `job="a"} or up{job="b"`, "!"},
		{typeMatchers, `job="a"}[5m]`, "!"},
		{typeMatchers, `job="a"} offset 5m`, "!"},
		{typeMatchers, `__name__="up"`, "!"},
		{typeMatchers, `__name__=~".*",job="a"`, "!"},
		{typeMatchers, `"up"`, "!"},
		{typeMatchers, `job=~"("`, "!"},
		{typeMatchers, `} # `, "!"},
		{typeMatchers, 3.0, "!"},
		{typeSeries, "up", "up{}"},
		{typeSeries, `http_requests_total{code=~'5..'}`, `http_requests_total{code=~"5.."}`},
		{typeSeries, `up[5m]`, "!"},
		{typeSeries, `up offset 5m`, "!"},
		{typeSeries, `up @ 0`, "!"},
		{typeSeries, `rate(up[5m])`, "!"},
		{typeSeries, `up or down`, "!"},
		{typeSeries, `{job="a"}`, "!"},
		{typeSeries, `{__name__=~"a.*"}`, "!"},
		{typeSeries, `{__name__="a b"}`, "!"},
		{typeSeries, `{__name__="a", __name__="b"}`, "!"},
		{typeLabels, "instance", "instance"},
		{typeLabels, []any{"a", "b"}, "a, b"},
		{typeLabels, []any{}, "!"},
		{typeLabels, []any{"a", "a"}, "!"},
		{typeLabels, "a) or (up", "!"},
		{typeLabels, "__name__", "!"},
		{typeLabels, []any{"a", 1.0}, "!"},
		{typePattern, `a"b\d`, `"a\"b\\d"`},
		{typePattern, "", "!"},
		{typePattern, "(", "!"},
		{typePattern, strings.Repeat("a", maxPattern+1), "!"},
		{typeDuration, "90s", "1m30s"},
		{typeDuration, "5", "!"},
		{typeDuration, "0s", "!"},
		{typeDuration, "1s", "!"}, // below least
		{typeDuration, "3h", "!"}, // above most
		{typeDuration, "5m]) or vector(1", "!"},
		{typeNumber, 90.0, "90"},
		{typeNumber, 0.0, "!"},
		{typeNumber, "90", "!"},
		{"nothing", "x", "!"},
	} {
		p := Parameter{Name: "p", Type: c.typ, Least: ptr(60), Most: ptr(3600)}
		v, err := p.read(c.given, true)
		switch got := v.forms[""]; {
		case c.want == "!" && err == nil:
			t.Errorf("%s %#v: got %q, want it refused", c.typ, c.given, got)
		case c.want != "!" && (err != nil || got != c.want):
			t.Errorf("%s %#v: got %q, %v, want %q", c.typ, c.given, got, err, c.want)
		}
	}
}

func TestRequiredAndUnknownParameters(t *testing.T) {
	e, err := Read("psp-errors")
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	text := e.Keys(map[string]any{"failed": "x", "by": nil, "window": "1s", "nothing": 1}, func(path, rule string, _ any) {
		said = append(said, path+" "+rule)
	})
	want := []string{
		"nothing is not a parameter of the catalogue's psp-errors, whose parameters are failed, total, by, window",
		"total is required: The counter of all requests, with the same labels.",
		"window must be at least 1m",
	}
	if text != nil || strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q\n%s\nwant\n%s", text, strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
}

// Whatever is given, a query with it selects the metric that the entry names,
// and nothing else.
func FuzzMatchers(f *testing.F) {
	for _, s := range []string{"", `job="pg"`, `a=~"b.*",c!~'d'`, `job="a"} or up{job="b"`, "a=`b`", `a="\u007d"`, "x\xff=\"y\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		v, err := readMatchers(given)
		if err != nil {
			return
		}
		expr, err := parser.ParseExpr(`rate(lag_seconds{first="x",` + v.forms[""] + `}[5m])`)
		if err != nil {
			t.Fatalf("%q became %q, which is no PromQL: %v", given, v.forms[""], err)
		}
		call, ok := expr.(*parser.Call)
		if !ok || len(call.Args) != 1 {
			t.Fatalf("%q became %q, which is more than matchers: %s", given, v.forms[""], expr)
		}
		m, ok := call.Args[0].(*parser.MatrixSelector)
		if !ok || m.VectorSelector.(*parser.VectorSelector).Name != "lag_seconds" {
			t.Fatalf("%q became %q, which is more than matchers: %s", given, v.forms[""], expr)
		}
	})
}
