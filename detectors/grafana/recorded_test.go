package grafana

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

// A dashboard as a production has it: 54 panels in closed and open rows, with
// $datasource, null data sources and variables. Each panel is resolved, or
// refused for a reason that is known.
func TestRecordedDashboard(t *testing.T) {
	dir := contracts(t)
	if dir == "" {
		t.Skip("SKIPPED: the recorded payloads are absent: set SIGNALBOX_CONTRACTS")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "recorded", "grafana", "dashboard_argocd.json"))
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	ds := promDS(t, `argocd_app_info{namespace="argocd",sync_status="Synced"} 1x40`)
	ds.UID = "prometheus"
	answer, asked := ds.Answer, []string(nil)
	ds.Answer = func(q standin.Query) standin.Result {
		asked = append(asked, q.Raw["expr"].(string)) // the stand-in answers one at a time
		return answer(q)
	}
	h.SetDatasources(ds)
	h.SetDashboards(standin.Dashboard{UID: "argo", Title: "ArgoCD", Folder: "GitOps", Model: raw})
	body, err := json.Marshal(obj{"dashboard": with(mustObj(t, raw), obj{"uid": "argo", "title": "ArgoCD"}), "meta": obj{}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := decodeBoard(body)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, p := range b.Dashboard.all {
		a := h.source.Ask(t.Context(), []signalbox.Question{{Query: reference{Dashboard: "GitOps/ArgoCD", Panel: nameOf(p), Unit: unitOf(p), Query: "A"}.encode()}}, h.now)[0]
		if a.Err == nil {
			got["resolved"]++
			continue
		}
		_, why, _ := strings.Cut(a.Err.Error(), `": `)
		got[fmt.Sprintf("%s %d: %s", p.Type, p.ID, why)]++
	}
	const heatmap = "its query is for a heatmap, which has buckets and no values: write a query that gives the value"
	want := map[string]int{
		"resolved": 39, "text 26: its query is empty": 1, "text 54: it has no query A; it has none that is shown": 1,
		"heatmap 60: " + heatmap: 1, "heatmap 114: " + heatmap: 1, "heatmap 116: " + heatmap: 1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for _, expr := range []string{
		`go_memstats_heap_alloc_bytes{job="argocd-applicationset-controller-metrics",namespace=~".*"}`,
		`sum(round(increase(argocd_app_sync_total{namespace=~".*",dest_server=~".*"}[1m]))) by (namespace)`,
	} {
		if !slices.Contains(asked, expr) {
			t.Errorf("%s was not asked; asked was\n\t%s", expr, strings.Join(asked, "\n\t"))
		}
	}
}

func mustObj(t *testing.T, raw []byte) obj {
	t.Helper()
	var o obj
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// nameOf is the name by which a panel is surely found.
func nameOf(p panel) string {
	if p.Title == "" || p.Title == "Applications" { // of which the first row has two
		return formatInt(p.ID)
	}
	return p.in.title + "/" + string(p.Title)
}

// unitOf is the unit that thresholds on a panel would be in.
func unitOf(p panel) signalbox.Unit {
	m, err := readModel(p, nil)
	if err != nil {
		return ""
	}
	unit, _ := m.panelUnit("A")
	s, _ := scaleOf(unit)
	return s.unit
}
