package alertmanager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// mostPause bounds, in seconds, how long a server can send us away.
const mostPause = 600

// ErrNoAPI says that the source was configured without its API's url.
var ErrNoAPI = errors.New("the source has no url, so its present state can't be read")

// Present reads all alerts that fire from API v2, silenced and inhibited ones
// too, with what suppresses them. at is a moment before the call: an alert
// that was delivered after it may be missing.
//
// Synced is set unless Alertmanager started less than warm_up ago: it keeps no
// alerts while it is down, so its list proves the alerts that it names and
// not the end of others. A *signalbox.RetryAfter says when to ask again.
func (s *Source) Present(ctx context.Context, at time.Time) (signalbox.Batch, error) {
	b := signalbox.Batch{Source: s.name, At: at}
	if s.base == nil {
		return b, fmt.Errorf("source %q: %w", s.name, ErrNoAPI)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	list, err := s.alerts(ctx)
	if err != nil {
		return b, err
	}
	// Asked last: a restart before the list was taken shows.
	up, err := s.uptime(ctx, at)
	if err != nil {
		return b, err
	}
	b.Synced = up >= s.warmUp
	for i := range list {
		a := &list[i]
		if !a.RoutedTo(s.receiver) {
			continue
		}
		if err := a.Check(dialect, at); err != nil {
			return signalbox.Batch{Source: s.name, At: at}, fmt.Errorf("source %q: api v2: alerts[%d]: %w", s.name, i, err)
		}
		b.Readings = append(b.Readings, a.Present(dialect, s.origin, at))
	}
	return b, nil
}

func (s *Source) alerts(ctx context.Context) ([]alerts.Alert, error) {
	q := url.Values{"active": {"true"}, "silenced": {"true"}, "inhibited": {"true"}, "unprocessed": {"true"}}
	if s.receiver != "" {
		q.Set("receiver", regexp.QuoteMeta(s.receiver)) // it is matched as a whole
	}
	body, _, err := s.get(ctx, "alerts", q)
	if err != nil {
		return nil, err
	}
	list, err := alerts.ReadList(body)
	if err != nil {
		return nil, s.wrap("alerts", err)
	}
	return list, nil
}

// uptime is how long Alertmanager has run, by its own clock.
func (s *Source) uptime(ctx context.Context, at time.Time) (time.Duration, error) {
	body, header, err := s.get(ctx, "status", nil)
	if err != nil {
		return 0, err
	}
	started, err := alerts.ReadStarted(body)
	if err != nil {
		return 0, s.wrap("status", err)
	}
	now := at
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return now.Sub(started), nil
}

// get asks API v2 for one thing and returns the whole body of a 200 in JSON.
func (s *Source) get(ctx context.Context, what string, query url.Values) ([]byte, http.Header, error) {
	u := s.base.JoinPath(what)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, s.wrap(what, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, s.wrap(what, transportError(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, s.wrap(what, statusError(resp))
	}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return nil, nil, s.wrap(what, fmt.Errorf("answered %s where JSON was asked for", strconv.Quote(httpclient.Plain(resp.Header.Get("Content-Type"), 80))))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, s.receiving.MaxBody+1))
	if err != nil {
		return nil, nil, s.wrap(what, fmt.Errorf("the answer broke off: %w", err))
	}
	if int64(len(body)) > s.receiving.MaxBody {
		return nil, nil, s.wrap(what, fmt.Errorf("the answer must have at most %d bytes (max_body)", s.receiving.MaxBody))
	}
	return body, resp.Header, nil
}

func (s *Source) wrap(what string, err error) error {
	return fmt.Errorf("source %q: api v2: %s: %w", s.name, what, err)
}

// transportError says what went wrong on the way, without the address and
// without what a malformed answer holds.
func transportError(err error) error { return httpclient.Explain(err) }

// statusError tells a status without the body, which may be of any making.
// Where the server says when to come back, it is a *signalbox.RetryAfter.
func statusError(resp *http.Response) error {
	err := fmt.Errorf("answered status %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	seconds, parseErr := strconv.Atoi(resp.Header.Get("Retry-After"))
	if parseErr != nil || seconds < 0 {
		return err
	}
	return &signalbox.RetryAfter{After: time.Duration(min(seconds, mostPause)) * time.Second, Err: err}
}
