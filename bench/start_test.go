package bench

import (
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkStart starts the real binary on a store with nothing in it, again and
// again after a kill, which is the least that a kill costs: from exec until it
// is ready.
func BenchmarkStart(b *testing.B) {
	dir := shortDir(b)
	writeStorm(b, filepath.Join(dir, "config"), &paged{at: map[string]time.Time{}})
	program := build(b, dir)
	var most, sum time.Duration
	n := 0
	for b.Loop() {
		began := time.Now()
		p := run(b, program, dir)
		p.ready(b)
		took := time.Since(began)
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		if n++; n > 1 { // the first makes the store
			most, sum = max(most, took), sum+took
		}
	}
	if n > 1 {
		b.ReportMetric(float64(sum.Milliseconds())/float64(n-1), "ready-mean-ms")
		b.ReportMetric(float64(most.Milliseconds()), "ready-max-ms")
	}
}
