package acceptance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signalbox/signalbox/test/servers"
)

// The run-book "database outage": a real primary with two standbys, whose
// exporters a real Prometheus scrapes, and a reader that follows
// DB_READONLY_ENDPOINT in a real API server. The standby that is read dies: reads
// go to the other one, once, and back once it is well again.
func TestRunbookDatabaseOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.configure("auto")
	o.start()
	o.watched()
	o.standby["a"].Kill()
	o.eventually("reads to go to the other standby", o.wrote(o.address("b")))
	o.eventually("the reader to read again", o.reader.well)
	o.standby["a"].Restart()
	o.eventually("reads to come back", o.wrote(o.address("b"), o.address("a")))
	o.eventually("the incident to end", o.allEnded)
	o.steadily(3*time.Second, "nothing more is written", o.wrote(o.address("b"), o.address("a")))
	o.eventually("the reader to read", o.reader.well)
	t.Logf("the reader could not read for %v, at looks of a second and a breach of two", o.reader.longest().Round(10*time.Millisecond))
}

// In shadow it is recorded, and causes nothing.
func TestRunbookDatabaseOutageInShadow(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.configure("shadow")
	o.start()
	o.watched()
	o.standby["a"].Kill()
	o.eventually("the record of what would be done", func() error {
		said := "nothing: no incident is open"
		for _, inc := range o.status().Incidents {
			if inc.Reading.Detector == "reads" {
				said, _ = o.operate("explain", string(inc.ID))
			}
		}
		if !strings.Contains(said, "policy database-outage only watches; it would say act") {
			return fmt.Errorf("explain says %s", said)
		}
		if len(o.pages("db/eu")) == 0 {
			return fmt.Errorf("nobody is paged")
		}
		return nil
	})
	o.steadily(5*time.Second, "nothing is written", o.wrote())
}

// The daemon is killed at some moment of it: the endpoint is still written once,
// and taken back once.
func TestRunbookDatabaseOutageKilled(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.configure("auto")
	o.start()
	o.watched()
	seed := uint64(time.Now().UnixNano())
	pause := time.Duration(rand.New(rand.NewPCG(seed, 0)).Int64N(int64(4 * time.Second))) //nolint:gosec // a moment, no secret
	t.Logf("killed %v after the incident was opened", pause)
	o.standby["a"].Kill()
	o.eventually("the incident", o.opened("reads")) // before, that it was well is not on record
	killed := time.NewTimer(pause)
	defer killed.Stop()
	<-killed.C
	o.kill()
	o.launch()
	o.ready()
	o.eventually("reads to go to the other standby", o.wrote(o.address("b")))
	o.standby["a"].Restart()
	o.eventually("reads to come back", o.wrote(o.address("b"), o.address("a")))
	o.eventually("the incident to end", o.allEnded)
	o.steadily(3*time.Second, "nothing more is written", o.wrote(o.address("b"), o.address("a")))
}

// outage is a production whose standbys are real.
type outage struct {
	*production
	*box
	standby map[string]*servers.PostgresServer
	reader  *reader
}

// standbyLag is what the exporters say beside their own.
const standbyLag = `
pg_standby:
  query: "SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 ELSE EXTRACT(EPOCH FROM now() - pg_last_xact_replay_timestamp()) END AS lag_seconds"
  metrics: [{lag_seconds: {usage: GAUGE, description: "How late the standby replays."}}]
`

func newOutage(t *testing.T) *outage {
	t.Helper()
	o := &outage{production: newProduction(t), box: newBox(t), standby: map[string]*servers.PostgresServer{}}
	primary := servers.Postgres(t)
	primary.Exec("CREATE TABLE orders AS SELECT 1 AS id")
	scrape := map[string][]string{"reader": {o.exporter.Host()}}
	for _, name := range []string{"a", "b"} {
		o.standby[name] = primary.Standby()
		exporter := servers.PostgresExporter(t, o.standby[name], standbyLag)
		scrape[name] = []string{strings.TrimPrefix(exporter.URL, "http://")}
	}
	o.production.metrics = servers.Prometheus(t, servers.PrometheusOptions{Scrape: scrape})
	patch := fmt.Sprintf(`{"data":{%q:%q}}`, endpointKey, o.address("a"))
	if _, err := o.kube.Client(servers.Admin).CoreV1().ConfigMaps("core").Patch(t.Context(), "core-env", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	o.reader = o.read(t)
	o.box.eventually("all to be scraped", func() error {
		return o.count(`count(pg_up == 1) + count(pg_standby_lag_seconds) + count(reads_success == 1)`, 5)
	})
	return o
}

func (o *outage) address(name string) string {
	return fmt.Sprintf("127.0.0.1:%d", o.standby[name].Port)
}

func (o *outage) eventually(what string, check func() error) {
	o.box.t.Helper()
	o.box.eventually(what, check)
}

func (o *outage) configure(autonomy string) {
	o.box.t.Helper()
	o.box.write("secrets/kubeconfig", o.kubeconfig())
	o.box.write("production.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q, timeout: 2s, unknown_after: 20s}
  cluster: {kind: kubernetes, kubeconfig: secrets/kubeconfig}
detectors:
  - {name: reads, source: metrics, query: min by (cluster) (reads_success), interval: 1s, breach: {below: 1, for: 2s}, clear: {for: 2s}, subject: "db/{{cluster}}", origin: reader, owner: backend}
  - {name: standby-up, source: metrics, query: 'min by (cluster) (label_replace(pg_up{job="a"} or 0 * up{job="a"}, "cluster", "eu", "", ""))', interval: 1s, breach: {below: 1}, subject: "db/{{cluster}}", origin: exporter, owner: backend}
  - {name: replica, source: metrics, query: 'max by (job) (pg_standby_lag_seconds and on (job) pg_up == 1)', unit: s, interval: 1s, breach: {above: 1s}, clear: {below: 500ms}, subject: "replica/{{job}}", owner: backend, unknown_after: 30m}
switches:
  read-endpoint:
    configmap: {source: cluster, namespace: core, name: core-env, key: %s}
    undo: auto
    positions: {a: %q, b: %q}
    health: {detector: replica, subject: "replica/{{position}}"}
policies:
  - name: database-outage
    on: reads
    autonomy: %s
    runbook:
      - {flip: read-endpoint, to: b, if: 'destination.value < duration("100ms")'}
    verify: {within: 20s}
    undo: {after_healthy: 3s}
    guards: {needs: 2 sources, witnesses: [{detector: standby-up}], cooldown: 0s}
`, o.production.metrics.URL, endpointKey, o.address("a"), o.address("b"), autonomy))
}

// reader reads through the endpoint, and exports whether it could.
type reader struct {
	mu     sync.Mutex
	failed time.Time // since when it can't read; zero: it can
	worst  time.Duration
	last   error
}

// read reads until the test ends: what the ConfigMap says, ten times a second.
func (o *outage) read(t *testing.T) *reader {
	t.Helper()
	r := &reader{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	tick := time.NewTicker(100 * time.Millisecond)
	go func() {
		defer close(done)
		defer tick.Stop()
		for {
			err := o.readOnce(ctx)
			if ctx.Err() != nil {
				return
			}
			success := 1.0
			if r.saw(err); err != nil {
				success = 0
			}
			o.exporter.Set("reads_success", success, "cluster", "eu")
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return r
}

func (o *outage) readOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cm, err := o.kube.Client(servers.Admin).CoreV1().ConfigMaps("core").Get(ctx, "core-env", metav1.GetOptions{})
	if err != nil {
		return err
	}
	for name, s := range o.standby {
		if cm.Data[endpointKey] == o.address(name) {
			_, err := s.Query(ctx, "SELECT count(*) FROM orders")
			return err
		}
	}
	return fmt.Errorf("the endpoint is %q", cm.Data[endpointKey])
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
