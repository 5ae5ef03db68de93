package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

// The scale that the figures are for.
const (
	detectorCount = 10_000
	detectorEvery = 15 * time.Second
	measuredFor   = 4 * detectorEvery
)

// BenchmarkDetectors runs the real daemon with 10,000 detectors, each with a
// query of its own, at 15 s against a real Prometheus, and reports what a
// minute of that costs the daemon's process. Run it with -benchtime 1x.
func BenchmarkDetectors(b *testing.B) {
	target := exposition(b)
	metrics := servers.Prometheus(b, servers.PrometheusOptions{Scrape: map[string][]string{"app": {target}}, Interval: detectorEvery})
	eventually(b, "Prometheus has scraped", func() bool {
		return strings.Contains(get(b, metrics.URL+"/api/v1/query?query=count(lag_seconds)"), `"10000"`)
	})
	control := newDaemons(b, metrics.URL).run("bench")
	eventually(b, "every detector had its first round", func() bool {
		return rounds(scrape(b, control)) >= detectorCount
	})
	for b.Loop() {
		before := scrape(b, control)
		wait(b, measuredFor)
		report(b, before, scrape(b, control))
	}
}

// report tells what went on between two scrapes of the daemon's own metrics.
func report(b *testing.B, before, after map[string]*dto.MetricFamily) {
	b.Helper()
	evaluations := rounds(after) - rounds(before)
	cpu := total(after, "process_cpu_seconds_total", "") - total(before, "process_cpu_seconds_total", "")
	b.ReportMetric(evaluations, "evaluations")
	b.ReportMetric(total(after, "signalbox_poll_questions_total", "")-total(before, "signalbox_poll_questions_total", ""), "queries")
	b.ReportMetric(cpu/evaluations*1000, "cpu-s/1000")
	b.ReportMetric(total(after, "process_resident_memory_bytes", "")/1e6, "rss-MB")
	b.ReportMetric(later(after, 1)-later(before, 1), "late-over-1s")
	b.ReportMetric(total(after, "signalbox_poll_rounds_total", "late")-total(before, "signalbox_poll_rounds_total", "late"), "missed")
	b.ReportMetric(total(after, "signalbox_poll_rounds_total", "unknown")-total(before, "signalbox_poll_rounds_total", "unknown"), "unknown")
}

func rounds(m map[string]*dto.MetricFamily) float64 {
	return total(m, "signalbox_poll_rounds_total", "good") + total(m, "signalbox_poll_rounds_total", "unknown")
}

// total adds a family's values up, of one result where that is given.
func total(m map[string]*dto.MetricFamily, name, result string) (sum float64) {
	for _, one := range m[name].GetMetric() {
		if result != "" && !hasLabel(one, "result", result) {
			continue
		}
		sum += one.GetCounter().GetValue() + one.GetGauge().GetValue()
	}
	return sum
}

func hasLabel(m *dto.Metric, name, value string) bool {
	for _, l := range m.GetLabel() {
		if l.GetName() == name && l.GetValue() == value {
			return true
		}
	}
	return false
}

// later counts the rounds that were told later than a bound in seconds.
func later(m map[string]*dto.MetricFamily, bound float64) (count float64) {
	for _, one := range m["signalbox_poll_round_lateness_seconds"].GetMetric() {
		h := one.GetHistogram()
		count += float64(h.GetSampleCount())
		for _, bucket := range h.GetBucket() {
			if bucket.GetUpperBound() == bound {
				count -= float64(bucket.GetCumulativeCount())
			}
		}
	}
	return count
}

// exposition serves a gauge for each detector, the same text at each scrape.
func exposition(b *testing.B) (host string) {
	b.Helper()
	var text bytes.Buffer
	text.WriteString("# TYPE lag_seconds gauge\n")
	for i := range detectorCount {
		fmt.Fprintf(&text, "lag_seconds{replica=\"r%d\"} 0.0%d\n", i, i%10)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write(text.Bytes()) // a scrape that broke off is Prometheus' to tell
	}))
	b.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// daemons are real ones with the 10,000 detectors.
type daemons struct {
	b                    *testing.B
	dir, program, config string
}

// newDaemons builds the binary, and writes the configuration.
func newDaemons(b *testing.B, metrics string) *daemons {
	b.Helper()
	dir, err := os.MkdirTemp("", "sbx")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "signalbox")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "../cmd/signalbox").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	d := &daemons{b: b, dir: dir, program: program, config: filepath.Join(dir, "config")}
	writeDetectors(b, d.config, metrics)
	return d
}

// run runs one until the benchmark ends, and returns the address of its control
// server.
func (d *daemons) run(replica string, args ...string) (control string) {
	b := d.b
	b.Helper()
	port := freePort(b)
	cmd := exec.Command(d.program, append([]string{
		"--config", d.config, "--data", filepath.Join(d.dir, replica), "--replica", replica,
		"--web.listen-address", fmt.Sprintf("127.0.0.1:%d", port), "--webhooks.listen-address", "127.0.0.1:0",
	}, args...)...)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b.Errorf("the daemon ended: %v: %s", err, log.Bytes())
		}
	})
	control = fmt.Sprintf("http://127.0.0.1:%d", port)
	eventually(b, "the daemon is ready", func() bool { return answers(b, control+"/-/ready") })
	return control
}

func freePort(b *testing.B) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func writeDetectors(b *testing.B, dir, metrics string) {
	b.Helper()
	pager, err := pagerduty.New(pagerduty.Options{Keys: []string{pagerKey}})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(pager)
	b.Cleanup(func() { pager.Close(); server.Close() })
	if err := os.Mkdir(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	write("pager", pagerKey)
	write("owners.yaml", fmt.Sprintf("default_owner: devops\nowners:\n  devops: {primary: \"@sre-lead\", escalation: pagerduty, pagerduty: {primary_key_file: pager, url: %q}}\nsources:\n  metrics: {kind: prometheus, url: %q}\n", server.URL, metrics))
	const each = 1000 // detectors a file
	for from := 0; from < detectorCount; from += each {
		var text strings.Builder
		text.WriteString("detectors:\n")
		for i := from; i < from+each; i++ {
			fmt.Fprintf(&text, "  - {name: lag-%d, source: metrics, query: 'lag_seconds{replica=\"r%d\"}', unit: s, subject: \"replica/{{replica}}\", interval: %s, breach: {above: 1s, for: 30s}}\n", i, i, detectorEvery)
		}
		write(fmt.Sprintf("detectors-%05d.yaml", from), text.String())
	}
}

func scrape(b *testing.B, control string) map[string]*dto.MetricFamily {
	b.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(get(b, control+"/metrics")))
	if err != nil {
		b.Fatal(err)
	}
	return families
}

func get(b *testing.B, url string) string {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	return body.String()
}

// wait lets the daemon run for a measured time: that is what is measured, no
// waiting for something to happen.
func wait(b *testing.B, d time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	<-ctx.Done()
}
