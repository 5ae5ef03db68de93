package grafana

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// alertsPath is where Grafana's own Alertmanager lists what fires, as API v2 of
// Alertmanager does. See https://grafana.com/docs/grafana/latest/developers/http_api/alerting/.
const alertsPath = "/api/alertmanager/grafana/api/v2/alerts"

// post is the part of a Source that posts Grafana-managed alerts to us and is
// asked for those that fire: signalbox.Receiver and signalbox.Completer. It is
// safe for concurrent use.
//
//	webhook v1 -> Verify -> Decode   -> Batch of Readings, one an alert, no detector yet
//	API v2     ---------> Present    -> the same, Confirmed, with Suppressed filled in
//	judged     what Grafana could not judge is Unknown, neither a breach nor an end
//	ledger     what Grafana no longer names is Unknown at first, and ended when it lasts
type post struct {
	source    string // its name
	receives  bool   // there is a path for webhooks
	origin    string
	receiver  string // contact point; "": all
	orgID     int64  // 0: any
	timeout   time.Duration
	receiving alerts.Receiving
	signed    *signature // nil: messages are not signed
	client    *httpclient.Client
	ledger    *ledger
}

var (
	_ signalbox.Receiver  = (*post)(nil)
	_ signalbox.Completer = (*post)(nil)
)

// Receiving says how it posts.
func (p *post) Receiving() alerts.Receiving { return p.receiving }

// Present reads all alerts that fire, silenced and inhibited ones too, with
// what suppresses them, and those that are missing and not yet taken as ended.
//
// Synced is set when what the batch does not name has surely ended: not before
// warm_up has passed since the first look, and not while a rule of the contact
// point can't be judged, since the alerts of such a rule vanish without having
// ended. A *signalbox.RetryAfter says when to ask again.
func (p *post) Present(ctx context.Context, at time.Time) (signalbox.Batch, error) {
	b := signalbox.Batch{Source: p.source, At: at}
	list, err := p.list(ctx)
	if err != nil {
		return b, fmt.Errorf("source %q: alerts: %w", p.source, err)
	}
	readings, judged := make([]signalbox.Reading, 0, len(list)), true
	for i := range list {
		a := &list[i]
		if !a.RoutedTo(p.receiver) {
			continue
		}
		if err := a.Check(dialect, at); err != nil {
			return b, fmt.Errorf("source %q: alerts: [%d]: %w", p.source, i, err)
		}
		judged = judged && !isStandIn(a.Labels)
		readings = append(readings, p.present(a, at))
	}
	absent, whole := p.ledger.looked(readings, at)
	b.Readings, b.Synced = append(readings, absent...), whole && judged
	return b, nil
}

func (p *post) present(a *alerts.Alert, at time.Time) signalbox.Reading {
	a.Shown()
	return judged(a, a.Present(dialect, p.origin, at))
}

func (p *post) list(ctx context.Context) ([]alerts.Alert, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	q := url.Values{"active": {"true"}, "silenced": {"true"}, "inhibited": {"true"}}
	if p.receiver != "" {
		q.Set("receiver", regexp.QuoteMeta(p.receiver)) // it is matched as a whole
	}
	var body json.RawMessage
	if err := p.client.JSON(ctx, http.MethodGet, alertsPath, q, nil, &body, nil); err != nil {
		return nil, err
	}
	if int64(len(body)) > p.receiving.MaxBody {
		return nil, fmt.Errorf("the answer must have at most %d bytes (max_body), got %d", p.receiving.MaxBody, len(body))
	}
	return alerts.ReadList(body)
}
