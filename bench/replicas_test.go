package bench

import (
	"fmt"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/signalbox/signalbox/test/servers"
)

// BenchmarkReplicas runs the real daemon as one, two and three replicas on a real
// etcd, which share the asking of the same 10,000 detectors at 15 s against a
// real Prometheus, and reports what a minute of that costs each. Run it with
// -benchtime 1x.
func BenchmarkReplicas(b *testing.B) {
	for _, n := range []int{1, 2, 3} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { replicas(b, n) })
	}
}

func replicas(b *testing.B, n int) {
	target := exposition(b)
	metrics := servers.Prometheus(b, servers.PrometheusOptions{Scrape: map[string][]string{"app": {target}}, Interval: detectorEvery})
	eventually(b, "Prometheus has scraped", func() bool {
		return strings.Contains(get(b, metrics.URL+"/api/v1/query?query=count(lag_seconds)"), `"10000"`)
	})
	etcd, d := servers.Etcd(b), newDaemons(b, metrics.URL)
	controls := make([]string, n) // the first one leads
	for i := range controls {
		controls[i] = d.run(fmt.Sprintf("r%d", i), "--store", etcd.URL, "--store.ca-file", etcd.CA, "--store.cert-file", etcd.Cert, "--store.key-file", etcd.Key,
			"--replicas.listen-address", fmt.Sprintf("127.0.0.1:%d", freePort(b)))
	}
	eventually(b, "all share the asking", func() bool {
		return total(scrape(b, controls[0]), "signalbox_share_replicas", "") == float64(n)
	})
	eventually(b, "every detector had its first round", func() bool { return rounds(scrape(b, controls[0])) >= detectorCount })
	for b.Loop() {
		before := scrapes(b, controls)
		wait(b, measuredFor)
		after := scrapes(b, controls)
		report(b, before[0], after[0])
		for i := range controls {
			cpu := total(after[i], "process_cpu_seconds_total", "") - total(before[i], "process_cpu_seconds_total", "")
			b.ReportMetric(100*cpu/measuredFor.Seconds(), fmt.Sprintf("cpu%%-r%d", i))
			b.ReportMetric(total(after[i], "process_resident_memory_bytes", "")/1e6, fmt.Sprintf("rss-MB-r%d", i))
		}
	}
}

func scrapes(b *testing.B, controls []string) (all []map[string]*dto.MetricFamily) {
	for _, c := range controls {
		all = append(all, scrape(b, c))
	}
	return all
}
