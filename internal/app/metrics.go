package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/internal/people"
)

// metrics are the daemon's own, beside those of its rooms.
type metrics struct {
	webhooks        *prometheus.CounterVec
	refusals        *prometheus.CounterVec
	reloadGood      prometheus.Gauge
	reloadAt        prometheus.Gauge
	heartbeatErrors prometheus.Counter
	heartbeatLast   prometheus.Gauge
	clusterRules    *prometheus.GaugeVec
	ruleResources   *prometheus.GaugeVec
	calendarLast    *prometheus.GaugeVec
	calendarMaxAge  *prometheus.GaugeVec
	silencesLast    prometheus.Gauge
}

// webhookResults are how a webhook can end.
var webhookResults = []string{"taken", "unknown_path", "method", "credential", "shape", "cut", "incomplete", "fault"}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		webhooks:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_webhooks_total", Help: "Webhooks, by how they ended."}, []string{"result"}),
		reloadGood:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_config_last_reload_successful", Help: "1 when the last reload was accepted."}),
		reloadAt:        prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_config_last_reload_success_timestamp_seconds", Help: "Time of the last accepted configuration."}),
		heartbeatErrors: prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_heartbeat_errors_total", Help: "Outbound heartbeats that failed."}),
		heartbeatLast:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_heartbeat_last_success_timestamp_seconds", Help: "Time of the last outbound heartbeat that was accepted."}),
	}
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_requests_refused_total", Help: "Requests for control that were refused, by the right that was missing; nobody: of no person who is configured."}, []string{"right"})
	for _, right := range append(people.Verbs(), "nobody") {
		m.refusals.WithLabelValues(string(right))
	}
	m.clusterRules = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "signalbox_cluster_rules", Help: "Alerting rules in force that come from PrometheusRule resources, by the cluster's source."}, []string{"source"})
	m.ruleResources = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "signalbox_cluster_rule_resources", Help: "PrometheusRule resources, by the cluster's source; refused are those whose last version could not be put in force."}, []string{"source", "state"})
	m.calendarLast = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "signalbox_calendar_last_success_timestamp_seconds", Help: "Time at which a calendar of freezes was last read, by its freeze; 0: not since the start."}, []string{"freeze"})
	m.calendarMaxAge = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "signalbox_calendar_max_age_seconds", Help: "How old a calendar of freezes may be that is relied on, by its freeze."}, []string{"freeze"})
	m.silencesLast = prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_silences_last_success_timestamp_seconds", Help: "Time at which Alertmanager's silences were last read; 0 where none are."})
	for _, r := range webhookResults {
		m.webhooks.WithLabelValues(r)
	}
	m.reloadGood.Set(1)
	reg.MustRegister(m.webhooks, m.refusals, m.reloadGood, m.reloadAt, m.heartbeatErrors, m.heartbeatLast, m.clusterRules, m.ruleResources, m.calendarLast, m.calendarMaxAge, m.silencesLast)
	return m
}

func (m *metrics) webhook(result string) { m.webhooks.WithLabelValues(result).Inc() }

// ruleCounts are what one cluster's resources bring.
type ruleCounts struct{ rules, resources, refused int }

// clusters tells what all clusters' resources bring, by source.
func (m *metrics) clusters(all map[string]ruleCounts) {
	m.clusterRules.Reset()
	m.ruleResources.Reset()
	for source, c := range all {
		m.clusterRules.WithLabelValues(source).Set(float64(c.rules))
		m.ruleResources.WithLabelValues(source, "in_force").Set(float64(c.resources - c.refused))
		m.ruleResources.WithLabelValues(source, "refused").Set(float64(c.refused))
	}
}
