package grafana

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

// read decodes one result, and writes its samples as "labels value age".
func read(t testing.TB, raw string) ([]string, []string, error) {
	t.Helper()
	var r result
	if err := json.Unmarshal([]byte(raw), &r); err != nil {
		t.Fatal(err)
	}
	samples, warnings, err := r.samples(moment)
	var out []string
	for _, s := range samples {
		var labels []string
		for _, n := range slices.Sorted(maps.Keys(s.Labels)) {
			labels = append(labels, n+"="+s.Labels[n])
		}
		out = append(out, fmt.Sprintf("%s %v %s", strings.Join(labels, ","), s.Value, s.At.Sub(moment)))
	}
	return out, warnings, err
}

// frameOf writes one frame from its fields, `{"type":"time",…}`, and columns.
func frameOf(fields, values string) string {
	return `{"schema":{"fields":[` + fields + `]},"data":{"values":[` + values + `]}}`
}

func resultOf(frames ...string) string {
	return `{"status":200,"frames":[` + strings.Join(frames, ",") + `]}`
}

const (
	at    = `{"name":"Time","type":"time"}`
	v     = `{"name":"Value","type":"number"}`
	eu    = `{"name":"Value","type":"number","labels":{"cluster":"eu"}}`
	us    = `{"name":"Value","type":"number","labels":{"cluster":"us"}}`
	name  = `{"name":"cluster","type":"string"}`
	times = `[570000,600000]`
)

func TestFrames(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      []string
		err       string
	}{
		{"one of each series", resultOf(frameOf(at+","+eu, "[600000],[1]"), frameOf(at+","+us, "[600000],[2.5]")), []string{"cluster=eu 1 0s", "cluster=us 2.5 0s"}, ""},
		{"the newest counts", resultOf(frameOf(at+","+eu, times+",[1,2]")), []string{"cluster=eu 2 0s"}, ""},
		{"in any order", resultOf(frameOf(at+","+eu, "[600000,570000],[2,1]")), []string{"cluster=eu 2 0s"}, ""},
		{"nanoseconds", `{"frames":[{"schema":{"fields":[` + at + "," + v + `]},"data":{"values":[[600000],[1]],"nanos":[[250000],null]}}]}`, []string{" 1 250µs"}, ""},
		{"wide", resultOf(frameOf(at+","+eu+","+us, times+",[1,2],[3,4]")), []string{"cluster=eu 2 0s", "cluster=us 4 0s"}, ""},
		{"wide, where a join leaves null", resultOf(frameOf(at+","+eu+","+us, times+",[1,null],[null,4]")), []string{"cluster=eu 1 -30s", "cluster=us 4 0s"}, ""},
		{"wide, and one has nothing", resultOf(frameOf(at+","+eu+","+us, times+",[null,null],[3,4]")), []string{"cluster=eu NaN 0s", "cluster=us 4 0s"}, ""},
		{"wide by names", resultOf(frameOf(at+`,{"name":"a","type":"number"},{"name":"b","type":"number"}`, times+",[1,2],[3,4]")), []string{"field=a 2 0s", "field=b 4 0s"}, ""},
		{"a grid, whose newest step is not over", resultOf(frameOf(at+","+eu, "[420000,480000,540000,570000],[1,2,3,4]")), []string{"cluster=eu 3 -1m0s"}, ""},
		{"a grid, whose newest step is over", resultOf(frameOf(at+","+eu, "[420000,480000,540000],[1,2,3]")), []string{"cluster=eu 3 -1m0s"}, ""},
		{"a grid, whose newest step is not over and empty", resultOf(frameOf(at+","+eu, "[480000,540000,600000],[2,3,null]")), []string{"cluster=eu 3 -1m0s"}, ""},
		{"a grid with gaps", resultOf(frameOf(at+","+eu, "[120000,180000,420000,590000],[1,2,3,4]")), []string{"cluster=eu 3 -3m0s"}, ""},
		{"no grid", resultOf(frameOf(at+","+eu, "[420000,481234,540000,590000],[1,2,3,4]")), []string{"cluster=eu 4 -10s"}, ""},
		{"two values at one time", resultOf(frameOf(at+","+eu, "[540000,600000,600000],[1,2,3]")), nil, "the answer has two values of one series at one time: let the query tell its series apart"},
		{"the newest is null", resultOf(frameOf(at+","+eu, times+",[1,null]")), []string{"cluster=eu NaN 0s"}, ""},
		{"only null", resultOf(frameOf(at+","+eu, "[600000],[null]")), []string{"cluster=eu NaN 0s"}, ""},
		{"NaN", `{"frames":[{"schema":{"fields":[` + at + "," + v + `]},"data":{"values":[[600000],[null]],"entities":[null,{"NaN":[0]}]}}]}`, []string{" NaN 0s"}, ""},
		{"infinite", `{"frames":[{"schema":{"fields":[` + at + "," + v + `]},"data":{"values":[[600000],[null]],"entities":[null,{"NegInf":[0]}]}}]}`, []string{" -Inf 0s"}, ""},
		{"long", resultOf(frameOf(at+","+name+","+v, `[570000,600000,600000],["eu","eu","us"],[1,2,3]`)), []string{"cluster=eu 2 0s", "cluster=us 3 0s"}, ""},
		{"long, the newest is null", resultOf(frameOf(at+","+name+","+v, `[570000,600000],["eu","eu"],[1,null]`)), []string{"cluster=eu NaN 0s"}, ""},
		{"long, a name is null", resultOf(frameOf(at+","+name+","+v, `[600000],[null],[1]`)), []string{" 1 0s"}, ""},
		{"nothing", resultOf(), nil, ""},
		{"a frame of nothing", resultOf(`{"schema":{"fields":[]},"data":{"values":[]}}`), nil, ""},
		{"no rows", resultOf(frameOf(at+","+v, "[],[]")), nil, ""},
		{"an error", `{"status":500,"error":"boom","frames":[]}`, nil, "the data source says: boom"},
		{"a status alone", `{"status":504}`, nil, "the data source says: status 504"},
		{"no time", resultOf(frameOf(v, "[1]")), nil, errNoTime.Error()},
		{"no numbers", resultOf(frameOf(at+","+name, `[600000],["x"]`)), nil, errNumbers.Error()},
		{"two times", resultOf(frameOf(at+","+at+","+v, "[1],[1],[1]")), nil, "the answer has several fields of times: let the query select one"},
		{"a truth", resultOf(frameOf(at+`,{"name":"b","type":"boolean"}`, "[1],[true]")), nil, `the answer has a field of type "boolean", which is no value: let the query select a time and numbers`},
		{"log lines", resultOf(frameOf(at+`,{"name":"labels","type":"other"},`+name, `[1],[{}],["x"]`)), nil, `the answer has a field of type "other", which is no value: let the query select a time and numbers`},
		{"long, with two numbers", resultOf(frameOf(at+","+name+","+v+","+v, `[1],["x"],[1],[1]`)), nil, "the answer has several fields of numbers beside fields of strings: let the query select one"},
		{"a series twice", resultOf(frameOf(at+","+eu, "[600000],[1]"), frameOf(at+","+eu, "[600000],[2]")), nil, "the answer has two series with the same labels, which can't be told apart"},
		{"columns of two lengths", resultOf(frameOf(at+","+v, times+",[1]")), nil, errFrames.Error()},
		{"a column is missing", resultOf(frameOf(at+","+v, times)), nil, errFrames.Error()},
		{"a text for a number", resultOf(frameOf(at+","+v, `[1],["1"]`)), nil, errFrames.Error()},
		{"no time in a row", resultOf(frameOf(at+","+v, `[null],[1]`)), nil, errNoTime.Error()},
		{"a time that is none", resultOf(frameOf(at+","+v, `[1e300],[1]`)), nil, errFrames.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := read(t, c.raw)
			if text0(err) != c.err || !slices.Equal(got, c.want) {
				t.Errorf("got %q, %v, want %q, %q", got, err, c.want, c.err)
			}
		})
	}
}

func TestTooMuch(t *testing.T) {
	many := make([]string, maxSeries+1)
	for i := range many {
		many[i] = frameOf(at+`,{"name":"Value","type":"number","labels":{"n":"`+fmt.Sprint(i)+`"}}`, "[600000],[1]")
	}
	if _, _, err := read(t, resultOf(many...)); err == nil || err.Error() != "the answer holds more than 20000 series: aggregate in the query" {
		t.Errorf("got %v", err)
	}
	long := "[" + strings.TrimSuffix(strings.Repeat("1,", maxRows+1), ",") + "]"
	if _, _, err := read(t, resultOf(frameOf(at+","+v, long+","+long))); err == nil || err.Error() != "the answer holds more than 500000 values: let the panel ask for fewer" {
		t.Errorf("got %v", err)
	}
}

// Data sources other than Prometheus tell the time of their values.
func TestOtherDatasources(t *testing.T) {
	for _, c := range []struct {
		name, unit string
		ds         standin.Datasource
		target     obj
		want       []string
	}{
		{
			"SQL", "ms", rows("pg", "grafana-postgresql-datasource", []any{moment.Add(-time.Minute), moment.Add(-15 * time.Second)}, []any{5.0, 250.0}),
			obj{"refId": "A", "rawSql": "SELECT $__time(at), lag, cluster FROM lag WHERE $__timeFilter(at)", "format": "time_series"},
			[]string{"breached: db/eu: 250ms, above 100ms"},
		},
		{
			"SQL that is old", "ms", rows("pg", "grafana-postgresql-datasource", []any{moment.Add(-2 * time.Minute)}, []any{5.0}),
			obj{"refId": "A", "rawSql": "SELECT $__time(at), lag, cluster FROM lag"},
			[]string{"unknown: db/eu: unknown, a sample behind it is 2m0s old, and at most 1m15s is fresh"},
		},
		{
			"SQL of the future", "ms", rows("pg", "grafana-postgresql-datasource", []any{moment.Add(time.Minute)}, []any{5.0}),
			obj{"refId": "A", "rawSql": "SELECT $__time(at), lag, cluster FROM lag"},
			[]string{"unknown: db/eu: unknown, its sample is 1m0s in the future"},
		},
		{
			"SQL with NULL", "ms", rows("pg", "grafana-postgresql-datasource", []any{moment}, []any{nil}),
			obj{"refId": "A", "rawSql": "SELECT $__time(at), lag, cluster FROM lag"},
			[]string{"unknown: db/eu: unknown, the value is not a number"},
		},
		{
			"logs", "s", rows("loki", "loki", []any{moment}, []any{0.01}),
			obj{"refId": "A", "expr": `sum by (cluster) (rate({app="db"} |= "slow" [5m]))`},
			[]string{"clear: db/eu: 10ms, below 80ms"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			h.SetDatasources(c.ds)
			p := with(panelOf(7, "Replication lag", ""), obj{"datasource": obj{"uid": c.ds.UID}, "fieldConfig": obj{"defaults": obj{"unit": c.unit}}, "targets": []obj{c.target}})
			h.SetDashboards(prod(p))
			check(t, says(h.round(h.detector(lagKeys), nil)), c.want...)
		})
	}
}

// rows is a data source that answers one frame of cluster eu.
func rows(uid, kind string, times, values []any) standin.Datasource {
	return standin.Datasource{UID: uid, Name: uid, Type: kind, URL: "http://" + uid, Answer: func(standin.Query) standin.Result {
		return standin.Result{Frames: []standin.Frame{{Fields: []standin.Field{
			{Name: "Time", Type: "time", Values: times}, {Name: "lag", Type: "number", Labels: map[string]string{"cluster": "eu"}, Values: values},
		}}}}
	}}
}
