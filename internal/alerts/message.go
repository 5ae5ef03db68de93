package alerts

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Message is the body of a webhook: a part of one group of alerts.
type Message struct {
	Receiver  string
	Alerts    []Alert
	Truncated int64 // alerts of the group that it leaves out
	OrgID     int64 // Grafana; 0: not told

	version string
	status  string // of the group: read to check the shape, and ignored
	listed  bool   // the key alerts is there
}

// ReadMessage reads a webhook. The group's own status is ignored: it is firing
// while any of its alerts fires. A message of another shape is refused whole.
func ReadMessage(d Dialect, body []byte) (*Message, error) {
	r, err := newReader(body)
	if err != nil {
		return nil, err
	}
	m := &Message{}
	err = r.object(func(name string) error {
		switch name {
		case "version":
			return r.text(&m.version)
		case "receiver":
			return r.text(&m.Receiver)
		case "status":
			return r.text(&m.status)
		case "truncatedAlerts":
			return r.count(&m.Truncated)
		case "orgId":
			return r.count(&m.OrgID)
		case "alerts":
			m.listed = true
			return r.alerts(&m.Alerts)
		}
		return r.skip()
	})
	if err != nil {
		return nil, err
	}
	return m, m.check(d)
}

// alerts reads an array of alerts.
func (r *reader) alerts(into *[]Alert) error {
	return r.array(func(i int) error {
		if i >= mostAlerts {
			return fmt.Errorf("must be at most %d alerts; set the sender's bound of alerts in one message", mostAlerts)
		}
		var a Alert
		err := a.read(r)
		*into = append(*into, a)
		return err
	})
}

func (m *Message) check(d Dialect) error {
	switch {
	case m.version == "":
		return fmt.Errorf("version: must be %q, and is missing; is the body made by a template, or by another program?", d.Version)
	case m.version != d.Version:
		return fmt.Errorf("version: must be %q, got %s", d.Version, quote(m.version))
	case m.Receiver == "":
		return errors.New("receiver: must be given")
	case m.status != "firing" && m.status != "resolved":
		return fmt.Errorf("status: must be firing or resolved, got %s", quote(m.status))
	case !m.listed:
		return errors.New("alerts: must be given")
	}
	return nil
}

// Expect refuses the message of a receiver other than the configured one; ""
// takes all. Senders write the name with its special characters escaped, as
// for a regular expression.
func (m *Message) Expect(receiver string) error {
	if receiver == "" || m.Receiver == receiver || m.Receiver == regexp.QuoteMeta(receiver) {
		return nil
	}
	return fmt.Errorf("receiver: must be %q, as configured, got %s", receiver, quote(m.Receiver))
}

// ReadList reads what API v2 lists: the alerts that fire.
func ReadList(body []byte) ([]Alert, error) {
	r, err := newReader(body)
	if err != nil {
		return nil, err
	}
	var list []Alert
	err = r.alerts(&list)
	return list, err
}

// RoutedTo reports whether the alert goes to a receiver; "" is all of them.
func (a *Alert) RoutedTo(receiver string) bool {
	return receiver == "" || slices.Contains(a.Receivers, receiver)
}

// ReadStarted reads from API v2's status when the server started.
func ReadStarted(body []byte) (time.Time, error) {
	var started time.Time
	r, err := newReader(body)
	if err != nil {
		return started, err
	}
	err = r.object(func(name string) error {
		if name == "uptime" {
			return r.moment(&started)
		}
		return r.skip()
	})
	if err == nil && started.IsZero() {
		err = errors.New("uptime: must be given")
	}
	return started, err
}
