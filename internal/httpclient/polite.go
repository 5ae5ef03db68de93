package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Polite reads what a public service offers to everybody, as such services ask
// of their users:
//
//   - a resource is asked for at most once in a while, and by one caller at a
//     time; between, all have what was read last
//   - what has not changed is not sent again (ETag or Last-Modified)
//   - after an answer that says to wait (429, 420, 503 with Retry-After, no
//     requests left) nothing is asked of the server until then
//
// It is safe for concurrent use, and keeps what it reads decoded.
type Polite[T any] struct {
	client *Client
	o      PoliteOptions[T]

	mu      sync.Mutex
	held    map[string]*resource[T] // by path and query
	until   time.Time               // nothing is asked before
	why     error
	strikes int // times in a row that the server sent us away
}

// PoliteOptions say how resources are read.
type PoliteOptions[T any] struct {
	Every  time.Duration // between two requests for a resource, and a quarter of it after an error
	Header http.Header   // of each request
	// Decode reads the answer. Its errors hold nothing of the answer's text.
	Decode func(body []byte) (T, error)
	// Say finds the message in the body of an error; nil: there is none.
	Say func(body []byte) string
}

// NewPolite returns a reader over c.
func NewPolite[T any](c *Client, o PoliteOptions[T]) *Polite[T] {
	return &Polite[T]{client: c, o: o, held: map[string]*resource[T]{}}
}

// Bounds of what is kept, and of how long is waited when the server does not
// say: at first, and at most. GitHub asks for at least a minute.
const (
	maxHeld    = 1024
	firstPause = time.Minute
	lastPause  = 16 * time.Minute
)

// resource is one thing that is read again and again.
type resource[T any] struct {
	turn chan struct{} // held while it is asked for
	used time.Time     // guarded by Polite.mu; the rest by turn

	has      bool
	value    T
	at       time.Time
	etag     string
	modified string
	err      error
	next     time.Time // it is not asked for before
}

// Get reads a resource. at is when the value was true: when it was asked for,
// less the age of a cache's copy. A *signalbox.RetryAfter says when it is worth
// to try again, also where nothing was asked because of an earlier answer.
func (p *Polite[T]) Get(ctx context.Context, path string, query url.Values) (value T, at time.Time, err error) {
	r := p.resource(path + "?" + query.Encode())
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return value, at, Explain(ctx.Err())
	}
	defer func() { <-r.turn }()
	now := p.client.now()
	if now.Before(r.next) && r.next.Sub(now) <= maxPause { // else the clock was set back
		return r.last()
	}
	if err := p.paused(now); err != nil {
		return value, at, err
	}
	p.read(ctx, r, path, query)
	return r.last()
}

func (r *resource[T]) last() (value T, at time.Time, err error) {
	if r.err != nil {
		return value, at, r.err
	}
	return r.value, r.at, nil
}

func (p *Polite[T]) resource(key string) *resource[T] {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.held[key]
	if r == nil {
		if len(p.held) >= maxHeld {
			p.drop()
		}
		r = &resource[T]{turn: make(chan struct{}, 1)}
		p.held[key] = r
	}
	r.used = p.client.now()
	return r
}

// drop forgets the resource that was not used for longest. Who is reading it
// still has it.
func (p *Polite[T]) drop() {
	oldest := ""
	for key, r := range p.held {
		if oldest == "" || r.used.Before(p.held[oldest].used) {
			oldest = key
		}
	}
	delete(p.held, oldest)
}

// paused says that the server wants no request yet.
func (p *Polite[T]) paused(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.until.Sub(now)
	if left <= 0 || left > maxPause { // more: the clock was set back
		return nil
	}
	return &signalbox.RetryAfter{After: left, Err: fmt.Errorf("not asked, the server wants no request for another %s: %w", left.Round(time.Second), p.why)}
}

// read asks for the resource once.
func (p *Polite[T]) read(ctx context.Context, r *resource[T], path string, query url.Values) {
	req, err := p.request(ctx, r, path, query)
	if err != nil {
		r.fail(err, p.client.now().Add(p.o.Every))
		return
	}
	sent := p.client.now()
	raw, resp, err := p.client.exchange(req, p.o.Say)
	now := p.client.now()
	p.heed(resp, err, now)
	if err == nil && resp.StatusCode != http.StatusNotModified {
		err = p.decode(r, raw, resp.Header)
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		r.fail(err, time.Time{}) // the next caller may have more time
	case err != nil:
		r.fail(err, now.Add(p.again(Status(err))))
	default:
		r.err, r.at, r.next = nil, sent.Add(-age(resp.Header)), now.Add(p.o.Every)
	}
}

// again is when a resource is asked for again after an error: soon, but where
// credentials were refused, which does not pass by itself and has some services
// (GitHub) refuse the right ones too.
func (p *Polite[T]) again(status int) time.Duration {
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return max(p.o.Every, firstPause)
	}
	return p.o.Every / 4
}

func (r *resource[T]) fail(err error, next time.Time) { r.err, r.next = err, next }

func (p *Polite[T]) request(ctx context.Context, r *resource[T], path string, query url.Values) (*http.Request, error) {
	req, err := p.client.request(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range p.o.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	switch {
	case !r.has:
	case r.etag != "":
		req.Header.Set("If-None-Match", r.etag)
	case r.modified != "":
		req.Header.Set("If-Modified-Since", r.modified)
	}
	return req, nil
}

func (p *Polite[T]) decode(r *resource[T], raw []byte, h http.Header) error {
	value, err := p.o.Decode(raw)
	if err != nil {
		r.has = false // what comes next is wanted whole
		return err
	}
	r.has, r.value, r.etag, r.modified = true, value, h.Get("ETag"), h.Get("Last-Modified")
	return nil
}

// heed takes in whether the server wants to be left alone, and for how long.
func (p *Polite[T]) heed(resp *http.Response, err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	status := Status(err)
	after, told := errors.AsType[*signalbox.RetryAfter](err)
	switch {
	case err == nil:
		p.strikes = 0
		if d, ok := wait(resp.StatusCode, resp.Header, now); ok { // it was the last one
			p.until, p.why = now.Add(d), errors.New("no request is left of its rate limit")
		}
	case told && after.After > 0:
		p.until, p.why = now.Add(after.After), after.Err
	case status == http.StatusTooManyRequests, status == 420: // 420: Statuspage's own
		p.until, p.why = now.Add(min(firstPause<<p.strikes, lastPause)), err
		p.strikes = min(p.strikes+1, 8)
	}
}

// age is how long ago a cache had its copy from the server; 0 where no cache
// answers.
func age(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Age"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// DecodeJSON decodes an answer into a T. Its error holds nothing of the answer.
func DecodeJSON[T any](body []byte) (T, error) {
	var value T
	err := decode(body, &value)
	return value, err
}
