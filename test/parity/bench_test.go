package parity

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"

	registry "github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/prometheus"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/test/servers"
)

// BenchmarkRules evaluates all rules by way of the poller and a real
// Prometheus, again and again, and reports what that costs this process: the
// server's own time is not in it. Many alerts fire meanwhile, as in a bad hour.
func BenchmarkRules(b *testing.B) {
	began := time.Now()
	script, scrape := New(20260115), map[string][]string{}
	for _, job := range Jobs() {
		for i := range Targets {
			scrape[job] = append(scrape[job], script.Target(job, i).Serve(b, began.Add(-20*time.Minute), 1))
		}
	}
	server := servers.Prometheus(b, servers.PrometheusOptions{Scrape: scrape, Interval: step})
	settings := prometheus.Kind().Settings().(*prometheus.Settings)
	settings.URL = server.URL
	opened, err := prometheus.Kind().Open(Source, settings, kind.Env{Log: slog.Default(), Now: time.Now, Agent: "signalbox"})
	if err != nil {
		b.Fatal(err)
	}
	source := opened.(*prometheus.Source)
	var polled []poll.Detector
	var names []string
	for _, file := range Files(b) {
		polled = append(polled, Polled(b, Read(b, file), evaluation, source)...)
	}
	for _, d := range polled {
		names = append(names, d.Name)
	}
	p := poll.New(poll.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler), Registerer: registry.NewRegistry(), Emit: func(poll.Round) {}})
	p.Set(polled)
	servers.Await(b, servers.Patience, "all targets to be scraped", func(ctx context.Context) error {
		a := source.Ask(ctx, []signalbox.Question{{Source: Source, Query: "count(up)"}}, time.Now())[0]
		if a.Err != nil || len(a.Samples) != 1 || a.Samples[0].Value != float64(len(Jobs())*Targets) {
			return fmt.Errorf("got %+v", a)
		}
		return nil
	})
	before, evaluations := cpu(b), 0
	for b.Loop() {
		if err := p.AskNow(b.Context(), names...); err != nil {
			b.Fatal(err)
		}
		evaluations += len(names)
	}
	b.ReportMetric((cpu(b)-before).Seconds()/float64(evaluations)*1000, "cpu-s/1000evals")
	b.ReportMetric(float64(len(names)), "rules")
}

// cpu is the time that this process has used, user and system.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
