package grafana

import (
	"encoding/json"
	"strings"
	"testing"
)

// sources are the data sources of the tests without a server.
var sources = []datasource{
	{UID: "prom", Name: "Prometheus", Type: "prometheus", URL: "http://prometheus:9090", IsDefault: true},
	{UID: "prom-eu", Name: "Prometheus EU", Type: "prometheus", URL: "http://eu:9090", JSONData: json.RawMessage(`{"timeInterval":"30s"}`)},
	{UID: "loki", Name: "Loki", Type: "loki", URL: "http://loki:3100"},
	{UID: "pg", Name: "Postgres", Type: "grafana-postgresql-datasource", URL: "localhost:5432"},
	{UID: "es", Name: "Elastic", Type: "elasticsearch", URL: "http://es:9200"},
}

// resolved makes the plan of the only panel of a dashboard.
func resolved(t testing.TB, model obj, ref reference) (*plan, error) {
	t.Helper()
	whole := obj{"dashboard": modelOf(model), "meta": obj{}}
	model["uid"] = "u"
	raw, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	raw = []byte(strings.Replace(string(raw), `{"dashboard":{`, `{"dashboard":{"uid":"u","title":"Prod",`, 1))
	b, err := decodeBoard(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	p, err := b.Dashboard.find("Lag", nil)
	if err != nil {
		t.Fatal(err)
	}
	return (&definition{board: b, panel: p, sources: sources}).plan(ref, moment)
}

func variables(list ...obj) obj { return obj{"list": list} }

func current(value any) obj { return obj{"text": value, "value": value} }

// filled fills one text in a dashboard with some variables, as a query in a
// language has it.
func filled(t testing.TB, in, ds string, ref reference, vars ...obj) (string, error) {
	t.Helper()
	kind := ""
	for _, d := range sources {
		if d.UID == ds {
			kind = d.Type
		}
	}
	b := &board{}
	raw, err := json.Marshal(obj{"uid": "u", "title": "Prod", "templating": variables(vars...), "time": obj{"from": "now-6h", "to": "now"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &b.Dashboard); err != nil {
		t.Fatal(err)
	}
	s, err := newScope(&b.Dashboard, &panelModel{}, ref, sources, moment)
	if err != nil {
		return "", err
	}
	s.lang = languageOf(kind)
	if err := s.settleSteps(&target{}, &datasource{}); err != nil {
		return "", err
	}
	return s.fill(in)
}

var (
	one    = obj{"name": "c", "type": "custom", "query": "a.b,c", "current": current("a.b")}
	multi  = obj{"name": "c", "type": "query", "multi": true, "current": current([]string{"a.b", "c d"})}
	single = obj{"name": "c", "type": "query", "multi": true, "current": current([]string{"a.b"})}
	all    = obj{"name": "c", "type": "query", "multi": true, "includeAll": true, "allValue": ".+", "current": current([]string{"$__all"})}
)

// The formats, as Grafana's documentation shows them.
func TestFormats(t *testing.T) {
	quoted := obj{"name": "c", "type": "query", "multi": true, "current": current([]string{`a'b`, `c"d`})}
	for _, c := range []struct {
		in, ds string
		v      obj
		want   string
	}{
		{"$c", "prom", one, "a.b"},
		{"${c}", "prom", one, "a.b"},
		{"[[c]]", "prom", one, "a.b"},
		{"x$c/y", "prom", one, "xa.b/y"},
		{"$cluster", "prom", obj{"name": "cluster", "type": "constant", "query": "eu"}, "eu"},
		{"$c", "prom", multi, `(a\\.b|c d)`},
		{"$c", "prom", single, `a\\.b`},
		{"$c", "prom", all, ".+"},
		{"$c", "loki", multi, `a\\.b|c d`},
		{"$c", "loki", one, "a.b"},
		{"$c", "pg", multi, "'a.b','c d'"},
		{"$c", "pg", single, "'a.b'"},
		{"$c", "pg", obj{"name": "c", "type": "textbox", "query": "it's"}, "it''s"},
		{"$c", "pg", quoted, `'a''b','c"d'`},
		{"$c", "es", obj{"name": "c", "type": "constant", "query": "eu_1"}, "eu_1"},
		{"${c:regex}", "es", multi, `(a\.b|c d)`},
		{"${c:regex}", "es", single, `a\.b`},
		{"[[c:regex]]", "es", multi, `(a\.b|c d)`},
		{"${c:csv}", "es", multi, "a.b,c d"},
		{"${c:pipe}", "es", multi, "a.b|c d"},
		{"${c:raw}", "es", multi, "a.b,c d"},
		{"${c:glob}", "es", multi, "{a.b,c d}"},
		{"${c:glob}", "es", single, "a.b"},
		{"${c:join:;}", "es", multi, "a.b;c d"},
		{"${c:distributed}", "es", multi, "a.b,c=c d"},
		{"${c:doublequote}", "es", multi, `"a.b","c d"`},
		{"${c:singlequote}", "es", quoted, `'a\'b','c"d'`},
		{"${c:sqlstring}", "es", quoted, `'a''b','c\"d'`},
		{"${c:json}", "es", multi, `["a.b","c d"]`},
		{"${c:json}", "es", one, `a.b`},
		{"${c:lucene}", "es", multi, `("a.b" OR "c\ d")`},
		{"${c:lucene}", "es", obj{"name": "c", "type": "constant", "query": "a-b"}, `a\-b`},
		{"${c:lucene}", "es", obj{"name": "c", "type": "constant", "query": "-1.5"}, `-1.5`},
		{"${c:percentencode}", "es", multi, "%7Ba.b%2Cc%20d%7D"},
		{"${c:queryparam}", "es", multi, "var-c=a.b&var-c=c%20d"},
		{"${c:text}", "es", obj{"name": "c", "type": "query", "multi": true, "current": obj{"text": []string{"A", "B"}, "value": []string{"1", "2"}}}, "A + B"},
		{"${c.text}", "prom", obj{"name": "c", "type": "query", "current": obj{"text": "A", "value": "1"}}, "A"},
		{"${c:text}", "prom", all, "All"},
		{"${c:regex}", "prom", all, ".+"},
	} {
		if got, err := filled(t, c.in, c.ds, reference{}, c.v); err != nil || got != c.want {
			t.Errorf("%s in %s with %v: got %q, %v, want %q", c.in, c.ds, c.v, got, err, c.want)
		}
	}
}

// The variables that Grafana has of its own, of a panel of six hours at 500
// points: 43s, and so 30s.
func TestBuiltIns(t *testing.T) {
	for in, want := range map[string]string{
		"rate(x[$__interval])": "rate(x[30s])", "$__interval_ms": "30000", "${__rate_interval}": "1m", "$__rate_interval_ms": "60000",
		"$__range": "21600s", "$__range_s": "21600", "$__range_ms": "21600000", "${__from}": "-21000000", "${__to:date:seconds}": "600",
		"${__to:date}": "1970-01-01T00:10:00.000Z", "$__dashboard": "Prod", "${__dashboard.uid}": "u",
		`label_replace(x, "a", "$1", "b", "(.*)")`: `label_replace(x, "a", "$1", "b", "(.*)")`, "no variable": "no variable", "50 $ a": "50 $ a",
	} {
		if got, err := filled(t, in, "prom", reference{}); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", in, got, err, want)
		}
	}
	for _, c := range []struct{ in, ds, want string }{
		{"$__timeFilter(at)", "pg", "$__timeFilter(at)"}, {"$__auto", "loki", "30s"},
	} {
		if got, err := filled(t, c.in, c.ds, reference{}); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.in, got, err, c.want)
		}
	}
}

// The steps of a panel follow its own keys, its query's and its data source's.
func TestSteps(t *testing.T) {
	for name, c := range map[string]struct {
		panel, query obj
		want         string
	}{
		"none":                 {obj{}, obj{}, "30s 1m"},
		"few points":           {obj{"maxDataPoints": 100}, obj{}, "5m 315s"},
		"a least interval":     {obj{"interval": "2m"}, obj{}, "2m 8m"},
		"of the query":         {obj{"interval": "2m"}, obj{"interval": "1m"}, "1m 4m"},
		"written with >":       {obj{"interval": ">2m"}, obj{}, "2m 8m"},
		"a variable":           {obj{"interval": "$step"}, obj{}, "3m 12m"},
		"its own range":        {obj{"timeFrom": "1h"}, obj{}, "15s 1m"},
		"the rate's interval":  {obj{}, obj{"interval": "$__rate_interval"}, "1m 1m"},
		"a factor":             {obj{}, obj{"intervalFactor": 2}, "1m 1m"},
		"the data source says": {obj{"datasource": obj{"uid": "prom-eu"}}, obj{}, "30s 2m"},
	} {
		p := panelOf(1, "Lag", "rate(x[$__interval]) + rate(x[$__rate_interval])")
		for k, v := range c.panel {
			p[k] = v
		}
		q := p["targets"].([]any)[0].(obj)
		for k, v := range c.query {
			q[k] = v
		}
		got, err := resolved(t, obj{
			"panels": []obj{p}, "time": obj{"from": "now-6h", "to": "now"},
			"templating": variables(obj{"name": "step", "type": "interval", "query": "1m,3m", "current": current("3m")}),
		}, reference{Unit: "s"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		first, second, _ := strings.Cut(c.want, " ")
		if want := "rate(x[" + first + "]) + rate(x[" + second + "])"; got.queries[0]["expr"] != want {
			t.Errorf("%s: got %s, want %s", name, got.queries[0]["expr"], want)
		}
	}
}

// Saved values, overrides, and what stands for other values.
func TestVariables(t *testing.T) {
	given := func(pairs ...string) reference {
		r := reference{Variables: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			r.Variables[pairs[i]] = pairs[i+1]
		}
		return r
	}
	custom := obj{"name": "c", "type": "custom", "multi": true, "includeAll": true, "query": `eu, us : 2,a\,b`, "current": current([]string{"$__all"})}
	options := obj{"name": "c", "type": "query", "includeAll": true, "refresh": 0, "current": current("$__all"), "options": []obj{current("$__all"), current("eu"), current("us")}}
	auto := obj{"name": "c", "type": "interval", "auto": true, "auto_count": 10, "auto_min": "1m", "query": "1m,5m", "current": obj{"text": "auto", "value": "$__auto_interval_c"}}
	for name, c := range map[string]struct {
		ref  reference
		v    obj
		want string
	}{
		"constant":               {given(), obj{"name": "c", "type": "constant", "query": "eu"}, "eu"},
		"textbox, saved":         {given(), obj{"name": "c", "type": "textbox", "query": "x", "current": current("y")}, "y"},
		"textbox, empty":         {given(), obj{"name": "c", "type": "textbox", "query": ""}, ""},
		"overridden":             {given("c", "us"), one, "us"},
		"several":                {given("c", `us, e\,u`), multi, `(us|e,u)`},
		"all, overridden":        {given("c", "$__all"), obj{"name": "c", "type": "query", "includeAll": true, "allValue": ".*", "current": current("eu")}, ".*"},
		"all of a custom one":    {given(), custom, "(eu|2|a,b)"},
		"all of saved options":   {given(), options, "(eu|us)"},
		"interval":               {given(), obj{"name": "c", "type": "interval", "query": "1m,5m", "current": current("5m")}, "5m"},
		"interval, automatic":    {given(), auto, "30m"},
		"a data source":          {given(), obj{"name": "c", "type": "datasource", "query": "prometheus", "current": current("Prometheus EU")}, "prom-eu"},
		"a number":               {given(), obj{"name": "c", "type": "custom", "query": "1,2", "current": obj{"text": 1, "value": 1}}, "1"},
		"a default data source":  {given(), obj{"name": "c", "type": "datasource", "query": "prometheus", "current": current("default")}, "prom"},
		"the only one of it":     {given(), obj{"name": "c", "type": "datasource", "query": "loki"}, "loki"},
		"the only one that fits": {given(), obj{"name": "c", "type": "datasource", "query": "prometheus", "regex": "/EU$/"}, "prom-eu"},
	} {
		if got, err := filled(t, "$c", "prom", c.ref, c.v); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// What is not known for certain is refused.
func TestVariablesRefused(t *testing.T) {
	for _, c := range []struct {
		in, ds string
		ref    reference
		v      obj
		want   string
	}{
		{"$x", "prom", reference{}, one, "its variable $x is not one of the dashboard, and not one of Grafana's that is known here: write its value into the query"},
		{"$__rate_interval", "pg", reference{}, one, "its variable $__rate_interval is not one of the dashboard, and not one of Grafana's that is known here: write its value into the query"},
		{"${__user.login}", "prom", reference{}, one, "its variable $__user is not one of the dashboard, and not one of Grafana's that is known here: write its value into the query"},
		{"$c", "prom", reference{Variables: map[string]string{"d": "x"}}, one, `variables: the dashboard has no variable "d"`},
		{"$c", "es", reference{}, multi, "its variable $c has several values, or one with other characters than letters, digits and _, which this kind of data source may escape in its own way: name its format, like ${name:raw}"},
		{"$c", "es", reference{}, one, "its variable $c has several values, or one with other characters than letters, digits and _, which this kind of data source may escape in its own way: name its format, like ${name:raw}"},
		{"$c", "prom", reference{}, obj{"name": "c", "type": "textbox", "query": `a"b`}, "its variable $c has a value with a quote or a backslash, which versions of Grafana escape in different ways: name its format, like ${name:raw}"},
		{"${c:nope}", "prom", reference{}, one, `its variable $c is written in the format "nope", which is not known here`},
		{"${c.field}", "prom", reference{}, one, `its variable $c is asked for its field "field", which only a browser knows`},
		{"$c", "prom", reference{}, obj{"name": "c", "type": "query"}, "its variable $c has no saved value"},
		{"$c", "prom", reference{}, obj{"name": "c", "type": "system", "current": current("x")}, "its variable $c is of a kind that only a browser knows (system)"},
		{"$c", "prom", reference{}, obj{"name": "c", "type": "query", "current": current("$d")}, ""},
		{"$c", "prom", reference{}, obj{"name": "c", "type": "query", "current": current("$c")}, "its variable $c has a value that names another variable, $c, which is not filled in twice"},
		{"$c", "prom", reference{}, obj{"name": "c", "type": "query", "current": current("$__all")}, "its variable $c has no value for all of its options (includeAll is off)"},
		{"$c", "prom", reference{}, obj{"name": "c", "type": "query", "includeAll": true, "refresh": 1, "current": current("$__all")}, `its variable $c stands for all of its options, and those are looked up by the browser: give it a "custom all value", like .*`},
		{"$c", "prom", reference{}, obj{"name": "c", "type": "custom", "includeAll": true, "valuesFormat": "json", "query": `["a","b"]`, "current": current("$__all")}, `its variable $c stands for all of its options, and those are looked up by the browser: give it a "custom all value", like .*`},
		{"$c", "prom", reference{}, obj{"name": "c", "type": "datasource", "query": "prometheus"}, "its variable $c has no saved value, and there are 2 data sources of its type: give one under variables"},
		{"$c", "prom", reference{}, obj{"name": "c", "type": "datasource", "query": "prometheus", "current": current("gone")}, `its variable $c can't be resolved: its data source "gone" is not there (any more), or the credentials may not see it`},
		{"${__from:date:YYYY}", "prom", reference{}, one, `its variable $__from is written in the format "date:YYYY", which is not known here: use date:iso or date:seconds`},
	} {
		_, err := filled(t, c.in, c.ds, c.ref, c.v)
		if got := text0(err); got != c.want {
			t.Errorf("%s with %v: got\n\t%s\nwant\n\t%s", c.in, c.v, got, c.want)
		}
	}
}

func text0(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
