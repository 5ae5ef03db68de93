package app

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/signalbox/signalbox/detectors"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/sandbox"
	"github.com/signalbox/signalbox/remediators"
)

const root = "../.."

// Each kind of the tables has its page, and each page its kind.
func TestEachKindHasAPage(t *testing.T) {
	tables := map[string][]string{}
	for _, k := range detectors.Kinds() {
		tables["detectors"] = append(tables["detectors"], k.Name)
	}
	for _, k := range remediators.Kinds() {
		tables["remediators"] = append(tables["remediators"], k.Name)
	}
	for folder, kinds := range tables {
		pages, err := filepath.Glob(filepath.Join(root, "docs", folder, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, page := range pages {
			names = append(names, strings.TrimSuffix(filepath.Base(page), ".md"))
		}
		slices.Sort(kinds)
		if !slices.Equal(kinds, names) {
			t.Errorf("docs/%s: got pages for %q, want %q", folder, names, kinds)
		}
	}
}

func markdown(t *testing.T) []string {
	t.Helper()
	files := []string{filepath.Join(root, "README.md")}
	for _, folder := range []string{"docs", "deploy"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".md") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

var (
	example = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	// ruleFile is a rule file of Prometheus.
	ruleFile = regexp.MustCompile("(?s)```yaml\n(groups:\n.*?)```")
	// ours is a top-level key that only our own configuration has; what others
	// read (a Role, Alertmanager's own file) is not checked here.
	ours = regexp.MustCompile(`(?m)^(default_owner|owners|sources|detectors|rule_files|switches|tools|policies|guards|evidence|heartbeat|tracing):`)
)

// What can be copied works: each example of a configuration loads with the
// kinds of this version. A fragment is joined with what it leaves out.
func TestExamplesLoad(t *testing.T) {
	loaded := 0
	for _, file := range markdown(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range example.FindAllStringSubmatch(string(text), -1) {
			if !ours.MatchString(m[1]) {
				continue
			}
			loaded++
			dir := t.TempDir()
			parts := map[string]string{"example.yaml": m[1], "rest.yaml": rest(t, m[1])}
			if rules := ruleFile.FindSubmatch(text); rules != nil { // a page that shows a rule file has it included
				parts["rules/node.yaml"] = string(rules[1])
			}
			for name, part := range parts {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(part), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := config.Load(dir, Kinds(), config.Options{SecretsElsewhere: true, AllowCommands: true}); err != nil {
				t.Errorf("%s:\n%s\n%v", file, m[1], err)
			}
		}
	}
	if loaded < 6 {
		t.Errorf("only %d examples were found", loaded)
	}
}

// rest is what an example leaves out: owners, and the sources and the detectors
// that its switches and policies name.
func rest(t *testing.T, text string) string {
	t.Helper()
	var has struct {
		Default   string         `yaml:"default_owner"`
		Owners    map[string]any `yaml:"owners"`
		Sources   map[string]any `yaml:"sources"`
		Detectors []struct{ Name string }
	}
	if err := yaml.Unmarshal([]byte(text), &has); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if has.Default == "" {
		b.WriteString("default_owner: devops\n")
	}
	if has.Owners == nil {
		b.WriteString("owners:\n  devops: {primary: \"@sre-lead\", escalation: pagerduty, pagerduty: {primary_key_file: secrets/pd}}\n")
	}
	b.WriteString("sources:\n  another: {kind: prometheus, url: \"http://127.0.0.1:9090\"}\n")
	if has.Sources["metrics"] == nil {
		b.WriteString("  metrics: {kind: prometheus, url: \"http://127.0.0.1:9090\"}\n")
	}
	if has.Sources["cluster"] == nil {
		b.WriteString("  cluster: {kind: kubernetes, in_cluster: true}\n")
	}
	b.WriteString("detectors:\n")
	for _, d := range []string{"replication-lag", "replica-lag", "redis-up"} {
		if !slices.ContainsFunc(has.Detectors, func(x struct{ Name string }) bool { return x.Name == d }) {
			b.WriteString("  - {name: " + d + ", source: metrics, query: lag_seconds, unit: s, subject: \"replica/{{replica}}\", breach: {above: 1s}, clear: {below: 500ms}}\n")
		}
	}
	return b.String()
}

// What is allowed and better known is said by the check: two policies that want
// different positions of one switch, with an example, and which of them waits.
func TestCheckWarnsOfConflicts(t *testing.T) {
	company, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = company.Close() })
	dir := t.TempDir()
	if err := company.WriteConfig(dir); err != nil {
		t.Fatal(err)
	}
	if said, err := Check(dir, false); err != nil || strings.Contains(said, "different positions") {
		t.Fatalf("before: %q, %v", said, err)
	}
	text := "policies:\n  - {name: other-way, on: psp-backlog, autonomy: suggest, runbook: [{flip: read-endpoint, to: replica-a}]}\n"
	if err := os.WriteFile(filepath.Join(dir, "conflict.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := Check(dir, false)
	want := `warning: policies "replica-failover" and "other-way" want switch "read-endpoint" at different positions: while an incident of`
	if err != nil || !strings.Contains(said, want) || !strings.Contains(said, "by other-way, which is the stricter, and waits") {
		t.Errorf("got %q, %v", said, err)
	}
}

// The configuration of `make run` is checked as a user's own would be.
func TestSandboxConfigurationIsRight(t *testing.T) {
	company, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = company.Close() })
	dir := t.TempDir()
	if err := company.WriteConfig(dir); err != nil {
		t.Fatal(err)
	}
	said, err := Check(dir, false)
	if err != nil || !strings.Contains(said, "5 detectors, 2 switches, 2 policies") {
		t.Errorf("got %q, %v", said, err)
	}
	if _, err := Check(filepath.Join(dir, "missing"), false); err == nil {
		t.Error("a configuration that is not there must be an error")
	}
}
