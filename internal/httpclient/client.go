package httpclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/kind"
)

// MaxBody is the length in bytes of the longest answer that a client reads.
const MaxBody = 32 << 20

const maxRedirects = 5

// ErrTooLarge is the end of a body that is longer than the client reads.
var ErrTooLarge = fmt.Errorf("the answer is larger than %d MiB", MaxBody>>20)

// Client reaches one server. It is safe for concurrent use. Its errors hold
// neither credentials nor addresses.
type Client struct {
	base *url.URL
	http *http.Client
	now  func() time.Time
	skew atomic.Int64 // nanoseconds that the server's clock is ahead of ours
	seen atomic.Bool  // skew was measured
	sent credentials
}

// New makes a client of the server at base. It connects to nothing yet; it
// reads the TLS files.
func New(name string, base string, c promconfig.HTTPClientConfig, env kind.Env) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("source %s: url can't be parsed", name)
	}
	c = Clone(c)
	c.SetDirectory(env.ConfigDir)
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("source %s: http client settings: %w", name, err)
	}
	rt, err := promconfig.NewRoundTripperFromConfig(c, name, promconfig.WithUserAgent(env.Agent))
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	client := Over(rt, u, c.FollowRedirects, env.Now)
	client.sent.headers = secretHeaders(c)
	return client, nil
}

// Over makes a client over a transport of the caller's.
func Over(rt http.RoundTripper, base *url.URL, follow bool, now func() time.Time) *Client {
	c := &Client{base: base, now: now}
	c.sent.headers = wellKnown
	c.http = &http.Client{
		Transport: &bounded{next: rt, client: c},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			// Credentials are added to each request, so none may go elsewhere.
			if !follow || len(via) > maxRedirects || to.URL.Host != base.Host || to.URL.Scheme != base.Scheme {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	return c
}

// HTTP is the client for a vendor's library, with the same bounds: bodies end,
// and what is surely not an API's answer is an *Error.
func (c *Client) HTTP() *http.Client { return c.http }

// Base is the server's address.
func (c *Client) Base() *url.URL { return c.base }

// Skew is how far the server's clock was ahead of ours in its last answer, to
// about a second (the Date header has no more); false: not measured yet.
func (c *Client) Skew() (time.Duration, bool) { return time.Duration(c.skew.Load()), c.seen.Load() }

// JSON sends one request below the base and decodes the answer into into,
// unless it is nil. body is sent as JSON unless it is nil. path is not
// escaped again: escape what comes from outside with url.PathEscape. An
// answer other than 2xx is an *Error, within a *signalbox.RetryAfter where its
// headers say when to come back; its message is what say finds in the body,
// or nothing where say is nil.
func (c *Client) JSON(ctx context.Context, method, path string, query url.Values, body, into any, say func(body []byte) string) error {
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	raw, _, err := c.exchange(req, say)
	if err != nil || into == nil {
		return err
	}
	return decode(raw, into)
}

// exchange sends a request and reads the whole answer. One other than 2xx and
// 304 is an error, with its header.
func (c *Client) exchange(req *http.Request, say func(body []byte) string) ([]byte, *http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, Explain(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	switch {
	case errors.Is(err, ErrTooLarge):
		return nil, resp, ErrTooLarge
	case err != nil:
		return nil, resp, fmt.Errorf("the answer broke off: %w", Explain(err))
	case resp.StatusCode/100 == 2, resp.StatusCode == http.StatusNotModified && conditional(req):
		return raw, resp, nil
	}
	what := ""
	if say != nil {
		what = c.Plain(say(raw), maxText)
	}
	return nil, resp, After(&Error{resp.StatusCode, what}, resp.Header, c.now())
}

func conditional(r *http.Request) bool {
	return r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != ""
}

// decode reads JSON. Its error holds nothing of the value.
func decode(raw []byte, into any) error {
	err := json.Unmarshal(raw, into)
	if err == nil {
		return nil
	}
	text := err.Error()
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		found, _, _ := strings.Cut(e.Value, " ") // a number follows its word
		text = found + " where " + e.Type.String() + " was expected"
	}
	return fmt.Errorf("the answer is not the JSON that was asked for: %s", Plain(unquoted(text), maxText))
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	var reader io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("the request can't be written: %w", err)
		}
		reader = bytes.NewReader(raw)
	}
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), reader)
	if err != nil {
		return nil, errors.New("the request can't be made")
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// bounded bounds bodies, knows what is no API's answer, and reads the server's
// clock.
type bounded struct {
	next   http.RoundTripper
	client *Client
}

func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := b.client.now()
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	b.client.sent.note(resp.Request)
	if resp.Header.Get("Age") == "" { // else a cache answers, with the Date of then
		b.client.measure(sent, b.client.now(), resp.Header.Get("Date"))
	}
	if err := Foreign(resp); err != nil {
		resp.Body.Close()
		return nil, After(err, resp.Header, b.client.now())
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, left: MaxBody}
	return resp, nil
}

// measure reads the server's clock: its Date was true somewhere between sent
// and received, and is cut to the second. Within those bounds there is no
// skew; beyond them it is the distance to the nearer bound.
func (c *Client) measure(sent, received time.Time, date string) {
	t, err := http.ParseTime(date)
	if err != nil {
		return
	}
	var skew time.Duration
	switch early, late := sent.Add(-time.Second), received; {
	case t.Before(early):
		skew = t.Sub(early)
	case t.After(late):
		skew = t.Sub(late)
	}
	c.skew.Store(int64(skew))
	c.seen.Store(true)
}

// limitedBody ends with an error where io.LimitReader would end in silence.
type limitedBody struct {
	io.ReadCloser
	left int64
}

func (l *limitedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 { // one more tells a body that ends here from one that goes on
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	if int64(n) > l.left {
		n, err = int(l.left), ErrTooLarge
	}
	l.left -= int64(n)
	return n, err
}
