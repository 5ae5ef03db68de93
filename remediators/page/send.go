package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/PagerDuty/go-pagerduty"
	signalbox "github.com/signalbox/signalbox"
)

const (
	sendTimeout = 10 * time.Second // of one request, when ctx allows more
	mostAnswer  = 64 << 10         // bytes of an answer that are read

	// defaultPause is how long to wait after a 429 that does not say; the
	// limits start again each minute. mostPause bounds what it can say: a page
	// must go out.
	defaultPause = 15 * time.Second
	mostPause    = 5 * time.Minute
)

// errNotSent marks an error of the gate: nothing was sent.
var errNotSent = errors.New("not sent")

// exchange is the HTTP client of one request. go-pagerduty hides the status
// and the headers of an answer, and the cause of an error that is none of
// PagerDuty's; exchange keeps them, and bounds the answer.
type exchange struct {
	client *http.Client
	agent  string
	gate   func() error // nil: none

	status int
	header http.Header
	body   []byte // of any status but 202
	err    error
}

// Do implements pagerduty.HTTPClient.
func (x *exchange) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("User-Agent", x.agent)
	if x.gate != nil {
		if err := x.gate(); err != nil {
			x.err = fmt.Errorf("%w: %w", errNotSent, err)
			return nil, x.err
		}
	}
	resp, err := x.client.Do(r)
	if err != nil {
		x.err = err
		return nil, err
	}
	x.status, x.header = resp.StatusCode, resp.Header
	resp.Body = &bounded{Reader: io.LimitReader(resp.Body, mostAnswer), Closer: resp.Body}
	if resp.StatusCode != http.StatusAccepted {
		defer resp.Body.Close()
		x.body, _ = io.ReadAll(resp.Body) // of a refusal: what can be read of it
		resp.Body = io.NopCloser(bytes.NewReader(x.body))
	}
	return resp, nil
}

type bounded struct {
	io.Reader
	io.Closer
}

// send sends one event once. Its errors are as kind.Pager says, and never
// hold the routing key.
func (r *Remediator) send(ctx context.Context, a address, e *pagerduty.V2Event, gate func() error) error {
	if wait := r.spend(a.URL, e.RoutingKey, eventsPerSecond); wait > 0 {
		return &signalbox.RetryAfter{After: wait, Err: errors.New("pagerduty: held back: more than a minute's events were sent with this routing key")}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	x := &exchange{client: r.client, agent: r.env.Agent, gate: gate}
	c := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(a.URL))
	c.HTTPClient = x
	answer, err := c.ManageEventWithContext(ctx, e)
	switch {
	case x.err != nil:
		return sendError(x.err)
	case x.status == http.StatusAccepted && err == nil && answer.Status == "success":
		return nil
	case x.status == http.StatusAccepted && ctx.Err() != nil:
		return fmt.Errorf("pagerduty: the answer broke off: %w", ctx.Err())
	case x.status == http.StatusAccepted:
		return errors.New("pagerduty: answered 202 without the words of an accepted event; is something else at this url?")
	case x.status == 0:
		return errors.New("pagerduty: the event could not be written as a request")
	}
	return r.statusError(x, explain(x.body, e.RoutingKey))
}

// sendError tells what went wrong on the way. The URL is left out: what a
// person configured is in the owner's settings.
func sendError(err error) error {
	if errors.Is(err, errNotSent) {
		return &signalbox.Failure{Reason: "pagerduty", Err: err}
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return fmt.Errorf("pagerduty: %w", err)
}

// statusError sorts an answer. PagerDuty documents that a 400 must not be
// retried and that a 429 and 5xx may be; 413 is an event that is too large.
// Any other status is something in between, which may mend: a page is not
// given up for it.
func (r *Remediator) statusError(x *exchange, why string) error {
	err := fmt.Errorf("pagerduty: answered status %d %s%s", x.status, http.StatusText(x.status), why)
	after, said := retryAfter(x.header, r.env.Now())
	switch {
	case x.status == http.StatusBadRequest, x.status == http.StatusRequestEntityTooLarge:
		return &signalbox.Failure{Reason: "the event is refused", Err: err}
	case x.status == http.StatusTooManyRequests && !said:
		return &signalbox.RetryAfter{After: defaultPause, Err: err}
	case said && (x.status == http.StatusTooManyRequests || x.status >= 500):
		return &signalbox.RetryAfter{After: after, Err: err}
	}
	return err
}

// retryAfter reads Retry-After: seconds or a date (RFC 9110, 10.2.3).
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0, false
	}
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(max(time.Duration(n)*time.Second, time.Second), mostPause), true
	}
	if t, err := http.ParseTime(text); err == nil {
		return min(max(t.Sub(now), time.Second), mostPause), true
	}
	return 0, false
}

// explain adds PagerDuty's own words, where the answer is one of its own,
// without the routing key that they may repeat.
func explain(body []byte, routingKey string) string {
	var said pagerduty.EventsAPIV2ErrorObject
	if json.Unmarshal(body, &said) != nil || said.Status == "" && said.Message == "" {
		return ""
	}
	text := strings.Join(append([]string{said.Status, said.Message}, said.Errors...), "; ")
	return ": " + plain(strings.ReplaceAll(text, routingKey, "[routing key]"), 300)
}
