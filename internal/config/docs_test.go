package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/config"
)

const docsFile = "../../docs/configuration.md"

// documented is the page of all keys, with those that have more about them: a
// kind's keys stand on the kind's own page.
func documented(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"../../docs/*.md", "../../docs/detectors/*.md", "../../docs/remediators/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no pages, %v", pattern, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

// prometheusKeys are documented by Prometheus.
var prometheusKeys = []string{
	"basic_auth", "authorization", "oauth2", "bearer_token_file", "tls_config", "follow_redirects", "enable_http2",
	"proxy_url", "no_proxy", "proxy_from_environment", "http_headers",
}

// TestDocsNameEveryKey: no key of ours, and no default, is missing.
func TestDocsNameEveryKey(t *testing.T) {
	docs := documented(t)
	var schema map[string]any
	raw, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	seen := 0
	properties(schema, func(key string, property map[string]any) {
		seen++
		if !strings.Contains(docs, "`"+key+"`") && !strings.Contains(docs, "."+key+"`") {
			t.Errorf("no page names %s", key)
		}
		if text, ok := property["default"].(string); ok && !strings.Contains(docs, "`"+text+"`") {
			t.Errorf("no page tells the default of %s, %s", key, text)
		}
	})
	if seen < 60 {
		t.Errorf("only %d keys were looked for", seen)
	}
}

// properties calls yield for each key of a schema but Prometheus'.
func properties(schema any, yield func(string, map[string]any)) {
	switch s := schema.(type) {
	case []any:
		for _, v := range s {
			properties(v, yield)
		}
	case map[string]any:
		if list, ok := s["properties"].(map[string]any); ok {
			for key, p := range list {
				if property, ok := p.(map[string]any); ok && !slices.Contains(prometheusKeys, key) {
					yield(key, property)
					properties(p, yield)
				}
			}
		}
		for key, v := range s {
			if key != "properties" {
				properties(v, yield)
			}
		}
	}
}

// TestDocsExamplesLoad: what can be copied works.
func TestDocsExamplesLoad(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	loaded := 0
	for _, m := range examples {
		if strings.HasPrefix(m[1], "#") {
			continue
		}
		path := filepath.Join(t.TempDir(), "example.yaml")
		if err := os.WriteFile(path, []byte(m[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(path, realKinds(), config.Options{SecretsElsewhere: true}); err != nil {
			t.Error(err)
		}
		loaded++
	}
	if loaded == 0 {
		t.Error("there is no example")
	}
}
