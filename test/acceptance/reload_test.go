package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// doors is a source that only receives, so that a webhook tells which
// configuration is in force.
func (b *box) doors(path string) {
	b.t.Helper()
	b.write("alerts.yaml", fmt.Sprintf(`
sources: {alerts: {kind: alertmanager, receive: %s, auth: {bearer_file: secrets/webhook}, reconcile: 0}}
detectors: [{name: critical, source: alerts, subject: "{{alertname}}/{{cluster}}", owner: backend}]
`, path))
}

// A new configuration that is wrong leaves the old one as it was, and the
// daemon says so: to who asked, in its log and in its metrics.
func TestBadReloadLeavesTheOldConfiguration(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.doors(webhookPath)
	b.start()
	hash := b.status().Config.Hash
	goesOn := func(name string) {
		t.Helper()
		b.reloadMetric(t, 0)
		b.delivered(webhookBody("firing", name, time.Now(), time.Time{}), "the old configuration's path")
		b.eventually("the old configuration's page", b.paged(name+"/eu", backendKey, "trigger"))
		if got := b.status().Config.Hash; got != hash {
			t.Errorf("%s: configuration %s, want the old %s", name, got, hash)
		}
	}
	b.reloadMetric(t, 1)
	b.write("queue.yaml", "sources:\n  metrics: {kind: prometheus, url: \"http://127.0.0.1:9\"}\ndetectors:\n  - name: queue\n    source: metrics\n    treshold: 5\n")
	out, code := b.operate("reload")
	for _, want := range []string{"queue.yaml:6", "treshold", "the old configuration goes on"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("reload must refuse with %q: exit code %d, %s", want, code, out)
		}
	}
	if err := b.logged("queue.yaml:6", "level=ERROR")(); err != nil {
		t.Error(err)
	}
	goesOn("ByTool")

	// A wrong door, so that a part of what is wrong would show at once.
	b.doors("/elsewhere")
	b.write("queue.yaml", "detectors:\n  - {name: queue, source: nowhere, query: queue_depth, breach: {above: 100}, subject: queue}\n")
	b.hangUp()
	b.eventually("the log to tell of all that is wrong", b.logged("SIGHUP", "queue.yaml:2", "nowhere", "alerts.yaml:2", "/elsewhere"))
	goesOn("BySignal")

	b.doors(webhookPath)
	if err := os.Remove(filepath.Join(b.config, "queue.yaml")); err != nil {
		t.Fatal(err)
	}
	b.hangUp()
	b.eventually("a good configuration to be taken again", func() error {
		if text, err := b.metrics(); err != nil || !strings.Contains(text, reloaded+"1\n") {
			return fmt.Errorf("the metrics tell of no accepted reload (%v)", err)
		}
		return nil
	})
}

// logged says whether the log tells all of these.
func (b *box) logged(want ...string) func() error {
	return func() error {
		for _, text := range want {
			if !strings.Contains(b.log.String(), text) {
				return fmt.Errorf("the log must tell %q", text)
			}
		}
		return nil
	}
}

// A new configuration that is right takes effect: another detector pages,
// another path is taken, and what is open stays open.
func TestGoodReloadTakesEffect(t *testing.T) {
	t.Parallel()
	b, exporter := newBox(t), servers.Exporter(t)
	exporter.Set("queue_depth", 900, "queue", "webhooks")
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"psp": {exporter.Host()}}})
	b.doors(webhookPath)
	b.start()
	b.delivered(webhookBody("firing", "Before", time.Now(), time.Time{}), "the old path")
	b.eventually("its page", b.paged("Before/eu", backendKey, "trigger"))

	b.write("queue.yaml", fmt.Sprintf(`
sources: {metrics: {kind: prometheus, url: %q}}
detectors: [{name: queue, source: metrics, query: queue_depth, interval: 1s, breach: {above: 100}, subject: "queue/{{queue}}", owner: devops}]
`, metrics.URL))
	b.must("reload")
	b.reloadMetric(t, 1)
	b.eventually("the new detector's page", b.paged("queue/webhooks", devopsKey, "trigger"))

	b.doors("/webhooks/moved")
	b.hangUp()
	right := "Bearer " + webhookKey
	b.eventually("the new path", func() error {
		status, said, err := deliver(t.Context(), b.webhooks+"/webhooks/moved", right, webhookBody("firing", "Moved", time.Now(), time.Time{}))
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("got %d %s %v, want 200", status, said, err)
		}
		return nil
	})
	if status, said, err := deliver(t.Context(), b.webhooks+webhookPath, right, "{}"); err != nil || status != http.StatusNotFound {
		t.Errorf("the old path: got %d %s %v, want 404", status, said, err)
	}
	b.eventually("its page", b.paged("Moved/eu", backendKey, "trigger"))
	for subject, key := range map[string]string{"Before/eu": backendKey, "queue/webhooks": devopsKey} {
		if err := b.paged(subject, key, "trigger")(); err != nil {
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

// reloaded begins the line of the metric that tells whether the last reload was
// accepted.
const reloaded = "signalbox_config_last_reload_successful "

func (b *box) reloadMetric(t *testing.T, want int) {
	t.Helper()
	text, err := b.metrics()
	if err != nil {
		t.Fatal(err)
	}
	if line := fmt.Sprintf("%s%d\n", reloaded, want); !strings.Contains(text, line) {
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
	t.Parallel()
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
	b.eventually("the incident", b.opened("reads-lag"))
	b.eventually("the write to be on its way", h.isHere)
	p.configure(b, "auto", onlooker)
	b.must("reload")
	close(h.release)
	if code := h.answered(t); code != http.StatusOK {
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
