package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// watchdogRule is a rule of Prometheus that fires always.
const watchdogRule = `{groups: [{name: g, rules: [{alert: Watchdog, expr: "vector(1)", labels: {severity: none}}, {alert: Lagging, expr: "reads_lag_seconds > 1"}]}]}`

// watchdog writes the configuration of a source with a watchdog.
func (b *box) watchdog(url string) {
	b.t.Helper()
	b.write("alerts.yaml", fmt.Sprintf(`
sources:
  alerts:
    kind: alertmanager
    url: %q
    receive: %s
    receiver: signalbox
    auth: {bearer_file: secrets/webhook}
    reconcile: 1s
    warm_up: 0s
    watchdog: {match: {alertname: Watchdog}, within: 8s}
detectors:
  - {name: all, source: alerts, subject: "{{alertname}}/{{cluster}}", owner: backend}
`, url, webhookPath))
}

// heard says whether the source is known to be well: its first proof is told.
func (b *box) heard() error {
	if !strings.Contains(b.log.String(), "detector=source/alerts condition=clear") {
		return fmt.Errorf("the watchdog was not heard")
	}
	return nil
}

// The way from Prometheus' rules through a real Alertmanager to here is watched
// by an alert that fires always. Prometheus stops: no alert of its own can tell,
// and one page does, of the source. A restart of the daemon makes no second one
// and does not take it back; Prometheus returns, and it is resolved.
func TestWatchdogTellsThatPrometheusStopped(t *testing.T) {
	t.Parallel()
	b, exporter := newBox(t), servers.Exporter(t)
	tap := newTap(t, b)
	am := newAlertmanager(t, servers.AlertmanagerOptions{Config: tap.route()})
	prometheus := servers.Prometheus(t, servers.PrometheusOptions{
		Scrape: map[string][]string{"pg": {exporter.Host()}}, Rules: []string{watchdogRule}, Alertmanagers: []string{am.URL},
	})
	b.watchdog(am.URL)
	b.start()
	b.eventually("the watchdog to be heard", b.heard)
	b.eventually("the watchdog to be posted", tap.heard(`"alertname":"Watchdog"`, 1))
	exporter.Set("reads_lag_seconds", 5, "cluster", "eu")
	b.eventually("the page of another alert", b.paged("Lagging/eu", backendKey, "trigger"))
	// Over before Prometheus stops: one that returns evaluates its rules on the
	// last sample it has, and would fire again what it last saw ill.
	exporter.Set("reads_lag_seconds", 0, "cluster", "eu")
	b.eventually("that page to be resolved", b.paged("Lagging/eu", backendKey, "trigger", "resolve"))
	prometheus.Kill()
	b.eventually("the source's page", b.paged("source/alerts", devopsKey, "trigger"))
	b.stop()
	b.start()
	b.steadily(10*time.Second, "it is one page, and goes on", b.paged("source/alerts", devopsKey, "trigger"))
	prometheus.Restart()
	b.eventually("the source's page to be resolved", b.paged("source/alerts", devopsKey, "trigger", "resolve"))
	for _, inc := range b.pager.Incidents() {
		for _, e := range inc.Events {
			if strings.HasPrefix(e.Payload.Summary, "Watchdog") || strings.HasPrefix(e.Payload.Source, "Watchdog") {
				t.Errorf("the watchdog itself was paged: %q", e.Payload.Summary)
			}
		}
	}
	if n := len(b.pager.Incidents()); n != 2 {
		t.Errorf("pages: got %d, want 2", n)
	}
}

// The route to us is taken out of Alertmanager's configuration: its API still
// lists the watchdog, for another receiver, and that is no proof.
func TestWatchdogTellsThatTheRouteIsGone(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	tap := newTap(t, b)
	am := newAlertmanager(t, servers.AlertmanagerOptions{Config: tap.route()})
	servers.Prometheus(t, servers.PrometheusOptions{Rules: []string{watchdogRule}, Alertmanagers: []string{am.URL}})
	b.watchdog(am.URL)
	b.start()
	b.eventually("the watchdog to be heard", b.heard)
	b.steadily(10*time.Second, "an alert that goes on coming is no page", func() error {
		if n := len(b.pager.Incidents()) + len(b.status().Incidents); n > 0 {
			return fmt.Errorf("pages and incidents: got %d, want none", n)
		}
		return nil
	})
	am.Reconfigure(t, `{route: {receiver: elsewhere}, receivers: [{name: elsewhere}]}`)
	b.eventually("the source's page", b.paged("source/alerts", devopsKey, "trigger"))
	am.Reconfigure(t, tap.route())
	b.eventually("the source's page to be resolved", b.paged("source/alerts", devopsKey, "trigger", "resolve"))
	if n := len(b.pager.Incidents()); n != 1 {
		t.Errorf("pages: got %d, want 1", n)
	}
}
