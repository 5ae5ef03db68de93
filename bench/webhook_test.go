package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/detectors/alertmanager"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
)

// BenchmarkWebhook posts one message of Alertmanager again and again, as it
// does for a group that goes on firing, and next to it commits transactions of
// the size of its record, and as many, through the same member's socket.
//
// An op is one request with its 2xx, or one bare write. The engine takes the
// inbox in meanwhile, as in production: its transactions are among the ingest's
// cost. drain-ms is what it still needed after the last 2xx.
func BenchmarkWebhook(b *testing.B) {
	for _, alerts := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("alerts=%d", alerts), func(b *testing.B) {
			d, body := start(b), message(alerts)
			sizes := records(b, body)
			d.post(b, body) // opens the incidents
			d.drained(b)
			for _, clients := range []int{1, 32} {
				b.Run(fmt.Sprintf("clients=%d/ingest", clients), func(b *testing.B) {
					crowd(b, clients, func(int) { d.post(b, body) })
					b.ReportMetric(float64(alerts)*float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
					last := time.Now()
					d.drained(b)
					b.ReportMetric(float64(time.Since(last).Milliseconds()), "drain-ms")
				})
				b.Run(fmt.Sprintf("clients=%d/bare", clients), func(b *testing.B) {
					crowd(b, clients, func(i int) { d.bare(b, i, sizes) })
				})
			}
		})
	}
}

// crowd does f b.N times with so many at once, and tells the latencies.
func crowd(b *testing.B, clients int, f func(i int)) {
	b.ReportAllocs()
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range clients {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				began := time.Now()
				f(int(i))
				took[i] = time.Since(began)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	for _, p := range []struct {
		name string
		rank int
	}{{"p50-ms", len(took) / 2}, {"p99-ms", len(took) * 99 / 100}} {
		b.ReportMetric(float64(took[p.rank].Microseconds())/1e3, p.name)
	}
}

// client keeps a connection for each of the crowd.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience}

func (d *daemon) post(b *testing.B, body []byte) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, d.webhooks, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Errorf("answered %s: %s %v", resp.Status, said, err)
	}
}

// bare writes what the record of a message is to the store, and nothing else.
// The keys are new each time, as the inbox's are.
func (d *daemon) bare(b *testing.B, i int, sizes []int) {
	for part, size := range sizes {
		txn := store.Txn{Puts: []store.Put{{Key: fmt.Sprintf("bench/%d/%d/%d", time.Now().UnixNano(), i, part), Value: make([]byte, size)}}}
		if _, err := d.store.Commit(b.Context(), txn); err != nil {
			b.Error(err)
		}
	}
}

// records returns the sizes of the inbox records that a message becomes.
func records(b *testing.B, body []byte) []int {
	b.Helper()
	settings := alertmanager.Kind().Settings().(*alertmanager.Settings)
	settings.Receive = path
	opened, err := alertmanager.Kind().Open("alerts", settings, kind.Env{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	src := opened.(*alertmanager.Source)
	batch, err := src.Decode(nil, body, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	s := mem.New()
	j, err := journal.Open(b.Context(), s, journal.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := j.PutInbox(b.Context(), alerts.Assign(batch, nil, alerts.Fallback("alerts"))); err != nil {
		b.Fatal(err)
	}
	kvs, _, err := s.List(context.WithoutCancel(b.Context()), journal.InboxPrefix)
	if err != nil || len(kvs) == 0 {
		b.Fatal(len(kvs), err)
	}
	var sizes []int
	for _, kv := range kvs {
		sizes = append(sizes, len(kv.Value))
	}
	return sizes
}

// message is one of Alertmanager's, of n alerts of the usual size.
func message(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"receiver":"signalbox","status":"firing","alerts":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"status":"firing","labels":{"alertname":"HighLatency","cluster":"eu-1","instance":"10.0.%d.%d:9100","job":"node","namespace":"core","severity":"critical"},`+
			`"annotations":{"summary":"p99 latency of instance %d is 1.2s","description":"It has been above 1s for 5 minutes.","runbook_url":"https://runbooks.example/latency"},`+
			`"startsAt":"2026-03-01T10:00:00.123456789Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus:9090/graph?g0.expr=x\u0026g0.tab=1"}`, i/256, i%256, i)
	}
	b.WriteString(`],"groupLabels":{"alertname":"HighLatency"},"commonLabels":{"alertname":"HighLatency"},"commonAnnotations":{},"externalURL":"http://alertmanager:9093","version":"4","groupKey":"{}:{}","truncatedAlerts":0}`)
	return b.Bytes()
}
