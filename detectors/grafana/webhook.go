package grafana

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/kind"
)

// dialect is how Grafana speaks: version 1 of its webhook. It hides the labels
// of its own ("__alert_rule_uid__"), so a fingerprint can't be computed again.
// See https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/.
var dialect = alerts.Dialect{Sender: "Grafana", Version: "1", Generator: "rule"}

// Errors of Verify.
var (
	errNoSignature = errors.New("the message has not exactly one signature, of 64 hexadecimal digits")
	errNoTimestamp = errors.New("the message has not exactly one time of signing, in seconds from 1970")
)

// signature is how a contact point signs: the hexadecimal HMAC-SHA256 of the
// body, after "<seconds>:" where it has a header for the time.
type signature struct {
	secret    func() (string, error) // read at each use, so that a rotated file counts at once
	header    string
	timestamp string // header of the time; "": it is not signed
	skew      time.Duration
}

// verify refuses a message that was not signed with the secret, or too long
// ago. kind.ErrNoSecret is a fault of ours.
func (g *signature) verify(h http.Header, body []byte, at time.Time) error {
	secret, err := g.secret()
	if err != nil || secret == "" {
		return kind.ErrNoSecret
	}
	given, err := hex.DecodeString(only(h, g.header))
	if err != nil || len(given) != sha256.Size {
		return errNoSignature
	}
	mac := hmac.New(sha256.New, []byte(secret))
	stamp := only(h, g.timestamp)
	if g.timestamp != "" {
		mac.Write([]byte(stamp + ":"))
	}
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), given) {
		return kind.ErrBadCredential
	}
	if g.timestamp == "" {
		return nil
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || seconds < 0 || seconds > maxSeconds {
		return errNoTimestamp
	}
	if age := at.Sub(time.Unix(seconds, 0)); age.Abs() > g.skew {
		return fmt.Errorf("the message must be signed within %s of this clock, and is %s off", g.skew, age.Round(time.Second))
	}
	return nil
}

// maxSeconds is far beyond this century, and its differences fit a Duration.
const maxSeconds = 1 << 33

// only is the one value of a header; "" where it has none or several.
func only(h http.Header, name string) string {
	if values := h.Values(name); name != "" && len(values) == 1 {
		return values[0]
	}
	return ""
}

// Verify checks the message's signature, where the source has a secret.
func (p *post) Verify(h http.Header, body []byte, at time.Time) error {
	if p.signed == nil {
		return nil // its door has authenticated it
	}
	return p.signed.verify(h, body, at)
}

// Decode reads a webhook of version 1 into one Reading an alert, without a
// detector. A message of another shape, with an alert that Grafana would not
// have sent, of another contact point or organization is refused whole.
func (p *post) Decode(_ http.Header, body []byte, at time.Time) (signalbox.Batch, error) {
	b := signalbox.Batch{Source: p.source, At: at}
	if int64(len(body)) > p.receiving.MaxBody {
		return b, fmt.Errorf("source %q: the body must have at most %d bytes, got %d", p.source, p.receiving.MaxBody, len(body))
	}
	m, err := alerts.ReadMessage(dialect, body)
	if err == nil {
		err = m.Expect(p.receiver)
	}
	if err == nil && p.orgID > 0 && m.OrgID != p.orgID {
		err = fmt.Errorf("orgId: must be %d, as configured, got %d", p.orgID, m.OrgID)
	}
	if err != nil {
		return b, fmt.Errorf("source %q: not a webhook of Grafana: %w", p.source, err)
	}
	readings := make([]signalbox.Reading, 0, len(m.Alerts))
	for i := range m.Alerts {
		r, err := p.delivered(&m.Alerts[i], at)
		if err != nil {
			return b, fmt.Errorf("source %q: alerts[%d]: %w", p.source, i, err)
		}
		readings = append(readings, r)
	}
	if m.Truncated > 0 {
		b.Incomplete = fmt.Sprintf("Grafana left %d alerts of the group out of its message (max alerts)", m.Truncated)
	}
	for i := range readings {
		p.ledger.heard(m.Alerts[i].Status == "firing", &readings[i], at)
	}
	b.Readings = readings
	return b, nil
}

func (p *post) delivered(a *alerts.Alert, at time.Time) (signalbox.Reading, error) {
	if err := a.Check(dialect, at); err != nil {
		return signalbox.Reading{}, err
	}
	a.Shown()
	r, err := a.Delivered(dialect, p.origin, at)
	if err != nil {
		return r, err
	}
	return judged(a, r), nil
}
