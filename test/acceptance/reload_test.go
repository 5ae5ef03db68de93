package acceptance

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// A new configuration that is wrong leaves the old one as it was, loudly; one
// that is right takes effect.
func TestReload(t *testing.T) {
	b, exporter := newBox(t), servers.Exporter(t)
	exporter.Set("queue_depth", 900, "queue", "webhooks")
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"psp": {exporter.Host()}}})
	b.write("alerts.yaml", `
sources: {alerts: {kind: alertmanager, receive: /webhooks/alertmanager, auth: {bearer_file: secrets/webhook}, reconcile: 0}}
detectors: [{name: critical, source: alerts, subject: "{{alertname}}/{{cluster}}", owner: backend}]
`)
	b.start()
	hash := b.status().Config.Hash
	refused := func(name string, want ...string) {
		t.Helper()
		for _, text := range want {
			if !strings.Contains(b.log.String(), text) {
				t.Errorf("%s: the log must tell %q", name, text)
			}
		}
		b.reloadMetric(t, 0)
		b.delivered(webhookBody("firing", name, time.Now(), time.Time{}), "the old configuration's path")
		b.eventually("the old configuration's page", b.paged(name+"/eu", backendKey, "trigger"))
		if got := b.status().Config.Hash; got != hash {
			t.Errorf("%s: configuration %s, want the old %s", name, got, hash)
		}
	}

	b.write("queue.yaml", "sources:\n  metrics: {kind: prometheus, url: \"http://127.0.0.1:9\"}\ndetectors:\n  - name: queue\n    source: metrics\n    treshold: 5\n")
	out, code := b.operate("reload")
	if code != 1 || !strings.Contains(out, "queue.yaml:6") || !strings.Contains(out, "treshold") || !strings.Contains(out, "the old configuration goes on") {
		t.Errorf("reload must refuse with the place: exit code %d, %s", code, out)
	}
	refused("ByTool", "queue.yaml:6", "level=ERROR")

	b.write("queue.yaml", "detectors:\n  - {name: queue, source: nowhere, query: queue_depth, breach: {above: 100}, subject: queue}\n")
	b.hangUp()
	b.eventually("the log to tell of SIGHUP", func() error {
		if log := b.log.String(); !strings.Contains(log, "SIGHUP") || !strings.Contains(log, "queue.yaml:2") {
			return fmt.Errorf("nothing yet")
		}
		return nil
	})
	refused("BySignal", "nowhere")

	b.write("queue.yaml", fmt.Sprintf(`
sources: {metrics: {kind: prometheus, url: %q}}
detectors: [{name: queue, source: metrics, query: queue_depth, interval: 1s, breach: {above: 100}, subject: "queue/{{queue}}", owner: devops}]
`, metrics.URL))
	b.must("reload")
	b.reloadMetric(t, 1)
	b.eventually("the new detector's page", b.paged("queue/webhooks", devopsKey, "trigger"))

	// The webhook's path moves, by a signal.
	b.write("alerts.yaml", `
sources: {alerts: {kind: alertmanager, receive: /webhooks/moved, auth: {bearer_file: secrets/webhook}, reconcile: 0}}
detectors: [{name: critical, source: alerts, subject: "{{alertname}}/{{cluster}}", owner: backend}]
`)
	b.hangUp()
	b.eventually("the new path", func() error {
		status, said, err := deliver(t.Context(), b.webhooks+"/webhooks/moved", "Bearer "+webhookKey, webhookBody("firing", "Moved", time.Now(), time.Time{}))
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("got %d %s %v, want 200", status, said, err)
		}
		return nil
	})
	if status, said, err := deliver(t.Context(), b.webhooks+webhookPath, "Bearer "+webhookKey, "{}"); err != nil || status != http.StatusNotFound {
		t.Errorf("the old path: got %d %s %v, want 404", status, said, err)
	}
	b.eventually("its page", b.paged("Moved/eu", backendKey, "trigger"))
	for _, name := range []string{"ByTool/eu", "BySignal/eu"} {
		if err := b.paged(name, backendKey, "trigger")(); err != nil {
			t.Errorf("what was open stays open: %v", err)
		}
	}
}

// hangUp tells the daemon by a signal to read its configuration again.
func (b *box) hangUp() {
	b.t.Helper()
	if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) reloadMetric(t *testing.T, want int) {
	t.Helper()
	text, err := b.metrics()
	if err != nil {
		t.Fatal(err)
	}
	if line := fmt.Sprintf("signalbox_config_last_reload_successful %d\n", want); !strings.Contains(text, line) {
		t.Errorf("the metrics must hold %q", line)
	}
}

// onlooker is a policy that does nothing.
const onlooker = `
  - name: onlooker
    on: reads-lag
    autonomy: shadow
    runbook: [{page: backend}]
`

// The policy is taken out of the configuration while its switch is thrown, and
// once more while its write is under way: the plan outlives it, and the switch
// goes back as it says.
func TestRemovedPolicyIsStillUndone(t *testing.T) {
	p, b := newProduction(t), newBox(t)
	p.configure(b, "auto", failover)
	b.start()
	b.watched()
	p.reads(5)
	b.eventually("the endpoint to be flipped", p.wrote(replicaB))
	p.configure(b, "auto", onlooker)
	b.must("reload")
	p.reads(0.01)
	b.eventually("the endpoint to go back", p.wrote(replicaB, replicaA))
	b.eventually("the incident to end", b.idle)

	p.configure(b, "auto", failover)
	b.must("reload")
	b.watched()
	h := p.slow.holdNextWrite(false)
	p.reads(5)
	<-h.arrived
	p.configure(b, "auto", onlooker)
	b.must("reload")
	close(h.release)
	if code := <-h.done; code != http.StatusOK {
		t.Errorf("the write was answered %d, want 200", code)
	}
	b.eventually("the endpoint to be flipped", p.wrote(replicaB, replicaA, replicaB))
	p.reads(0.01)
	b.eventually("the endpoint to go back", p.wrote(replicaB, replicaA, replicaB, replicaA))
	b.eventually("the incident to end", b.idle)
	p.reads(5)
	b.eventually("the owner's page, now that no policy is there", b.paged("db/eu", backendKey, "trigger"))
	if err := p.wrote(replicaB, replicaA, replicaB, replicaA)(); err != nil {
		t.Error(err)
	}
}

// idle says whether nothing is open and nothing is thrown.
func (b *box) idle() error {
	if st := b.status(); len(st.Incidents) > 0 || len(st.Thrown) > 0 {
		return fmt.Errorf("open: %d, thrown: %+v", len(st.Incidents), st.Thrown)
	}
	return nil
}
