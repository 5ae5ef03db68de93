// Package detectors is the table of the kinds of sources, and of the
// detectors on them: one line a kind.
package detectors

import (
	"github.com/signalbox/signalbox/detectors/alertmanager"
	"github.com/signalbox/signalbox/detectors/datadog"
	"github.com/signalbox/signalbox/detectors/github"
	"github.com/signalbox/signalbox/detectors/grafana"
	"github.com/signalbox/signalbox/detectors/kubernetes"
	"github.com/signalbox/signalbox/detectors/loki"
	"github.com/signalbox/signalbox/detectors/pagerduty"
	"github.com/signalbox/signalbox/detectors/prometheus"
	"github.com/signalbox/signalbox/detectors/statuspage"
	"github.com/signalbox/signalbox/internal/kind"
)

// Kinds returns the table.
func Kinds() []kind.Source {
	return []kind.Source{
		alertmanager.Kind(), // alerts: webhook v4, reconciled by API v2
		datadog.Kind(),      // SLOs, monitors and counts of logs
		github.Kind(),       // runs of GitHub Actions workflows
		grafana.Kind(),      // panels of dashboards, and Grafana's own alerts
		kubernetes.Kind(),   // pods, workloads, Jobs, nodes, Argo: watched
		loki.Kind(),         // LogQL against thresholds, and ids out of lines
		pagerduty.Kind(),    // what people do to our pages: signed webhooks
		prometheus.Kind(),   // PromQL against thresholds
		statuspage.Kind(),   // what public status pages say
	}
}
