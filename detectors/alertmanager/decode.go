package alertmanager

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// message is the body of a webhook, version 4.
type message struct {
	version   string
	receiver  string
	status    string // of the group: read to check the shape, and ignored
	alerts    []alert
	listed    bool // the key alerts is there
	truncated int64
}

// Verify has nothing to check: a webhook of Alertmanager is not signed, and
// the source's door has authenticated it.
func (s *Source) Verify(http.Header, []byte, time.Time) error { return nil }

// Decode reads a webhook of version 4 into one Reading an alert, without a
// detector. The group's own status is ignored: it is firing while any of its
// alerts fires. A message of another shape, with an alert that Alertmanager
// would not have sent, or from another receiver is refused whole. It does no
// I/O and is safe for concurrent use.
func (s *Source) Decode(_ http.Header, body []byte, at time.Time) (signalbox.Batch, error) {
	b := signalbox.Batch{Source: s.name, At: at}
	if int64(len(body)) > s.maxBody {
		return b, fmt.Errorf("source %q: the body must have at most %d bytes, got %d", s.name, s.maxBody, len(body))
	}
	m, err := readMessage(body)
	if err == nil {
		err = s.expects(m)
	}
	if err != nil {
		return b, fmt.Errorf("source %q: not a webhook of Alertmanager: %w", s.name, err)
	}
	b.Readings = make([]signalbox.Reading, 0, len(m.alerts))
	for i := range m.alerts {
		a := &m.alerts[i]
		err := a.check(at)
		var r signalbox.Reading
		if err == nil {
			r, err = a.delivered(s.origin, at)
		}
		if err != nil {
			return signalbox.Batch{Source: s.name, At: at}, fmt.Errorf("source %q: alerts[%d]: %w", s.name, i, err)
		}
		b.Readings = append(b.Readings, r)
	}
	if m.truncated > 0 {
		b.Incomplete = fmt.Sprintf("Alertmanager left %d alerts of the group out of its message (max_alerts)", m.truncated)
	}
	return b, nil
}

func readMessage(body []byte) (*message, error) {
	r, err := newReader(body)
	if err != nil {
		return nil, err
	}
	m := &message{}
	err = r.object(func(name string) error {
		switch name {
		case "version":
			return r.text(&m.version)
		case "receiver":
			return r.text(&m.receiver)
		case "status":
			return r.text(&m.status)
		case "truncatedAlerts":
			return r.count(&m.truncated)
		case "alerts":
			m.listed = true
			return r.alerts(&m.alerts)
		}
		return r.skip()
	})
	if err != nil {
		return nil, err
	}
	return m, m.check()
}

// alerts reads an array of alerts.
func (r *reader) alerts(into *[]alert) error {
	return r.array(func(i int) error {
		if i >= mostAlerts {
			return fmt.Errorf("must be at most %d alerts; set max_alerts in Alertmanager's receiver", mostAlerts)
		}
		var a alert
		err := a.read(r)
		*into = append(*into, a)
		return err
	})
}

func (m *message) check() error {
	switch {
	case m.version == "":
		return errors.New(`version: must be "4", and is missing; is the body made by a template, or by another program?`)
	case m.version != "4":
		return fmt.Errorf(`version: must be "4", got %s`, quote(m.version))
	case m.receiver == "":
		return errors.New("receiver: must be given")
	case m.status != "firing" && m.status != "resolved":
		return fmt.Errorf("status: must be firing or resolved, got %s", quote(m.status))
	case !m.listed:
		return errors.New("alerts: must be given")
	}
	return nil
}

// expects refuses the message of a receiver other than the configured one.
// Alertmanager writes the name with its special characters escaped, as for a
// regular expression (template.Data).
func (s *Source) expects(m *message) error {
	if s.receiver == "" || m.receiver == s.receiver || m.receiver == regexp.QuoteMeta(s.receiver) {
		return nil
	}
	return fmt.Errorf("receiver: must be %q, as configured, got %s", s.receiver, quote(m.receiver))
}
