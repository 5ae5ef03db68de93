package grafana

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

func check(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// The panel's query is evaluated by Prometheus' own engine; what counts is the
// time of the samples behind it.
func TestPanel(t *testing.T) {
	for _, c := range []struct {
		name, series, expr string
		want               []string
	}{
		{
			"one cluster is ill", "lag{cluster=\"eu\",pod=\"a\"} 0x39 0.25\nlag{cluster=\"us\",pod=\"b\"} 0x40", "max by (cluster) (lag)",
			[]string{"breached: db/eu: 250ms, above 100ms", "clear: db/us: 0s, below 80ms"},
		},
		{
			"the exporter stopped, and the look-back still shows it", `lag{cluster="eu"} 0x32`, "max by (cluster) (lag)",
			[]string{"unknown: db/eu: unknown, a sample behind it is 2m0s old, and at most 1m15s is fresh"},
		},
		{
			"a rate outlives its exporter", `errors{cluster="eu"} 0+1x36 stale`, "sum by (cluster) (rate(errors[5m]))",
			[]string{"unknown: db/eu: unknown, no present sample stands behind the value"},
		},
		{
			"nothing is there", `other 1x40`, "lag",
			[]string{"unknown: replication-lag: unknown, the panel's query has an empty answer"},
		},
		{
			"a NaN", `lag{cluster="eu"} 0x39 NaN`, "lag",
			[]string{"unknown: db/eu: unknown, the value is not a number"},
		},
		{
			"infinite", `lag{cluster="eu"} 0x39 Inf`, "lag",
			[]string{"unknown: db/eu: unknown, the value is infinite"},
		},
		{
			"no label for the subject", `lag 1x40`, "lag",
			[]string{"unknown: db/: unknown, the label cluster, which its subject is made of, is missing or empty"},
		},
		{
			"nothing behind or vector(0)", `other 1x40`, `label_replace(lag or vector(0), "cluster", "eu", "", "")`,
			[]string{"unknown: db/eu: unknown, no present sample stands behind the value"},
		},
		{
			"the data source refuses it", `lag{cluster="eu"} 1x40`, `label_replace(lag, "cluster", "$1", "pod", "(")`,
			[]string{`unknown: replication-lag: unknown, dashboard "DB/Prod", panel "Replication lag": its query: HTTP 400 Bad Request: ` +
				`execution: invalid regular expression in label_replace(): (`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			h.SetDatasources(promDS(t, c.series))
			h.SetDashboards(prod(panelOf(7, "Replication lag", c.expr)))
			got := says(h.round(h.detector(lagKeys), nil))
			slices.Sort(got)
			check(t, got, c.want...)
		})
	}
}

// A reading tells who measured it, where to look and how far back it reaches.
func TestReading(t *testing.T) {
	h := newHouse(t)
	h.SetDatasources(promDS(t, `lag{cluster="eu",pod="a"} 0x38 0.25`))
	h.SetDashboards(prod(panelOf(7, "Replication lag", "max by (cluster) (max_over_time(lag[2m]))")))
	readings := h.round(h.detector(lagKeys+"max_age: 20s"), nil)
	if len(readings) != 1 {
		t.Fatalf("got %v", readings)
	}
	r := readings[0]
	want := signalbox.Reading{
		Detector: "replication-lag", Series: kind.SeriesID(map[string]string{"cluster": "eu"}), Subject: "db/eu", Labels: map[string]string{"cluster": "eu"},
		Condition: signalbox.Breached, Value: 0.25, HasValue: true, Unit: "s", Threshold: "above 100ms", Window: 2 * time.Minute,
		SampleAt: moment.Add(-15 * time.Second), At: moment, Origin: "prometheus:prometheus:9090", Confirmed: true, Owner: "devops",
		Summary: "db/eu: 250ms, above 100ms",
		Links:   []signalbox.Link{{Text: "Prod: Replication lag", Href: h.url + "/d/db-prod?viewPanel=7"}},
	}
	if fmt.Sprintf("%+v", r) != fmt.Sprintf("%+v", want) {
		t.Errorf("got\n%+v\nwant\n%+v", r, want)
	}
	// A series that the panel does not show any more is Unknown, with what is
	// known of it, and a value between the thresholds keeps its condition.
	h.SetDatasources(promDS(t, `lag{cluster="us",pod="a"} 0.09x40`))
	was := bySeries(readings)
	check(t, says(h.round(h.detector(lagKeys), was)),
		"clear: db/us: 90ms, not above 100ms", "unknown: db/eu: unknown, the panel does not show the series any more")
	h.SetDatasources(promDS(t, `lag{cluster="eu",pod="a"} 0.09x40`))
	check(t, says(h.round(h.detector(lagKeys), was)), "breached: db/eu: 90ms, not yet below 80ms")
}

// Warnings of the data source mean that data may be missing; hints do not.
func TestNotices(t *testing.T) {
	for severity, want := range map[string]string{
		"warning": "unknown: replication-lag: unknown, the answer may be partial: store b is not reachable",
		"info":    "breached: db/eu: 1s, above 100ms",
	} {
		h := newHouse(t)
		ds := promDS(t, `lag{cluster="eu"} 1x40`)
		answer := ds.Answer
		ds.Answer = func(q standin.Query) standin.Result {
			r := answer(q)
			for i := range r.Frames {
				r.Frames[i].Notices = []standin.Notice{{Severity: severity, Text: "store b is not reachable"}}
			}
			return r
		}
		h.SetDatasources(ds)
		h.SetDashboards(prod(panelOf(7, "Replication lag", "lag")))
		check(t, says(h.round(h.detector(lagKeys), nil)), want)
	}
}

// A hundred detectors of a dashboard, asked for five minutes, read it once a
// minute.
func TestDefinitionsAreReadAtABoundedRate(t *testing.T) {
	h := newHouse(t)
	h.SetDatasources(steady)
	var panels []obj
	var qs []signalbox.Question
	for i := range 100 {
		title := fmt.Sprintf("Lag %d", i)
		panels = append(panels, panelOf(i+1, title, "lag"))
		qs = append(qs, h.detector(fmt.Sprintf("panel: {dashboard: DB/Prod, panel: %q}\nunit: s\nbreach: {above: 1s}", title)).Questions()...)
	}
	h.SetDashboards(prod(panels...))
	for ; h.now.Before(moment.Add(5 * time.Minute)); h.now = h.now.Add(15 * time.Second) {
		var rounds sync.WaitGroup
		for _, part := range [][]signalbox.Question{qs[:50], qs[50:]} { // detectors are asked apart
			rounds.Go(func() {
				for _, a := range h.source.Ask(t.Context(), part, h.now) {
					if a.Err != nil {
						t.Error(a.Err)
					}
				}
			})
		}
		rounds.Wait()
	}
	for _, c := range []struct {
		what string
		want int
	}{
		{"GET /api/search", 2 * 5}, // for "DB/Prod", and for "Prod" in DB
		{"GET /api/dashboards/uid/db-prod", 5},
		{"GET /api/datasources", 5},
		{"POST /api/ds/query", 100 * 20},
	} {
		if got := h.Requests(c.what); got != c.want {
			t.Errorf("%s: %d requests, want %d", c.what, got, c.want)
		}
	}
}

// The dashboard and its panel are found by what people call them.
func TestNames(t *testing.T) {
	library := panelOf(5, "", "lag")
	delete(library, "targets")
	library["libraryPanel"] = obj{"uid": "lib1", "name": "lag-library"}
	nested := obj{"id": 20, "type": "row", "title": "More", "collapsed": true, "panels": []any{panelOf(21, "In a closed row", "lag")}}
	rest := []obj{
		panelOf(2, "Replication lag", "lag"), library, nested, panelOf(30, "Twice", "lag"), panelOf(31, "Twice", "lag * 2"),
		{"id": 40, "type": "row", "title": "Open", "panels": []any{}},
		panelOf(41, "In an open row", "lag"),
	}
	old := standin.Dashboard{UID: "old", Title: "Old", Model: modelOf(obj{"rows": []any{obj{"panels": []any{panelOf(1, "In rows", "lag")}}}})}
	for _, c := range []struct{ dashboard, panel, want string }{
		{"DB/Prod", "Replication lag", ""},
		{"Prod", "Replication lag", ""},
		{"db-prod", "2", ""},
		{"DB/Prod", "In a closed row", ""},
		{"DB/Prod", "In an open row", ""},
		{"DB/Prod", "lag-library", ""},
		{"DB/Prod", "Lag of all", ""},
		{"General/Old", "In rows", ""},
		{"Old", "In rows", ""},
		{"a/b", "In a slash", ""},
		{"Same", "x", `2 dashboards have that name: write the uid of the one that is meant, or its folder before it: "A/Same" (uid s1), "B/Same" (uid s2)`},
		{"A/Same", "x", ""},
		{"s2", "x", ""},
		{"taken", "x", `2 dashboards have that name: write the uid of the one that is meant, or its folder before it: "A/taken" (uid t1), "General/Other" (uid taken)`},
		{"None", "x", "the dashboard is not there (any more), or the credentials may not see it"},
		{"DB/Prod", "Twice", `2 panels have that name: write the number of the one that is meant, or its row before it: "More/Twice" (30), "More/Twice" (31)`},
		{"Same2", "y", `there is no such panel; there are "x" (1)`},
	} {
		t.Run(c.dashboard+" "+c.panel, func(t *testing.T) {
			h := newHouse(t)
			h.SetDatasources(steady)
			h.SetLibraries(standin.Library{UID: "lib1", Name: "lag-library", Kind: 1, Model: modelOf(panelOf(1, "Lag of all", "lag"))})
			h.SetDashboards(
				prod(rest...), old, boardOf("slash", "a/b", "", panelOf(1, "In a slash", "lag")), boardOf("s1", "Same", "A", panelOf(1, "x", "lag")),
				boardOf("s2", "Same", "B", panelOf(1, "x", "lag")), boardOf("t1", "taken", "A", panelOf(1, "x", "lag")),
				boardOf("taken", "Other", "", panelOf(1, "x", "lag")), boardOf("same2", "Same2", "", panelOf(1, "x", "lag")),
			)
			ref := reference{Dashboard: c.dashboard, Panel: c.panel, Unit: "s"}
			a := h.source.Ask(t.Context(), []signalbox.Question{{Query: ref.encode()}}, h.now)[0]
			got := ""
			if a.Err != nil {
				got = strings.TrimPrefix(a.Err.Error(), ref.place()+": ")
			}
			if got != c.want || a.Err == nil && len(a.Samples) != 2 {
				t.Errorf("got %q with %d samples, want %q", got, len(a.Samples), c.want)
			}
		})
	}
}

// Variables that the detector gives stand in place of the saved ones, and a
// variable chooses the data source, and so who measures.
func TestVariablesOfADetector(t *testing.T) {
	h := newHouse(t)
	second := withUID(promDS(t, "lag{cluster=\"eu\"} 3x40\nlag{cluster=\"us\"} 4x40"), "prom2", "Second")
	h.SetDatasources(promDS(t, "lag{cluster=\"eu\"} 1x40\nlag{cluster=\"us\"} 2x40"), second)
	p := with(panelOf(7, "Replication lag", `max by (cluster) (lag{cluster=~"$cluster"})`), obj{"datasource": obj{"type": "prometheus", "uid": "${ds}"}})
	h.SetDashboards(standin.Dashboard{UID: "db-prod", Title: "Prod", Folder: "DB", Model: modelOf(obj{
		"panels": []obj{p}, "templating": variables(
			obj{"name": "ds", "type": "datasource", "query": "prometheus", "current": current("prom")},
			obj{"name": "cluster", "type": "query", "multi": true, "includeAll": true, "allValue": ".*", "current": current([]string{"eu"})},
		),
	})})
	for given, want := range map[string][]string{
		"{}":                            {"breached: db/eu: 1s, above 100ms"},
		"{cluster: us}":                 {"breached: db/us: 2s, above 100ms"},
		"{cluster: 'us,eu'}":            {"breached: db/eu: 1s, above 100ms", "breached: db/us: 2s, above 100ms"},
		"{cluster: $__all}":             {"breached: db/eu: 1s, above 100ms", "breached: db/us: 2s, above 100ms"},
		"{cluster: $__all, ds: Second}": {"breached: db/eu: 3s, above 100ms", "breached: db/us: 4s, above 100ms"},
		"{region: x}":                   {`unknown: replication-lag: unknown, dashboard "DB/Prod", panel "Replication lag": variables: the dashboard has no variable "region"`},
	} {
		readings := h.round(h.detector("panel: {dashboard: DB/Prod, panel: Replication lag, variables: "+given+"}\nunit: s\nbreach: {above: 100ms}"), nil)
		got := says(readings)
		slices.Sort(got)
		check(t, got, want...)
		origin := "prometheus:prometheus:9090"
		if strings.Contains(given, "Second") {
			origin = "prometheus:second:9090"
		}
		link := map[string]string{
			"{cluster: 'us,eu'}":            "&var-cluster=us&var-cluster=eu&viewPanel=7",
			"{cluster: $__all, ds: Second}": "&var-cluster=%24__all&var-ds=Second&viewPanel=7",
		}[given]
		if link != "" && strings.Replace(readings[0].Links[0].Href, "?", "&", 1) != h.url+"/d/db-prod"+link {
			t.Errorf("%s: link %q", given, readings[0].Links)
		}
		if readings[0].Condition != signalbox.Unknown && readings[0].Origin != origin {
			t.Errorf("%s: origin %q", given, readings[0].Origin)
		}
	}
}
