package servers

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// ExporterServer is a target for Prometheus to scrape, in process, whose gauges
// a test sets. It is safe for concurrent use.
type ExporterServer struct {
	URL string

	mu     sync.Mutex
	gauges map[string]gauge
	failed bool
	hang   chan struct{} // not nil: scrapes wait until it is closed
}

type gauge struct {
	name   string
	labels []string // name, value, name, value
	value  float64
}

// Exporter starts an exporter with no gauges.
func Exporter(t testing.TB) *ExporterServer {
	t.Helper()
	e := &ExporterServer{gauges: map[string]gauge{}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(e)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !e.admit(r) {
			http.Error(w, "the exporter was told to fail", http.StatusInternalServerError)
			return
		}
		metrics.ServeHTTP(w, r)
	}))
	e.URL = server.URL
	t.Cleanup(func() { e.Recover(); server.Close() })
	return e
}

// Host is the "host:port" of the exporter, as Prometheus wants its targets.
func (e *ExporterServer) Host() string { return strings.TrimPrefix(e.URL, "http://") }

// Set puts a gauge to a value. labels are names and values in turn.
func (e *ExporterServer) Set(name string, value float64, labels ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gauges[identity(name, labels)] = gauge{name: name, labels: slices.Clone(labels), value: value}
}

// Remove takes a gauge away: its series goes stale with the next scrape.
func (e *ExporterServer) Remove(name string, labels ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.gauges, identity(name, labels))
}

// Fail answers scrapes with 500, until Recover.
func (e *ExporterServer) Fail() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failed = true
}

// Hang lets scrapes wait for their answer, until Recover.
func (e *ExporterServer) Hang() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hang == nil {
		e.hang = make(chan struct{})
	}
}

// Recover ends Fail and Hang.
func (e *ExporterServer) Recover() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failed = false
	if e.hang != nil {
		close(e.hang)
		e.hang = nil
	}
}

// admit waits while the exporter hangs, and reports whether it answers.
func (e *ExporterServer) admit(r *http.Request) bool {
	e.mu.Lock()
	hang := e.hang
	e.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.failed
}

// Describe announces nothing: which gauges there are changes.
func (e *ExporterServer) Describe(chan<- *prometheus.Desc) {}

// Collect sends the gauges as they are.
func (e *ExporterServer) Collect(out chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range e.gauges {
		var names, values []string
		for pair := range slices.Chunk(g.labels, 2) {
			names, values = append(names, pair[0]), append(values, pair[1])
		}
		desc := prometheus.NewDesc(g.name, "Set by a test.", names, nil)
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, g.value, values...)
	}
}

func identity(name string, labels []string) string {
	return name + "\x00" + strings.Join(labels, "\x00")
}
