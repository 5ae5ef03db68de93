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
	"slices"
	"strings"

	signalbox "github.com/signalbox/signalbox"
)

// mostListed is how many bytes of an answer of the REST API are read.
const mostListed = 1 << 20

// call is one request of the REST API. The requests are written here:
// go-pagerduty sends members with them (a null priority, an empty user) that
// PagerDuty's own description of the API does not take.
type call struct {
	method string
	path   string // begins with a slash
	query  url.Values
	body   any          // nil: none
	into   any          // what the answer is read into; nil: it is not read
	gate   func() error // asked last thing before the request; nil: none
}

// refusal is an answer other than 2xx.
type refusal struct {
	status int
	said   string // by PagerDuty, without the key
}

func (e *refusal) Error() string {
	return fmt.Sprintf("pagerduty: answered status %d %s%s", e.status, http.StatusText(e.status), e.said)
}

// statusOf is the status that stands behind an error; 0: there was none.
func statusOf(err error) int {
	if e, ok := errors.AsType[*refusal](err); ok {
		return e.status
	}
	return 0
}

// refused makes a *signalbox.Failure of an answer whose status is one of those
// after which the same request would be refused again.
func refused(err error, reason string, statuses ...int) error {
	if slices.Contains(statuses, statusOf(err)) {
		return &signalbox.Failure{Reason: reason, Err: err}
	}
	return err
}

// call sends one request once. Its errors are *signalbox.RetryAfter where the
// limit or PagerDuty asks to wait, hold a *refusal where PagerDuty answered
// otherwise than with 2xx, and never hold the key.
func (r *Remediator) call(ctx context.Context, p *api, c call) error {
	key, err := p.key()
	if err != nil { // it may be mounted soon, or is being replaced
		return fmt.Errorf("pagerduty: %w", err)
	}
	if wait := r.spend(p.URL, key, requestsPerSecond); wait > 0 {
		return &signalbox.RetryAfter{After: wait, Err: errors.New("pagerduty: held back: more than a minute's requests were sent with this api key")}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := p.request(ctx, c, key)
	if err != nil {
		return &signalbox.Failure{Reason: "pagerduty", Err: err}
	}
	req.Header.Set("User-Agent", r.env.Agent)
	if c.gate != nil {
		if err := c.gate(); err != nil {
			return sendError(fmt.Errorf("%w: %w", errNotSent, err))
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return sendError(err)
	}
	defer resp.Body.Close()
	body, broke := io.ReadAll(io.LimitReader(resp.Body, mostListed))
	if resp.StatusCode/100 != 2 {
		return r.refusal(resp, body, key)
	}
	if broke != nil {
		return fmt.Errorf("pagerduty: the answer broke off: %w", cause(broke))
	}
	if c.into != nil && json.Unmarshal(body, c.into) != nil {
		return errors.New("pagerduty: answered with what is not the JSON that was asked for; is something else at this api_url?")
	}
	return nil
}

func (p *api) request(ctx context.Context, c call, key string) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if c.body != nil {
		raw, err := json.Marshal(c.body)
		if err != nil {
			return nil, errors.New("the request could not be written")
		}
		body = bytes.NewReader(raw)
	}
	address := p.URL + c.path
	if len(c.query) > 0 {
		address += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, address, body)
	if err != nil {
		return nil, errors.New("the request could not be made")
	}
	req.Header.Set("Authorization", "Token token="+key)
	req.Header.Set("Accept", "application/vnd.pagerduty+json;version=2")
	req.Header.Set("Content-Type", "application/json")
	if c.method != http.MethodGet {
		req.Header.Set("From", p.From)
	}
	return req, nil
}

// cause leaves out the URL of an error of the way.
func cause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// refusal sorts an answer other than 2xx.
func (r *Remediator) refusal(resp *http.Response, body []byte, key string) error {
	err := &refusal{status: resp.StatusCode, said: explainREST(body, key)}
	after, said := retryAfter(resp.Header, r.env.Now())
	switch {
	case resp.StatusCode == http.StatusTooManyRequests && !said:
		return &signalbox.RetryAfter{After: defaultPause, Err: err}
	case said && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500):
		return &signalbox.RetryAfter{After: after, Err: err}
	}
	return err
}

// explainREST adds PagerDuty's own words, where the answer is one of its own,
// without the key that they may repeat.
func explainREST(body []byte, key string) string {
	var said struct {
		Error struct {
			Code    int      `json:"code"`
			Message string   `json:"message"`
			Errors  []string `json:"errors"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil || said.Error.Message == "" && len(said.Error.Errors) == 0 {
		return ""
	}
	text := strings.Join(append([]string{said.Error.Message}, said.Error.Errors...), "; ")
	return ": " + plain(strings.ReplaceAll(text, key, "[api key]"), 300)
}
