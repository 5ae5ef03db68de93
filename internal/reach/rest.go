package reach

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// REST is a vendor's API over JSON. Its errors hold neither credentials nor
// addresses; of a body, only what Say finds in it. It is safe for concurrent
// use.
type REST struct {
	name   string
	media  string
	client *httpclient.Client
	now    func() time.Time
	say    func(body []byte) string
}

// Exchange is one request to such an API.
type Exchange struct {
	What   string // for people: "read the workspace"
	Method string
	Path   string // below the base; what comes from outside is escaped by url.PathEscape
	Query  url.Values
	Header http.Header // beside those that every request has
	Body   any         // sent as JSON; nil: none
	// Write says that it changes something: Gate is asked last thing before it
	// is sent, and an answer that is lost leaves a doubt.
	Write bool
	Gate  func() error
}

// REST makes an API of the server at base, over Prometheus' HTTP client
// configuration as YAML. media is the type of bodies; say finds the server's
// own words in the body of a refusal, nil: none are repeated.
func (c *Clients) REST(name, base, yaml, media string, now func() time.Time, say func(body []byte) string) (*REST, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%s: the address can't be read", name)
	}
	h, err := c.HTTP(yaml)
	if err != nil {
		return nil, err
	}
	return &REST{name: name, media: media, client: httpclient.Over(h.Transport, u, false, now), now: now, say: say}, nil
}

// Do sends one request, and decodes the answer into into unless it is nil. It
// returns the header of an answer, also of a redirect, which it does not follow
// and takes for an answer without a body. An error is a *signalbox.Failure
// where the answer is definite or nothing was sent; httpclient.Status tells its
// code.
func (r *REST) Do(ctx context.Context, e Exchange, into any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	req, err := r.request(ctx, e)
	if err != nil {
		return nil, Refused("%s: %s: the request can't be made", r.name, e.What)
	}
	if e.Write {
		if err := Pass(ctx, e.Gate); err != nil {
			return nil, err
		}
	}
	resp, err := r.client.HTTP().Do(req)
	if err != nil {
		return nil, r.unanswered(ctx, e, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", r.name, e.What, Unanswered(ctx, err))
	}
	switch code := resp.StatusCode; {
	case code/100 == 2 && into != nil && code != http.StatusNoContent:
		if err := json.Unmarshal(raw, into); err != nil {
			return nil, fmt.Errorf("%s: %s: the answer is not the JSON that was asked for", r.name, e.What)
		}
		return resp.Header, nil
	case code/100 == 2, code/100 == 3 && !e.Write:
		return resp.Header, nil
	default:
		words := ""
		if r.say != nil {
			words = r.client.Plain(r.say(raw), MaxShown)
		}
		return nil, r.verdict(e, httpclient.After(&httpclient.Error{Status: code, What: words}, resp.Header, r.now()))
	}
}

func (r *REST) request(ctx context.Context, e Exchange) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if e.Body != nil {
		raw, err := json.Marshal(e.Body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	u := r.client.Base().JoinPath(e.Path)
	u.RawQuery = e.Query.Encode()
	req, err := http.NewRequestWithContext(ctx, e.Method, u.String(), body)
	if err != nil {
		return nil, err
	}
	for name, values := range e.Header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", r.media)
	if e.Body != nil {
		req.Header.Set("Content-Type", r.media)
	}
	req.GetBody = nil // a write is sent once
	return req, nil
}

// unanswered is an error of the client: an answer that it refused by itself, or
// none.
func (r *REST) unanswered(ctx context.Context, e Exchange, err error) error {
	if code := httpclient.Status(err); code != 0 {
		return r.verdict(e, httpclient.Explain(err))
	}
	text := fmt.Errorf("%s: %s: %w", r.name, e.What, Unanswered(ctx, err))
	if Undelivered(err) && e.Write {
		return &signalbox.Failure{Reason: "nothing was sent", Err: text}
	}
	return text
}

// verdict tells what a status means. err is an *httpclient.Error, perhaps with
// when to come back.
func (r *REST) verdict(e Exchange, err error) error {
	text := fmt.Errorf("%s: %s: %w", r.name, e.What, err)
	var later *signalbox.RetryAfter
	if errors.As(err, &later) {
		text = Later(later.After, text)
	}
	switch code := httpclient.Status(err); {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return &signalbox.Failure{Reason: "the daemon's credentials are not accepted, or may not do this", Err: text}
	case Definite(code) && (e.Write || code != http.StatusTooManyRequests):
		return &signalbox.Failure{Reason: "the target refused", Err: text}
	case code/100 == 3:
		return &signalbox.Failure{Reason: "it has moved, and redirects are not followed: give its own URL", Err: text}
	}
	return text
}
