package app

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/detectors/rules"
	"github.com/signalbox/signalbox/internal/config"
)

// withRules includes the rule files beside a source that nobody has to answer.
const withRules = `
sources:
  metrics: {kind: prometheus, url: "http://127.0.0.1:9"}
rule_files:
  - {source: metrics, files: rules/*.yaml, subject: "{{alertname}}"}
`

func twoRules(wait string) string {
	return fmt.Sprintf(`groups:
  - name: g
    rules:
      - {alert: Same, expr: up == 0, for: 1m}
      - {alert: Changing, expr: up == 0, for: %s}
      - {alert: Same, expr: up == 1}
`, wait)
}

func (h *house) judges() map[string]*rules.Detector {
	out := map[string]*rules.Detector{}
	for _, p := range h.d.current().polled {
		if judge, ok := p.Detector.(*rules.Detector); ok {
			out[p.Name] = judge
		}
	}
	return out
}

// A reload keeps what an unchanged rule remembers, wherever it stands in its
// file by now; a change of a rule file alone is a change of the configuration.
func TestReloadKeepsUnchangedRules(t *testing.T) {
	h := newHouse(t, withRules)
	h.write("rules/one.yaml", twoRules("1m"))
	h.open()
	before, hash := h.judges(), h.d.current().config.Hash
	if len(before) != 3 || before["g/Same"] == nil || before["g/Same#2"] == nil {
		t.Fatalf("got %v", before)
	}
	h.write("rules/one.yaml", "# a comment moves the lines\n"+twoRules("2m"))
	if got := h.reload(); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	after := h.judges()
	if after["g/Same"] != before["g/Same"] || after["g/Same#2"] != before["g/Same#2"] {
		t.Error("unchanged rules must keep what they remember")
	}
	if after["g/Changing"] == before["g/Changing"] {
		t.Error("a changed rule must be another")
	}
	if h.d.current().config.Hash == hash {
		t.Error("the hash must be another")
	}
	h.write("rules/one.yaml", twoRules("x"))
	if got := h.reload(); got.status != 422 || !strings.Contains(got.body, "one.yaml:5") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// Every error of every file at once, each at its place, also what is wrong with
// the inclusion itself.
func TestRuleFilesAreCheckedAtOnce(t *testing.T) {
	h := newHouse(t, `
sources:
  metrics: {kind: prometheus, url: "http://127.0.0.1:9"}
  other: {kind: prometheus, url: "http://127.0.0.1:9"}
  cluster: {kind: kubernetes, kubeconfig: k}
detectors:
  - {name: elsewhere, source: other, query: up, breach: {below: 1}, subject: x}
rule_files:
  - {source: metrics, files: rules/*.yaml, subject: "{{alertname}}", verifier: elsewhere}
  - {source: metrics, files: rules/nothing.yaml, subject: "{{alertname}}", namespaces: [core]}
  - {source: metrics, cluster: metrics, subject: "{{alertname}}", interval: 10ms}
  - {source: cluster, files: rules/one.yaml, subject: "{{alertname}}"}
  - {source: metrics, files: rules/one.yaml, cluster: cluster, subject: "{{alertname}}"}
  - {source: nowhere, files: rules/one.yaml, subject: "{{alertname}}", external_url: "x"}
  - {source: metrics, files: "rules/[", subject: "{{cluster", labels: [alertname]}
  - {source: metrics, files: rules/one.yaml, subject: "{{instance}}", labels: [alertname]}
`)
	h.write("rules/one.yaml", "groups:\n  - name: g\n    rules:\n      - {record: a, expr: up}\n      - {alert: A, expr: sum(}\n")
	h.write("rules/two.yaml", "groups:\n  - name: g\n    rules:\n      - {alert: B, expr: up == 0, until: 5m}\n")
	_, err := config.Load(h.dir, Kinds(), config.Options{SecretsElsewhere: true})
	if err == nil {
		t.Fatal("it was accepted")
	}
	got := strings.ReplaceAll(err.Error(), h.dir+string(filepath.Separator), "")
	for _, want := range []string{
		`rules/one.yaml:4: group "g", rule 1 "a": is a recording rule`, `rules/one.yaml:5: group "g", rule 2 "A":`, `rules/two.yaml:4: must be a rule file: there is no key until in it`,
		`story.yaml:9: rule_files[0]: verifier must name a detector on the same source (metrics)`,
		`rules/nothing.yaml`, `namespaces must not be given with files`, `cluster must name a source of kind kubernetes`, `interval must be at least 1s`,
		`story.yaml:12: rule_files[3]: source must name a source of kind prometheus`, `must have exactly one of files and cluster`, `nowhere`, `external_url`,
		`story.yaml:16: rule_files[7]: subject must use only labels`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no problem says %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}
