package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

func mustLoad(t *testing.T, path string) *Config {
	t.Helper()
	cfg, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// write makes a directory of files, beside the test's secrets.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	secrets, err := filepath.Abs("testdata/secrets")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range files {
		text = strings.ReplaceAll(text, "../secrets", secrets)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read1(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDefaults(t *testing.T) {
	cfg := mustLoad(t, "testdata/good/small.yaml")
	d := cfg.Detectors[0]
	if d.Interval != 15*time.Second || d.UnknownAfter != 5*time.Minute || d.Owner != "" || cfg.Policy.Detectors[0].Owner != "devops" { // its readings name no owner, so that the rules of ownership come before the default
		t.Errorf("defaults of a detector: %+v", d.Common)
	}
	want := policy.Config{
		Hash:      cfg.Hash,
		Detectors: []policy.Detector{{Name: "errors", Owner: "devops", Fresh: 90 * time.Second, Interval: 15 * time.Second}},
		Budget:    []policy.Rate{{N: 10, Per: time.Hour}}, Ineffective: 2, DefaultOwner: "devops",
		Flapping: policy.Flapping{Window: time.Hour, After: 3, Pause: time.Minute, Stop: 6}, DependWait: 15 * time.Second,
		Owners: []policy.Owner{{Name: "devops"}}, Approvers: map[string]int{},
	}
	if !reflect.DeepEqual(cfg.Policy, want) {
		t.Errorf("got %+v, want %+v", cfg.Policy, want)
	}
	if cfg.Heartbeat != nil || cfg.Tracing != nil {
		t.Error("a heartbeat or traces that nobody asked for")
	}
	if dir, _ := filepath.Abs("testdata/good"); cfg.Dir != dir {
		t.Errorf("Dir: got %s, want %s", cfg.Dir, dir)
	}

	p := mustLoad(t, "testdata/good/whole.yaml").Policy.Policies[1]
	if p.Autonomy != policy.Shadow || p.VerifyWithin != 5*time.Minute || p.AfterHealthy != 30*time.Minute ||
		p.Cooldown != 15*time.Minute || !reflect.DeepEqual(p.Budget, []policy.Rate{{N: 3, Per: 24 * time.Hour}}) ||
		p.Verify != (signalbox.Witness{}) || p.Runbook[0].Undo != signalbox.UndoAsk || p.Runbook[0].Health != nil {
		t.Errorf("defaults of a policy: %+v", p)
	}
}

func TestWhole(t *testing.T) {
	cfg := mustLoad(t, "testdata/good/whole.yaml")
	p := cfg.Policy.Policies[0]
	flip, page := p.Runbook[0], p.Runbook[1]
	if flip.Kind != "endpoint" || flip.Name != "read-endpoint" || flip.To != "replica-b" || flip.Undo != signalbox.UndoAuto || flip.If == "" {
		t.Errorf("flip: %+v", flip)
	}
	wantHealth := map[string]signalbox.Witness{
		"replica-a": {Detector: "replica-lag", Subject: "replica/replica-a"},
		"replica-b": {Detector: "replica-lag", Subject: "replica/replica-b"},
	}
	if !reflect.DeepEqual(flip.Health, wantHealth) {
		t.Errorf("health: got %v, want %v", flip.Health, wantHealth)
	}
	if !strings.Contains(string(flip.Spec), `"pg-b.data-plane:5432"`) || !strings.Contains(string(flip.Spec), `"configmap"`) {
		t.Errorf("spec of the flip: %s", flip.Spec)
	}
	if page.Kind != "page" || page.Name != "backend" || page.To != "" || !strings.Contains(string(page.Spec), "secrets/pd") {
		t.Errorf("page: %+v", page)
	}
	if p.Verify != (signalbox.Witness{Detector: "read-errors", Subject: "reads/{{cluster}}"}) || p.VerifyWithin != 6*time.Minute ||
		p.AfterHealthy != 20*time.Minute || p.Cooldown != 10*time.Minute || p.Match["env"] != "prod" || len(p.Budget) != 2 {
		t.Errorf("policy: %+v", p)
	}
	unknown := map[string]time.Duration{}
	for _, d := range cfg.Detectors {
		unknown[d.Name] = d.UnknownAfter
	}
	if unknown["replication-lag"] != 4*time.Minute || unknown["replica-lag"] != 6*time.Minute || unknown["alertmanager"] != 5*time.Minute {
		t.Errorf("unknown_after is the detector's, else the source's, else 5m: %v", unknown)
	}
	if cfg.Detectors[0].Place != (Place{"testdata/good/whole.yaml", 18}) {
		t.Errorf("place: %s", cfg.Detectors[0].Place)
	}
	if cfg.Heartbeat.Interval != 45*time.Second || cfg.Tracing.Env != "prod" || cfg.Policy.Ineffective != 3 || len(cfg.Policy.Freeze) != 1 {
		t.Error("heartbeat, tracing or guards", cfg.Heartbeat, cfg.Tracing, cfg.Policy)
	}
	if got := cfg.Policy.Detectors[0]; got.Unit != signalbox.Seconds || got.Fresh != 100*time.Second || got.Owner != "backend" {
		t.Errorf("policy's detector: %+v", got)
	}
}

// TestHashFollowsContent: what does not change the meaning does not change it.
func TestHashFollowsContent(t *testing.T) {
	text := read1(t, "testdata/good/small.yaml")
	one := mustLoad(t, write(t, map[string]string{"a.yaml": text})).Hash
	owners, rest, _ := strings.Cut(text, "sources:")
	same := map[string]map[string]string{
		"comments": {"a.yaml": "# a comment\n" + text},
		"order":    {"a.yaml": "sources:" + rest + owners},
		"split":    {"a.yaml": owners, "b.yml": "sources:" + rest},
		"quotes":   {"a.yaml": strings.Replace(text, "subject: errors", `subject: "errors"`, 1)},
		"noise":    {"a.yaml": text, ".hidden.yaml": "x: 1", "readme.txt": "x"},
	}
	for name, files := range same {
		if got := mustLoad(t, write(t, files)).Hash; got != one {
			t.Errorf("%s changes the hash", name)
		}
	}
	if mustLoad(t, write(t, map[string]string{"a.yaml": strings.Replace(text, "above: 5", "above: 6", 1)})).Hash == one {
		t.Error("a threshold does not change the hash")
	}
}

// TestPushedDetectors: their interval is how often the source is read back.
func TestPushedDetectors(t *testing.T) {
	text := read1(t, "testdata/good/whole.yaml")
	for reconcile, want := range map[string]time.Duration{", reconcile: 2m": 2 * time.Minute, "": time.Minute} {
		text := strings.Replace(text, ", reconcile: 1m", reconcile, 1)
		cfg := mustLoad(t, write(t, map[string]string{"a.yaml": text}))
		if got, fresh := cfg.Detectors[3].Interval, cfg.Policy.Detectors[3].Fresh; got != want || fresh != 2*want+time.Minute {
			t.Errorf("%q: interval %s, fresh %s", reconcile, got, fresh)
		}
	}
}

// TestFreshFollowsTheDetector: what it takes for fresh can be acted on.
func TestFreshFollowsTheDetector(t *testing.T) {
	text := strings.Replace(read1(t, "testdata/good/whole.yaml"), "    interval: 20s\n", "    max_age: 10m\n", 1)
	cfg := mustLoad(t, write(t, map[string]string{"a.yaml": text}))
	if got := cfg.Policy.Detectors[0].Fresh; got != 10*time.Minute {
		t.Errorf("got %s", got)
	}
}

// TestHealthMayNameLabels: only the position is filled in when loading.
func TestHealthMayNameLabels(t *testing.T) {
	text := strings.Replace(read1(t, "testdata/good/whole.yaml"), `"replica/{{position}}"`, `"{{ cluster }}/{{position}}"`, 1)
	cfg := mustLoad(t, write(t, map[string]string{"a.yaml": text}))
	if got := cfg.Switches[1].Health["replica-a"].Subject; got != "{{cluster}}/replica-a" {
		t.Errorf("got %q", got)
	}
	text = strings.Replace(text, "{{ cluster }}", "{{zone}}", 1)
	_, err := load(write(t, map[string]string{"a.yaml": text}))
	if err == nil || !strings.Contains(err.Error(), "must use only labels that detector replication-lag lists (cluster, env)") {
		t.Errorf("a label that the incident won't have: %v", err)
	}
}

func TestSecretsElsewhere(t *testing.T) {
	text := strings.ReplaceAll(read1(t, "testdata/good/whole.yaml"), "../secrets/", "/nowhere/")
	path := write(t, map[string]string{"a.yaml": text})
	if _, err := load(path); err == nil {
		t.Error("files that are not there were accepted")
	}
	if _, err := Load(path, testKinds(), Options{SecretsElsewhere: true, LookupEnv: func(string) (string, bool) { return "", false }}); err != nil {
		t.Error(err)
	}
}

// TestKindsThatCollide is a fault of the program.
func TestKindsThatCollide(t *testing.T) {
	k := testKinds()
	k.Remediators = append(k.Remediators, k.Remediators[0])
	if _, err := Load("testdata/good/small.yaml", k, Options{}); err == nil || !strings.Contains(err.Error(), `"flip"`) {
		t.Errorf("got %v", err)
	}
}

func TestUnreadable(t *testing.T) {
	dir := write(t, map[string]string{"big.yaml": strings.Repeat("# x\n", maxFileBytes/4+1)})
	if err := os.Mkdir(filepath.Join(dir, "dir.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "no such file",
		dir:                             "dir.yaml must be a regular file",
		filepath.Join(dir, "big.yaml"):  "big.yaml:1: the file must not be larger than 1024 KiB",
		os.DevNull:                      "must be a regular file",
	} {
		if _, err := load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}
