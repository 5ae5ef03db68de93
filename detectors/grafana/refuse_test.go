package grafana

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// with is a panel with some other keys, at any depth of one.
func with(p obj, keys obj) obj {
	out := obj{}
	for k, v := range p {
		out[k] = v
	}
	for k, v := range keys {
		out[k] = v
	}
	return out
}

func targets(list ...obj) obj { return obj{"targets": list} }

// What can't be resolved for certain is refused, with what to write instead.
func TestRefused(t *testing.T) {
	lag := panelOf(1, "Lag", "lag")
	prom := func(keys obj) obj { return with(obj{"refId": "A", "expr": "lag"}, keys) }
	for _, c := range []struct {
		name  string
		panel obj
		ref   reference
		want  string
	}{
		{"good", lag, reference{}, ""},
		{"repeated", with(lag, obj{"repeat": "cluster"}), reference{}, "it is repeated for each value of $cluster, so that it is not one panel: make one that isn't, with the variable's values in its query, or write the query in a detector on its data source"},
		{"transformed", with(lag, obj{"transformations": []obj{{"id": "reduce"}}}), reference{}, `it changes its values by the transformation "reduce", which happens in the browser only: do it in the query, or write the query in a detector on its data source`},
		{"a transformation that is off", with(lag, obj{"transformations": []obj{{"id": "reduce", "disabled": true}}}), reference{}, ""},
		{"shifted", with(lag, obj{"timeShift": "1h"}), reference{}, "it is shifted back in time by 1h, so that it does not show the present: make one that isn't, or write the query in a detector on its data source"},
		{"mixed", with(lag, obj{"datasource": obj{"type": "datasource", "uid": "-- Mixed --"}}), reference{}, "it mixes data sources: make a panel with one, or write the query in a detector on its data source"},
		{"mixed, by its old name", with(lag, obj{"datasource": "-- Mixed --"}), reference{}, "it mixes data sources: make a panel with one, or write the query in a detector on its data source"},
		{"of another panel", with(lag, obj{"datasource": obj{"type": "datasource", "uid": "-- Dashboard --"}}), reference{}, "it shows the answers of another panel: name that one"},
		{"Grafana's own", with(lag, obj{"datasource": obj{"type": "datasource", "uid": "grafana"}}), reference{}, "it shows Grafana's own data, which is no measurement: name another panel"},
		{
			"an expression", with(lag, targets(prom(obj{"hide": true}), obj{"refId": "B", "type": "math", "expression": "$A * 2", "datasource": obj{"type": "__expr__", "uid": "__expr__"}})),
			reference{},
			"its query B is an expression on other queries: name one of those, or write the expression in its data source's language",
		},
		{"two queries", with(lag, targets(prom(nil), prom(obj{"refId": "B"}))), reference{}, "it has several queries: write which one is meant, query: one of A, B"},
		{"two queries, one named", with(lag, targets(prom(nil), prom(obj{"refId": "B"}))), reference{Query: "B"}, ""},
		{"no such query", with(lag, targets(prom(nil))), reference{Query: "C"}, "it has no query C; it has A"},
		{"a hidden one", with(lag, targets(prom(obj{"hide": true}), prom(obj{"refId": "B"}))), reference{Query: "A"}, "its query A is hidden, so that the panel does not show it: show it, or name another"},
		{"the one that is shown", with(lag, targets(prom(obj{"hide": true}), prom(obj{"refId": "B"}))), reference{}, ""},
		{"none", with(lag, targets()), reference{}, "it has no query that is shown"},
		{"an empty one", with(lag, targets(obj{"refId": "A", "expr": " "})), reference{}, "its query is empty"},
		{"a heatmap", with(lag, targets(prom(obj{"format": "heatmap"}))), reference{}, "its query is for a heatmap, which has buckets and no values: write a query that gives the value"},
		{"a comparison", with(lag, targets(prom(obj{"expr": "lag > 5"}))), reference{}, "its query must not end in a comparison, since its empty answer would not prove health: let the query give the value, and put the threshold into breach"},
		{"no PromQL", with(lag, targets(prom(obj{"expr": "lag{"}))), reference{}, "its query must be PromQL: 1:5: parse error: unexpected end of input inside braces"},
		{"a constant", with(lag, targets(prom(obj{"expr": "vector(1)"}))), reference{}, "its query must select a metric: a value without samples behind it proves nothing"},
		{"an unknown data source", with(lag, obj{"datasource": obj{"type": "prometheus", "uid": "gone"}}), reference{}, `its data source "gone" is not there (any more), or the credentials may not see it`},
		{"a data source by name", with(lag, obj{"datasource": "Prometheus EU"}), reference{}, ""},
		{"the default one", with(lag, obj{"datasource": nil}), reference{}, ""},
		{"the default one, by its word", with(lag, obj{"datasource": obj{"uid": "default"}}), reference{}, ""},
		{"by a type of which there is one", with(lag, obj{"datasource": obj{"type": "loki"}, "targets": []obj{{"refId": "A", "expr": "sum(count_over_time({a=\"b\"}[5m]))"}}}), reference{}, ""},
		{"by a type of which there is none", with(lag, obj{"datasource": obj{"type": "influxdb"}}), reference{}, "it names no data source, 0 are of type influxdb and the default one is not: choose one in the panel"},
		{"of another type", with(lag, obj{"datasource": obj{"type": "loki", "uid": "prom"}}), reference{}, `its data source "Prometheus" is of type prometheus, and the panel is made for loki`},
		{"log lines", with(lag, obj{"datasource": obj{"uid": "loki"}, "targets": []obj{{"refId": "A", "expr": `{app="x"} |= "[error]"`}}}), reference{}, "its query gives log lines, which have no value: count them, as in count_over_time({…}[5m])"},
		{"logs with gaps filled", with(lag, obj{"datasource": obj{"uid": "loki"}, "targets": []obj{{"refId": "A", "expr": `sum(rate({app="x"}[5m])) or vector(0)`}}}), reference{}, "its query fills gaps by vector(), which looks like health where nothing is measured: leave it out"},
		{"a range that is not understood", with(lag, obj{"datasource": obj{"uid": "loki"}, "targets": []obj{{"refId": "A", "expr": `rate({app="x"}[a])`}}}), reference{}, `its query has a range or an offset "a", which is not understood here: write it like 5m`},
		{"another unit", with(lag, obj{"fieldConfig": obj{"defaults": obj{"unit": "bytes"}}}), reference{}, `its unit is "bytes", which is one of bytes, and the thresholds are in time: write unit: B and thresholds in it`},
		{"no unit", with(lag, obj{"fieldConfig": obj{}}), reference{}, `its unit is "none", and the thresholds are in time: give the panel its unit, or the thresholds none`},
		{"an unknown unit", with(lag, obj{"fieldConfig": obj{"defaults": obj{"unit": "furlongs"}}}), reference{}, `its unit "furlongs" is not known here: give it another, or write the query in a detector on its data source`},
		{
			"fields of different units", with(lag, obj{"fieldConfig": obj{"defaults": obj{"unit": "s"}, "overrides": []obj{{"matcher": obj{"id": "byName", "options": "x"}, "properties": []obj{{"id": "unit", "value": "ms"}}}}}}),
			reference{},
			`it shows some fields in another unit (an override with unit "ms"), so that the unit of its values can't be known for certain: give all of them one unit`,
		},
		{"a model of another shape", with(lag, obj{"targets": 5}), reference{}, "its model can't be read: json: cannot unmarshal number into Go struct field panelModel.targets of type []grafana.target"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.ref.Unit = "s"
			_, err := resolved(t, obj{"panels": []obj{c.panel}}, c.ref)
			if got := text0(err); got != c.want {
				t.Errorf("got\n\t%s\nwant\n\t%s", got, c.want)
			}
		})
	}
}

// What is refused for the dashboard's sake.
func TestDashboardRefused(t *testing.T) {
	lag := panelOf(1, "Lag", "lag")
	sql := with(lag, obj{"datasource": obj{"uid": "pg"}, "targets": []obj{{"refId": "A", "rawSql": "SELECT now() AS time, 1"}}})
	range0 := obj{"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
	const noRange = "its time range can't be told for certain: let the dashboard be saved with a relative one that ends now, like now-6h to now"
	for _, c := range []struct {
		name  string
		model obj
		want  string
	}{
		{"in a repeated row", obj{"panels": []obj{{"id": 9, "type": "row", "repeat": "dc"}, lag}}, "it is repeated for each value of $dc, so that it is not one panel: make one that isn't, with the variable's values in its query, or write the query in a detector on its data source"},
		{"in a repeated closed row", obj{"panels": []obj{{"id": 9, "type": "row", "repeat": "dc", "collapsed": true, "panels": []obj{lag}}}}, "it is repeated for each value of $dc, so that it is not one panel: make one that isn't, with the variable's values in its query, or write the query in a detector on its data source"},
		{"after a repeated row", obj{"panels": []obj{{"id": 9, "type": "row", "repeat": "dc"}, {"id": 10, "type": "row"}, lag}}, ""},
		{"elements of v2", obj{"panels": []obj{lag}, "elements": obj{"a": obj{}}}, errSchema2.Error()},
		{"filters", obj{"panels": []obj{lag}, "templating": variables(obj{"name": "f", "type": "adhoc", "datasource": obj{"uid": "prom"}, "filters": []obj{{"key": "a", "operator": "=", "value": "b"}}})}, "the dashboard is saved with filters (variable $f), which change its queries in the browser only: save it without, or write them into the query"},
		{"filters of another data source", obj{"panels": []obj{lag}, "templating": variables(obj{"name": "f", "type": "adhoc", "datasource": obj{"uid": "loki"}, "filters": []obj{{"key": "a", "operator": "=", "value": "b"}}})}, ""},
		{"no filters", obj{"panels": []obj{lag}, "templating": variables(obj{"name": "f", "type": "adhoc", "filters": []obj{}})}, ""},
		{"a fixed range, on which nothing depends", obj{"panels": []obj{lag}, "time": range0}, ""},
		{"a fixed range, of which the query makes use", obj{"panels": []obj{panelOf(1, "Lag", "rate(lag[$__range])")}, "time": range0}, "its variable $__range " + noRange},
		{"a fixed range, over which SQL gathers", obj{"panels": []obj{sql}, "time": range0}, noRange},
		{"a range by day", obj{"panels": []obj{sql}, "time": obj{"from": "now/d", "to": "now/d"}}, noRange},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := resolved(t, c.model, reference{Unit: "s"})
			if got := text0(err); got != c.want {
				t.Errorf("got\n\t%s\nwant\n\t%s", got, c.want)
			}
		})
	}
}

// What a value reaches back to counts when it is used as proof.
func TestWindow(t *testing.T) {
	for _, c := range []struct {
		ds, query string
		want      time.Duration
	}{
		{"prom", "lag", 0},
		{"prom", "rate(lag[$__rate_interval])", time.Minute},
		{"loki", `sum(rate({a="[7h]"}[5m] offset 1m)) / sum(rate({a="b"}[1h]))`, time.Hour + time.Minute},
		{"pg", "SELECT now() AS time, 1", 5 * time.Minute},
	} {
		p := with(panelOf(1, "Lag", c.query), obj{"datasource": obj{"uid": c.ds}})
		if c.ds == "pg" {
			p["targets"] = []obj{{"refId": "A", "rawSql": c.query}}
		}
		got, err := resolved(t, obj{"panels": []obj{p}}, reference{Unit: "s"})
		if err != nil || got.window != c.want {
			t.Errorf("%s: got %+v, %v, want %s", c.query, got, err, c.want)
		}
	}
}

// A panel's unit becomes the one that the thresholds are in.
func TestUnits(t *testing.T) {
	for _, c := range []struct {
		unit, want string
		factor     float64
	}{
		{"ms", "s", 1e-3},
		{"dtdurations", "s", 1},
		{"µs", "s", 1e-6},
		{"m", "s", 60},
		{"percent", "", 0.01},
		{"percentunit", "", 1},
		{"", "", 1},
		{"short", "", 1},
		{"reqps", "", 1},
		{"suffix: jobs", "", 1},
		{"celsius", "", 1},
		{"bytes", "B", 1},
		{"bits", "B", 0.125},
		{"mbytes", "B", 1 << 20},
		{"decmbytes", "B", 1e6},
	} {
		p := with(panelOf(1, "Lag", "lag"), obj{"fieldConfig": obj{"defaults": obj{"unit": c.unit}}})
		got, err := resolved(t, obj{"panels": []obj{p}}, refUnit(c.want))
		if err != nil || got.factor != c.factor {
			t.Errorf("%s: got %+v, %v, want %v", c.unit, got, err, c.factor)
		}
	}
	for name, p := range map[string]obj{
		"of the query": {"fieldConfig": obj{"defaults": obj{"unit": "s"}, "overrides": []obj{{"matcher": obj{"id": "byFrameRefID", "options": "A"}, "properties": []obj{{"id": "unit", "value": "ms"}}}}}},
		"of an axis":   {"fieldConfig": obj{}, "yaxes": []obj{{"format": "ms"}, {"format": "short"}}},
		"of a stat":    {"fieldConfig": obj{}, "format": "ms"},
	} {
		got, err := resolved(t, obj{"panels": []obj{with(panelOf(1, "Lag", "lag"), p)}}, refUnit("s"))
		if err != nil || got.factor != 1e-3 {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func refUnit(u string) reference { return reference{Unit: signalbox.Unit(u)} }
