package grafana

import (
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

const lagExpr = "max by (cluster) (lag)"

// story is a house in which time goes on by a minute a step, so that each step
// reads the definitions anew.
func story(t *testing.T) (*house, func() []string) {
	h := newHouse(t)
	h.SetDatasources(promDS(t, "lag{cluster=\"eu\"} 0.25x400\nother{cluster=\"eu\"} 0.5x400"), withUID(promDS(t, `lag{cluster="eu"} 0.25x400`), "prom2", "Second"))
	h.SetDashboards(prod(panelOf(7, "Replication lag", lagExpr)))
	d, was := h.detector(lagKeys), map[string]signalbox.Reading{}
	return h, func() []string {
		h.now = h.now.Add(time.Minute)
		readings := h.round(d, was)
		was = bySeries(readings)
		return says(readings)
	}
}

func withUID(d standin.Datasource, uid, name string) standin.Datasource {
	d.UID, d.Name, d.Default, d.URL = uid, name, false, "http://second:9090"
	return d
}

// Whatever a value depends on is told when it changes, once in the log and for a
// day in the summaries.
func TestChange(t *testing.T) {
	const ill = "breached: db/eu: 250ms, above 100ms"
	for name, c := range map[string]struct {
		panel obj
		want  string
	}{
		"the query":       {panel: panelOf(7, "Replication lag", "max by (cluster) (other) / 2"), want: `its query was "max by (cluster) (lag)", and is "max by (cluster) (other) / 2"`},
		"the data source": {panel: with(panelOf(7, "Replication lag", lagExpr), obj{"datasource": obj{"uid": "prom2"}}), want: `its data source was "Prometheus (prom at prometheus:9090)", and is "Second (prom2 at second:9090)"`},
		"the unit":        {panel: with(panelOf(7, "Replication lag", lagExpr), obj{"fieldConfig": obj{"defaults": obj{"unit": "dtdurations"}}}), want: `its unit was "s", and is "dtdurations"`},
		"its settings":    {panel: with(panelOf(7, "Replication lag", lagExpr), targets(obj{"refId": "A", "expr": lagExpr, "scope": obj{"a": "b"}})), want: "its query has other settings"},
	} {
		t.Run(name, func(t *testing.T) {
			h, step := story(t)
			check(t, step(), ill)
			check(t, step(), ill)
			h.SetDashboards(prod(c.panel))
			changed := ill + "; the panel changed by 1970-01-01 00:13 UTC: " + c.want
			check(t, step(), changed)
			check(t, step(), changed)
			log := h.log.String()
			if strings.Count(log, "the panel changed") != 1 || !strings.Contains(log, "detectors=replication-lag") ||
				!strings.Contains(log, strings.ReplaceAll(c.want, `"`, `\"`)) {
				t.Errorf("the log says %s", log)
			}
		})
	}
}

// What is drawn, and what is not of this panel, is no change.
func TestNoChange(t *testing.T) {
	h, step := story(t)
	step()
	p := with(panelOf(7, "Replication lag", lagExpr), obj{"gridPos": obj{"x": 1}, "description": "new", "options": obj{"legend": true}})
	p["targets"] = []any{obj{"refId": "A", "expr": lagExpr, "legendFormat": "other", "editorMode": "code", "exemplar": true}}
	h.SetDashboards(prod(panelOf(8, "Another", "other"), p))
	check(t, step(), "breached: db/eu: 250ms, above 100ms")
	if log := h.log.String(); log != "" {
		t.Errorf("the log says %s", log)
	}
}

// A variable's saved value is a part of the panel.
func TestChangeOfVariables(t *testing.T) {
	h, step := story(t)
	board := func(value, title string) standin.Dashboard {
		return standin.Dashboard{UID: "db-prod", Title: title, Folder: "DB", Model: modelOf(obj{
			"panels":     []obj{panelOf(7, "Replication lag", `max by (cluster) (lag{cluster="$cluster"})`)},
			"templating": variables(obj{"name": "cluster", "type": "custom", "query": "eu,us", "current": current(value)}, obj{"name": "unused", "type": "constant", "query": value}),
		})}
	}
	h.SetDashboards(board("eu", "Prod"))
	check(t, step(), "breached: db/eu: 250ms, above 100ms")
	h.SetDashboards(board("us", "Prod"))
	check(t, step(), "unknown: db/eu: unknown, the panel's query has an empty answer; the panel changed by 1970-01-01 00:12 UTC: its variable $cluster was \"eu\", and is \"us\"",
		"unknown: replication-lag: unknown, the panel's query has an empty answer; the panel changed by 1970-01-01 00:12 UTC: its variable $cluster was \"eu\", and is \"us\"")
}

// What vanishes is Unknown, with what is known of it, and is told once; when it
// is back it is judged again.
func TestVanish(t *testing.T) {
	const ill, place = "breached: db/eu: 250ms, above 100ms", `dashboard "DB/Prod", panel "Replication lag": `
	lag := panelOf(7, "Replication lag", lagExpr)
	for name, c := range map[string]struct {
		then []standin.Dashboard
		want string
	}{
		"the dashboard":                {nil, "the dashboard is not there (any more), or the credentials may not see it"},
		"the panel":                    {[]standin.Dashboard{prod(panelOf(8, "Another", "lag"))}, `there is no such panel; there are "Another" (8)`},
		"the panel's name":             {[]standin.Dashboard{prod(panelOf(7, "Lag", "lag"))}, `there is no such panel: the one that had that name, number 7, is now called "Lag"`},
		"the dashboard's name":         {[]standin.Dashboard{boardOf("db-prod", "Production", "DB", lag)}, `there is no such dashboard: the one that had that name, uid db-prod, is now "DB/Production"`},
		"the dashboard's folder":       {[]standin.Dashboard{boardOf("db-prod", "Prod", "Archive", lag)}, `there is no such dashboard: the one that had that name, uid db-prod, is now "Archive/Prod"`},
		"its certainty, by repetition": {[]standin.Dashboard{prod(with(lag, obj{"repeat": "x"}))}, "it is repeated for each value of $x, so that it is not one panel: make one that isn't, with the variable's values in its query, or write the query in a detector on its data source"},
		"its certainty, by its schema": {[]standin.Dashboard{{UID: "db-prod", Title: "Prod", Folder: "DB", Model: modelOf(obj{}), StoredVersion: "v2beta1"}}, "the dashboard is refused: " + errSchema2.Error()},
		"as saved by a new API":        {[]standin.Dashboard{{UID: "db-prod", Title: "Prod", Folder: "DB", Model: modelOf(obj{}), APIVersion: "dashboard.grafana.app/v2"}}, "the dashboard is refused: " + errSchema2.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			h, step := story(t)
			check(t, step(), ill)
			h.SetDashboards(c.then...)
			gone := []string{"unknown: db/eu: unknown, " + place + c.want, "unknown: replication-lag: unknown, " + place + c.want}
			check(t, step(), gone...)
			check(t, step(), gone...)
			h.SetDashboards(prod(lag))
			back := step()
			if i := slices.Index(back, ill); i < 0 || strings.Contains(strings.Join(back, ""), "changed") {
				t.Errorf("got %q when it was back", back)
			}
			log := h.log.String()
			if strings.Count(log, "can't be resolved") != 1 || strings.Count(log, "can be resolved again") != 1 {
				t.Errorf("the log says %s", log)
			}
		})
	}
}

// What is known of a series stays with it while its panel can't be found.
func TestVanishedSeriesKeepsItsEvidence(t *testing.T) {
	h := newHouse(t)
	h.SetDatasources(promDS(t, `lag{cluster="eu"} 0.25x400`))
	h.SetDashboards(prod(panelOf(7, "Replication lag", "lag")))
	d := h.detector(lagKeys)
	was := bySeries(h.round(d, nil))
	h.SetDashboards()
	h.now = h.now.Add(time.Minute)
	readings := h.round(d, was)
	for id, r := range was {
		got := readings[0]
		if got.Series != id || got.Condition != signalbox.Unknown || got.Origin != r.Origin || !slices.Equal(got.Links, r.Links) || !got.SampleAt.Equal(r.SampleAt) {
			t.Errorf("got %+v, was %+v", got, r)
		}
	}
}

// A Grafana that can't be read is no news of the panel.
func TestUnreadIsNoChange(t *testing.T) {
	h, step := story(t)
	step()
	h.Fail(standin.Fault{Path: "/api/dashboards/uid/db-prod", Status: 502, Body: `{"message":"proxy"}`})
	got := step()
	want := `dashboard "DB/Prod", panel "Replication lag": the dashboard can't be read: HTTP 502 Bad Gateway: proxy`
	check(t, got, "unknown: db/eu: unknown, "+want, "unknown: replication-lag: unknown, "+want)
	if log := h.log.String(); log != "" {
		t.Errorf("the log says %s", log)
	}
	step()
	if got := step(); got[0] != "breached: db/eu: 250ms, above 100ms" {
		t.Errorf("got %q", got)
	}
}

// Changes are told for a day, and the last three.
func TestChangesAreForgotten(t *testing.T) {
	m := &memory{panels: map[string]*known{}}
	at := moment
	for _, q := range []string{"a", "b", "c", "d", "e"} {
		m.found("x", spot{}, facts{query: q}, at)
		at = at.Add(10 * time.Hour)
	}
	_, late, _ := m.found("x", spot{}, facts{query: "e"}, at)
	check(t, late, `the panel changed by 1970-01-02 06:10 UTC: its query was "c", and is "d"`, `the panel changed by 1970-01-02 16:10 UTC: its query was "d", and is "e"`)
	if n := len(m.panels["x"].changes); n != tellTimes {
		t.Errorf("%d changes are kept", n)
	}
}

// A library panel's model is read where it is kept, so its change is the panel's,
// whatever the dashboard still holds of it.
func TestChangeOfALibraryPanel(t *testing.T) {
	h, step := story(t)
	here := with(panelOf(7, "Replication lag", "stale_copy"), obj{"libraryPanel": obj{"uid": "lib", "name": "Lag"}})
	h.SetDashboards(prod(here))
	library := func(expr string) standin.Library {
		return standin.Library{UID: "lib", Name: "Lag", Kind: 1, Model: modelOf(panelOf(1, "Lag", expr))}
	}
	h.SetLibraries(library(lagExpr))
	check(t, step(), "breached: db/eu: 250ms, above 100ms")
	h.SetLibraries(library("max by (cluster) (other)"))
	check(t, step(), `breached: db/eu: 500ms, above 100ms; the panel changed by 1970-01-01 00:12 UTC: its query was "max by (cluster) (lag)", and is "max by (cluster) (other)"`)
	h.SetLibraries()
	const gone = `unknown, dashboard "DB/Prod", panel "Replication lag": its library panel is not there (any more), or the credentials may not see it`
	check(t, step(), "unknown: db/eu: "+gone, "unknown: replication-lag: "+gone)
}
