package acceptance

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/statuspage"
)

// replicationLag is what the exporters say beside their own, as newer ones do.
const replicationLag = `
pg_replication:
  query: "SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 ELSE EXTRACT(EPOCH FROM now() - pg_last_xact_replay_timestamp()) END AS lag_seconds"
  metrics: [{lag_seconds: {usage: GAUGE, description: "How late the standby replays."}}]
`

func newOutage(t *testing.T) *outage {
	t.Helper()
	o := &outage{production: newProduction(t), box: newBox(t), standby: map[string]*servers.PostgresServer{}}
	o.toldDesk = newToldDesk(t, o.box, statuspage.Component{ID: "8kbf7d35c070", Name: "Payments", Status: "operational"})
	o.staff()
	o.domains()
	primary := servers.Postgres(t)
	primary.Exec("CREATE TABLE orders AS SELECT 1 AS id")
	scrape, labels := map[string][]string{"blackbox": {o.exporter.Host()}}, map[string]map[string]string{"blackbox": {"service": "postgres-reads"}}
	for _, name := range []string{"replica-a", "replica-b"} {
		o.standby[name] = primary.Standby()
		exporter := servers.PostgresExporter(t, o.standby[name], replicationLag)
		scrape[name] = []string{strings.TrimPrefix(exporter.URL, "http://")}
		labels[name] = map[string]string{"replica": name, "cluster": "eu", "env": "prod", "service": "postgres"}
	}
	o.production.metrics = servers.Prometheus(t, servers.PrometheusOptions{Scrape: scrape, Labels: labels})
	patch := fmt.Sprintf(`{"data":{%q:%q}}`, endpointKey, o.address("replica-a"))
	if _, err := o.kube.Client(servers.Admin).CoreV1().ConfigMaps("core").Patch(t.Context(), "core-env", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	o.reader = o.read(t)
	o.eventually("all to be scraped", func() error {
		return o.count(`count(pg_up == 1) + count(pg_replication_lag_seconds{job=~"replica-.*"}) + count(probe_success == 1)`, 5)
	})
	return o
}

// configure takes the run-book out of the handbook, with looks each second.
func (o *outage) configure(autonomy string) {
	o.box.t.Helper()
	o.box.write("secrets/kubeconfig", o.kubeconfig())
	o.box.write("sources.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q, timeout: 10s, unknown_after: 30s}
  cluster: {kind: kubernetes, kubeconfig: secrets/kubeconfig}
`, o.production.metrics.URL))
	e := newHandbookExcerpt(o.box.t)
	e.take("detectors", "db-uptime", handbookSoon)
	e.take("detectors", "db-up", handbookSoon)
	e.take("detectors", "replica", func(d map[string]any) {
		handbookSoon(d)
		d["unknown_after"] = "30m" // of a standby that is away its exporter says nothing
	})
	e.take("switches", "read-endpoint", func(s map[string]any) {
		s["positions"] = map[string]any{"replica-a": o.address("replica-a"), "replica-b": o.address("replica-b")}
	})
	o.tools(e, "status-database")
	e.take("policies", "database-outage", func(p map[string]any) {
		p["autonomy"] = autonomy
		handbookBlock(p, "verify")["within"] = "1m"
		handbookBlock(p, "undo")["after_healthy"] = "3s"
	})
	e.write(o.box)
}

// endpointReader reads what DB_READONLY_ENDPOINT names, and knows which of them
// did not answer.
type endpointReader struct {
	reader
	mu     sync.Mutex
	failed map[string]int // tries, by endpoint
}

func (r *endpointReader) failedAt() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.failed)
}

// read reads until the test ends: what the ConfigMap says, ten times a second.
// It is the uptime probe, which reads as readers do.
func (o *outage) read(t *testing.T) *endpointReader {
	t.Helper()
	r := &endpointReader{failed: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	tick := time.NewTicker(100 * time.Millisecond)
	go func() {
		defer close(done)
		defer tick.Stop()
		for {
			at, err := o.readOnce(ctx)
			if ctx.Err() != nil {
				return
			}
			success := 1.0
			if r.saw(err); err != nil {
				success = 0
				r.mu.Lock()
				r.failed[at]++
				r.mu.Unlock()
			}
			o.exporter.Set("probe_success", success, "cluster", "eu")
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return r
}

func (o *outage) readOnce(ctx context.Context) (endpoint string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cm, err := o.kube.Client(servers.Admin).CoreV1().ConfigMaps("core").Get(ctx, "core-env", metav1.GetOptions{})
	if err != nil {
		return "the API server", err
	}
	for name, s := range o.standby {
		if cm.Data[endpointKey] == o.address(name) {
			_, err := s.Query(ctx, "SELECT count(*) FROM orders")
			return o.address(name), err
		}
	}
	return cm.Data[endpointKey], fmt.Errorf("the endpoint is %q", cm.Data[endpointKey])
}

// reader is what a reader knows of its reads.
type reader struct {
	mu     sync.Mutex
	failed time.Time // since when it can't read; zero: it can
	worst  time.Duration
	last   error
}

func (r *reader) saw(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = err
	switch {
	case err == nil:
		r.failed = time.Time{}
	case r.failed.IsZero():
		r.failed = time.Now()
	default:
		r.worst = max(r.worst, time.Since(r.failed))
	}
}

func (r *reader) well() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *reader) longest() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.worst
}
