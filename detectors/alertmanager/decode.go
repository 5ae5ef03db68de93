package alertmanager

import (
	"fmt"
	"net/http"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
)

// dialect is how Alertmanager speaks: version 4 of its webhook.
var dialect = alerts.Dialect{Sender: "Alertmanager", Version: "4", Generator: "expression", Hashed: true}

// Verify has nothing to check: a webhook of Alertmanager is not signed, and
// the source's door has authenticated it.
func (s *Source) Verify(http.Header, []byte, time.Time) error { return nil }

// Decode reads a webhook of version 4 into one Reading an alert, without a
// detector. A message of another shape, with an alert that Alertmanager would
// not have sent, or from another receiver is refused whole. It does no I/O and
// is safe for concurrent use.
func (s *Source) Decode(_ http.Header, body []byte, at time.Time) (signalbox.Batch, error) {
	b := signalbox.Batch{Source: s.name, At: at}
	if int64(len(body)) > s.receiving.MaxBody {
		return b, fmt.Errorf("source %q: the body must have at most %d bytes, got %d", s.name, s.receiving.MaxBody, len(body))
	}
	m, err := alerts.ReadMessage(dialect, body)
	if err == nil {
		err = m.Expect(s.receiver)
	}
	if err != nil {
		return b, fmt.Errorf("source %q: not a webhook of Alertmanager: %w", s.name, err)
	}
	b.Readings = make([]signalbox.Reading, 0, len(m.Alerts))
	for i := range m.Alerts {
		a := &m.Alerts[i]
		err := a.Check(dialect, at)
		var r signalbox.Reading
		if err == nil {
			r, err = a.Delivered(dialect, s.origin, at)
		}
		if err != nil {
			return signalbox.Batch{Source: s.name, At: at}, fmt.Errorf("source %q: alerts[%d]: %w", s.name, i, err)
		}
		b.Readings = append(b.Readings, r)
	}
	if m.Truncated > 0 {
		b.Incomplete = fmt.Sprintf("Alertmanager left %d alerts of the group out of its message (max_alerts)", m.Truncated)
	}
	return b, nil
}
