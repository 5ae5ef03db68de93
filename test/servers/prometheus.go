package servers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// PrometheusOptions say what a Prometheus does. The zero value scrapes nothing.
type PrometheusOptions struct {
	// Scrape lists the targets ("host:port") of each job.
	Scrape map[string][]string
	// Labels are what the targets of a job get beside Prometheus' own.
	Labels map[string]map[string]string
	// Paths are where jobs are scraped, with a query; absent: /metrics.
	Paths map[string]string
	// Rules are rule files, each the YAML of one with its groups.
	Rules []string
	// Alertmanagers are their base URLs or "host:port".
	Alertmanagers []string
	// Interval of scrapes and of rules; 0: one second.
	Interval time.Duration
	// Lookback is --query.lookback-delta; 0: Prometheus' own, five minutes.
	Lookback time.Duration
}

// Prometheus starts a Prometheus.
func Prometheus(t testing.TB, o PrometheusOptions) *Server {
	t.Helper()
	path := program(t, cache.Prometheus())
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	writeFile(t, file, prometheusConfig(t, dir, o))
	return start(t, launch{
		name: "prometheus", client: http.DefaultClient, probe: "/-/ready", url: loopback("http"),
		argv: func(port int) []string {
			argv := []string{
				path, "--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
				fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port), "--web.enable-lifecycle", "--log.level=warn",
				// The first alert often comes before the Alertmanagers are known, and
				// by default is sent again only a minute later.
				"--rules.alert.resend-delay=" + interval(o),
			}
			if o.Lookback > 0 {
				argv = append(argv, fmt.Sprintf("--query.lookback-delta=%dms", o.Lookback.Milliseconds()))
			}
			return argv
		},
	})
}

// prometheusConfig is the configuration as JSON, which is YAML too.
func prometheusConfig(t testing.TB, dir string, o PrometheusOptions) []byte {
	t.Helper()
	every := interval(o)
	var jobs []any
	for job, targets := range o.Scrape {
		jobs = append(jobs, scrapeConfig(t, job, o.Paths[job], targets, o.Labels[job]))
	}
	var files []string
	for i, text := range o.Rules {
		file := filepath.Join(dir, fmt.Sprintf("rules-%d.yml", i))
		writeFile(t, file, []byte(text))
		files = append(files, file)
	}
	config := map[string]any{
		"global":         map[string]any{"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
		"scrape_configs": jobs, "rule_files": files,
	}
	if len(o.Alertmanagers) > 0 {
		config["alerting"] = map[string]any{"alertmanagers": []any{map[string]any{"static_configs": static(o.Alertmanagers, nil)}}}
	}
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func scrapeConfig(t testing.TB, job, path string, targets []string, labels map[string]string) map[string]any {
	t.Helper()
	config := map[string]any{"job_name": job, "static_configs": static(targets, labels)}
	if path != "" {
		u, err := url.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		config["metrics_path"], config["params"] = u.Path, u.Query()
	}
	return config
}

func interval(o PrometheusOptions) string {
	if o.Interval > 0 {
		return fmt.Sprintf("%dms", o.Interval.Milliseconds()) // Prometheus takes no fractions
	}
	return "1s"
}

func static(targets []string, labels map[string]string) []any {
	hosts := make([]string, len(targets))
	for i, target := range targets {
		hosts[i] = strings.TrimPrefix(target, "http://")
	}
	return []any{map[string]any{"targets": hosts, "labels": labels}}
}

func loopback(scheme string) func(port int) string {
	return func(port int) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port) }
}

func writeFile(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
