package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/signalbox/signalbox/internal/store/etcd"
)

// metricName is a metric of ours, as text names it.
var metricName = regexp.MustCompile(`signalbox_[a-z_]+[a-z]`)

// metricNames are those that a daemon with an embedded store has.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	h := newHouse(t, alertsOnly).open()
	store := prometheus.NewRegistry()
	store.MustRegister(&storeMetrics{&etcd.Embedded{}})
	names := map[string]bool{}
	for _, from := range []prometheus.Gatherer{h.d.registry, store} {
		families, err := from.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "signalbox_") {
				names[f.GetName()] = true
			}
		}
	}
	// Those with a label for each source show with the first one that is polled.
	for _, name := range []string{"rounds_total", "last_good_round_timestamp_seconds", "questions_total", "ask_duration_seconds", "round_lateness_seconds", "source_unknown", "source_clock_skew_seconds", "sample_delay_seconds"} {
		names["signalbox_poll_"+name] = true
	}
	for _, name := range []string{"rules", "rule_resources"} { // with the first cluster whose rules are read
		names["signalbox_cluster_"+name] = true
	}
	for _, name := range []string{"last_success_timestamp_seconds", "max_age_seconds"} { // with the first calendar
		names["signalbox_calendar_"+name] = true
	}
	return names
}

// Each metric has its line in the documentation, and each line and each alert
// its metric.
func TestMetricsAreDocumented(t *testing.T) {
	names := metricNames(t)
	told := map[string]bool{}
	for _, file := range []string{"docs/operations.md", "deploy/alerts.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricName.FindAllString(string(text), -1) {
			if !names[name] {
				t.Errorf("%s names %s, which the daemon has not", file, name)
			}
			if strings.HasPrefix(file, "docs/") {
				told[name] = true
			}
		}
	}
	for name := range names {
		if !told[name] {
			t.Errorf("docs/operations.md does not name %s", name)
		}
	}
}

// The rules load as Prometheus loads them.
func TestAlertRulesLoad(t *testing.T) {
	groups, errs := rulefmt.ParseFile(filepath.Join(root, "deploy", "alerts.yaml"), false)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	seen := map[string]bool{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || seen[r.Alert] || r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%q needs a name of its own, a summary and a severity", r.Alert)
			}
			seen[r.Alert] = true
		}
	}
	if len(seen) == 0 {
		t.Error("there are no rules")
	}
}
