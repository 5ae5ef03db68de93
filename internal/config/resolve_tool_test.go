package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

const withTools = `default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_file: ../secrets/pd}}
sources:
  metrics: {kind: prometheus, url: "http://127.0.0.1:9090"}
  cluster: {kind: kubernetes, in_cluster: true}
detectors:
  - {name: lag, source: metrics, query: lag, unit: s, breach: {above: 100ms}, subject: "db/{{cluster}}"}
  - {name: replica-lag, source: metrics, query: replica_lag, unit: s, breach: {above: 1s}, subject: "replica/{{replica}}"}
switches:
  read-endpoint:
    configmap: {source: cluster, namespace: core, name: core-env, key: DB_READONLY_ENDPOINT}
    positions: {a: "pg-a:5432", b: "pg-b:5432"}
    health: {detector: replica-lag, subject: "replica/{{position}}"}
tools:
  web: {gadget: {deployment: web}, undo: auto}
  ops: {herald: {deployment: ops}}
policies:
  - name: p
    on: lag
    autonomy: auto
    runbook:
      - {gadget: web, to: paused, promise: 15m}
      - {herald: ops}
      - {flip: read-endpoint, to: b}
`

// A tool becomes steps that say that they use one; what only tells is brought to
// its end by itself where nothing else is said.
func TestTools(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config", "signalbox.yaml")
	if err := os.WriteFile(path, []byte(withTools), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path, testKinds(), Options{LookupEnv: testEnv, SecretsElsewhere: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Tools) != 2 || cfg.Tools[0].Name != "ops" || cfg.Tools[1].Undo != signalbox.UndoAuto {
		t.Fatalf("got %+v", cfg.Tools)
	}
	steps := cfg.Policy.Policies[0].Runbook
	if s := steps[0]; s.Kind != "gadget" || s.Name != "web" || s.To != "paused" || !s.Tool || s.Tells || s.About != nil || s.Promise != 15*time.Minute || len(s.Spec) == 0 {
		t.Errorf("got %+v", s)
	}
	if s := steps[1]; s.Kind != "herald" || !s.Tool || !s.Tells || s.About == nil || s.Undo != signalbox.UndoAuto {
		t.Errorf("got %+v", s)
	}
	if s := steps[2]; s.Tool || s.To != "b" {
		t.Errorf("got %+v", s)
	}
}
