package datadog

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	ddapi "github.com/DataDog/datadog-api-client-go/v2/api/datadog"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// attempts is how often one question is sent at most.
const attempts = 3

// backoff is how long is waited before the second attempt after a fault of the
// server or of the network; before the third it is twice that.
const backoff = 200 * time.Millisecond

// maxText bounds, in bytes, what of Datadog's text is repeated.
const maxText = 300

// call sends one request to an endpoint, within its rate limit. It tries again
// after 429, 5xx and faults of the network, as long as ctx's deadline allows.
// Its errors hold neither credentials nor addresses.
func call[T any](ctx context.Context, s *Source, endpoint string, send func(ctx context.Context) (T, *http.Response, error)) (T, error) {
	var zero T
	l := s.limiter(endpoint)
	var last error
	for attempt := range attempts {
		if attempt > 0 && !transient(ctx, last) {
			break
		}
		if attempt > 0 && httpclient.Status(last) != http.StatusTooManyRequests { // for 429 the limiter waits
			if !s.rest(ctx, max(backoff<<(attempt-1), asked(last))) {
				break
			}
		}
		if err := l.enter(ctx); err != nil {
			return zero, first(last, httpclient.Explain(err))
		}
		value, err := attemptOnce(ctx, s, l, send)
		switch {
		case err == nil:
			return value, nil
		case ended(err):
			return zero, first(last, err)
		}
		last = err
	}
	return zero, last
}

// first is the error that says more: an answer of Datadog's to an earlier
// attempt, before that there was no time for another one.
func first(answered, waiting error) error {
	if answered != nil {
		return answered
	}
	return waiting
}

// attemptOnce sends the request once.
func attemptOnce[T any](ctx context.Context, s *Source, l *limiter, send func(ctx context.Context) (T, *http.Response, error)) (T, error) {
	var zero T
	authorized, err := s.keys.with(ctx)
	if err != nil {
		l.leave(0, nil, 0)
		return zero, err
	}
	value, resp, err := send(authorized)
	status, header := 0, http.Header(nil)
	if resp != nil {
		status, header = resp.StatusCode, resp.Header
	}
	if err == nil {
		l.leave(status, header, 0)
		return value, nil
	}
	err = s.explain(err, status, header)
	l.leave(max(status, httpclient.Status(err)), header, asked(err))
	return zero, err
}

// asked is how long the server asked to wait; 0: it did not.
func asked(err error) time.Duration {
	if r, ok := errors.AsType[*signalbox.RetryAfter](err); ok {
		return r.After
	}
	return 0
}

// rest waits before another attempt; false where there is no time for it.
func (s *Source) rest(ctx context.Context, wait time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && s.now().Add(wait).After(deadline) {
		return false
	}
	return pause(ctx, wait, nil) == nil
}

// transient reports whether another attempt may fare better.
func transient(ctx context.Context, err error) bool {
	status := httpclient.Status(err)
	switch {
	case err == nil || ctx.Err() != nil || errors.Is(err, errKey):
		return false
	case errors.Is(err, httpclient.ErrTooLarge), errors.Is(err, errShape):
		return false
	}
	return status == 0 || status == http.StatusTooManyRequests || status >= 500
}

// Errors of the shape of things.
var (
	errShape = errors.New("the answer is not what Datadog's API gives")
	errKey   = errors.New("a key of the source is missing")
)

// explain makes a plain error of what Datadog's client says: its status and
// Datadog's own words, bounded and without what we sent as credentials.
func (s *Source) explain(err error, status int, h http.Header) error {
	api, ok := errors.AsType[ddapi.GenericOpenAPIError](err)
	switch {
	case !ok:
		return httpclient.Explain(err)
	case status/100 == 2:
		return errShape // it could not be decoded; why may hold any text
	}
	e := &httpclient.Error{Status: status, What: s.client.Plain(words(api.Body()), maxText)}
	return httpclient.After(e, h, s.now())
}

// words finds the messages in the body of an error.
func words(body []byte) string {
	var in struct {
		Errors []json.RawMessage `json:"errors"`
		Error  json.RawMessage   `json:"error"`
	}
	if json.Unmarshal(body, &in) != nil {
		return ""
	}
	var said []string
	for _, raw := range append(in.Errors, in.Error) {
		var text string
		var object struct{ Title, Detail, Error string }
		switch {
		case json.Unmarshal(raw, &text) == nil && text != "":
			said = append(said, text)
		case json.Unmarshal(raw, &object) == nil:
			said = append(said, strings.TrimSpace(object.Title+" "+object.Detail+" "+object.Error))
		}
	}
	return strings.Join(said, "; ")
}
