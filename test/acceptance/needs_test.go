package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// uptime is the detector of a blackbox probe on the same Prometheus, and the
// policy that wants two sources.
func uptime(origin string) string {
	return fmt.Sprintf(`
detectors:
  - name: uptime
    source: metrics
    query: min by (cluster, env) (probe_success)
    interval: 1s
    breach: {below: 1, for: 2s}
    subject: "db/{{cluster}}"
    labels: [cluster, env]
    owner: backend
    unknown_after: 8s
    %s
`, origin)
}

const needsTwo = `
  - name: replica-failover
    on: reads-lag
    match: {env: prod}
    autonomy: auto
    runbook:
      - {flip: read-endpoint, to: b, if: 'destination.value < duration("100ms")'}
    verify: {within: 10s}
    undo: {after_healthy: 30m}
    guards: {cooldown: 1s, budget: [1000/day], needs: 2 sources, witnesses: [{detector: uptime}]}
`

// probe sets what the uptime monitor says.
func (p *production) probe(up float64) {
	p.exporter.Set("probe_success", up, "cluster", "eu", "env", "prod")
}

// The database's own exporter sees lag; only when the uptime monitor, which
// measures by itself, sees it too, the endpoint is flipped.
func TestTwoOriginsAreNeeded(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.probe(1)
	p.configure(b, "auto", needsTwo)
	b.write("uptime.yaml", uptime("origin: blackbox"))
	b.start()
	b.watched()
	p.reads(5)
	b.eventually("the incident to be open", func() error {
		if n := len(b.status().Incidents); n != 1 {
			return fmt.Errorf("incidents: got %d, want 1", n)
		}
		return nil
	})
	b.steadily(5*time.Second, "one origin is not enough", p.wrote())
	id := string(b.status().Incidents[0].ID)
	if said := b.must("explain", id); !strings.Contains(said, "1 of 2 independent origins see it") || !strings.Contains(said, "not seen by uptime on db/eu") {
		t.Errorf("explain must tell what is missing:\n%s", said)
	}
	p.probe(0)
	b.eventually("the endpoint to be flipped", p.wrote(replicaB))
}

// Two detectors on one Prometheus that declare nothing are one source.
func TestOneServerIsOneOrigin(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.probe(1)
	p.configure(b, "auto", needsTwo)
	b.write("uptime.yaml", uptime(""))
	b.start()
	b.watched()
	p.probe(0)
	p.reads(5)
	b.eventually("both incidents to be open", func() error {
		if n := len(b.status().Incidents); n != 2 {
			return fmt.Errorf("incidents: got %d, want 2", n)
		}
		return nil
	})
	b.steadily(6*time.Second, "the same server counts once", p.wrote())
}
