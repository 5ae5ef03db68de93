package alertmanager

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/httpclient"
)

func FuzzDecode(f *testing.F) {
	f.Add([]byte(fixture(f, "two_alerts.json")))
	f.Add([]byte(`{"version":"4","receiver":"r","status":"firing","alerts":[],"truncatedAlerts":3}`))
	f.Add([]byte(`{"version":"4","receiver":"r","status":"firing","alerts":[{"status":"firing","labels":{"a":"\ud800"},"startsAt":"2026-03-01T10:00:00Z"}]}`))
	f.Add([]byte(fixture(f, "present.json")))
	src := opened(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := src.Decode(nil, body, at)
		if err != nil {
			if len(b.Readings) != 0 {
				t.Fatal("a refused message has readings")
			}
			return
		}
		for _, r := range b.Readings {
			holds(t, r)
		}
		again, err := src.Decode(nil, body, at)
		x, _ := json.Marshal(b)
		y, _ := json.Marshal(again)
		if err != nil || !bytes.Equal(x, y) {
			t.Fatal("the same message is read in two ways")
		}
	})
}

// holds checks what every delivered reading has.
func holds(t *testing.T, r signalbox.Reading) {
	t.Helper()
	switch {
	case len(r.Series) != 16 || r.Episode == "" || len(r.Labels) == 0 || r.Confirmed:
		t.Fatalf("identity: %+v", r)
	case r.Condition != signalbox.Breached && r.Condition != signalbox.Clear:
		t.Fatalf("condition: %+v", r)
	case r.OnsetAt.After(at.Add(24*time.Hour)) || r.OnsetAt.IsZero() || r.EndedAt.IsZero() != (r.Condition == signalbox.Breached):
		t.Fatalf("times: %+v", r)
	case len(r.Summary) > 1024 || r.Summary != httpclient.Plain(r.Summary, 1024):
		t.Fatalf("summary: %q", r.Summary)
	}
	if _, err := time.Parse(time.RFC3339Nano, r.Episode); err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	if own, ok := alerts.Fallback("alerts").Select(r); !ok || own.Subject == "" {
		t.Fatalf("dropped: %+v", r)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("alerts=%d", n), func(b *testing.B) {
			body, src := group(n), opened(b, nil)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := src.Decode(nil, body, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// group is a message of n alerts of the usual size.
func group(n int) []byte {
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
