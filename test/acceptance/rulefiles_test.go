package acceptance

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// lagRules are a team's rule file, as its Prometheus has it.
const lagRules = `groups:
  - name: replication
    interval: 1s
    rules:
      - alert: ReadsLag
        expr: max by (cluster, env) (reads_lag_seconds) > 1
        for: 2s
        keep_firing_for: 1s
        labels: {severity: page, team: '{{ if eq $labels.env "prod" }}backend{{ else }}nobody{{ end }}'}
        annotations:
          summary: 'reads of {{ $labels.cluster }} lag by {{ $value | humanizeDuration }} ({{ $externalLabels.region }}, {{ with query "count(up)" }}{{ . | first | value }}{{ end }} target)'
          runbook_url: https://runbooks.example.com/reads-lag
`

// withRules writes the configuration of a story about rule files: production,
// with the team's rules beside its detectors.
func (p *production) withRules(b *box, subject, keys, policy string) {
	p.t.Helper()
	p.configure(b, "auto", policy)
	b.write("rules/replication.yaml", lagRules)
	b.write("rules.yaml", fmt.Sprintf(`
rule_files:
  - source: metrics
    files: rules/*.yaml
    subject: %q
    owner: backend
    unknown_after: 1m
    external_labels: {region: eu-west}
%s`, subject, keys))
}

// An alert of a rule file pages its owner with the words of its annotations.
// When its metrics are gone Prometheus calls it resolved, and the daemon does
// not: only what is measured to be well again ends the page.
func TestRuleFilePagesAndProvesHealth(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.withRules(b, "reads/{{cluster}}", "", strings.Replace(failover, "on: reads-lag", "on: replica-lag", 1))
	// The same file in Prometheus itself, to see what it says.
	theirs := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"pg": {p.exporter.Host()}}, Rules: []string{lagRules}})
	alerts := func(n string) func() error {
		other := *p
		other.metrics = theirs
		return func() error {
			count := 0
			if n == "firing" {
				count = 1
			}
			return other.count(`count(ALERTS{alertname="ReadsLag",alertstate="firing"}) or vector(0)`, count)
		}
	}
	b.start()
	b.watched()
	p.reads(5)
	b.eventually("the page", b.paged("reads/eu", backendKey, "trigger"))
	b.eventually("Prometheus to say the same", alerts("firing"))
	said := b.must("explain", b.incidentOf("reads/eu"))
	for _, want := range []string{"replication/ReadsLag", "reads of eu lag by 5s (eu-west, 1 target)"} {
		if !strings.Contains(said, want) {
			t.Errorf("explain must tell %q:\n%s", want, said)
		}
	}
	for _, inc := range b.status().Incidents {
		if r := inc.Reading; r.Subject == "reads/eu" && (r.Labels["team"] != "backend" || len(r.Links) != 1 || r.Links[0].Href != "https://runbooks.example.com/reads-lag") {
			t.Errorf("got labels %v and links %v", r.Labels, r.Links)
		}
	}
	p.unexport()
	b.eventually("Prometheus to call it resolved", alerts("nothing"))
	b.steadily(4*time.Second, "emptiness ends no page", b.paged("reads/eu", backendKey, "trigger"))
	p.well()
	b.eventually("the page to be resolved", b.paged("reads/eu", backendKey, "trigger", "resolve"))
}

// A policy acts on a rule's alert, and the verifier that the inclusion names
// proves that it helped.
func TestRuleFileActsAndItsVerifierProves(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	policy := strings.NewReplacer("on: reads-lag", "on: replication/ReadsLag", `value > duration("1s")`, "value > 1.0").Replace(failover)
	p.withRules(b, "db/{{cluster}}", "    labels: [alertname, cluster, env, severity]\n    verifier: reads-lag\n", policy)
	// reads-lag has an incident of its own here: its page is not this story's.
	b.start()
	b.watched()
	p.reads(5)
	p.replica("a", 5)
	b.eventually("the endpoint to be flipped", p.wrote(replicaB))
	p.reads(0.01)
	p.replica("a", 0.01)
	b.eventually("the endpoint to be flipped back", p.wrote(replicaB, replicaA))
	b.eventually("the incidents to end", func() error {
		if st := b.status(); len(st.Incidents) > 0 || len(st.Thrown) > 0 {
			return fmt.Errorf("open: %+v, thrown: %+v", st.Incidents, st.Thrown)
		}
		return nil
	})
	p.othersUntouched()
}

// Everything that is wrong with rule files is told at once, each with its file
// and line, before anything runs.
func TestRuleFileErrors(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.withRules(b, "db/{{cluster}}", "    verifier: nobody\n", failover)
	b.write("rules/broken.yaml", `groups:
  - name: g
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: Half
        expr: sum(
      - alert: Words
        expr: up == 0
        annotations: {summary: '{{ $labels.instance'}
`)
	out, err := exec.Command(ctl, "check", b.config).CombinedOutput()
	for _, want := range []string{
		"rules.yaml:", "nobody", "broken.yaml:4: group \"g\", rule 1 \"job:up:sum\": is a recording rule", "broken.yaml:7: group \"g\", rule 2 \"Half\":", "broken.yaml:8: group \"g\", rule 3 \"Words\":",
	} {
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}
