package httpclient

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
)

// wellKnown are the headers, in canonical form, that hold credentials whatever
// the settings say.
var wellKnown = []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "Dd-Api-Key", "Dd-Application-Key", "Fastly-Key"}

// secretHeaders are the headers whose values are secrets: the well-known ones,
// and those that the settings read from files.
func secretHeaders(c promconfig.HTTPClientConfig) []string {
	names := slices.Clone(wellKnown)
	if c.HTTPHeaders != nil {
		for name, h := range c.HTTPHeaders.Headers {
			if len(h.Files) > 0 || len(h.Secrets) > 0 {
				names = append(names, http.CanonicalHeaderKey(name))
			}
		}
	}
	return names
}

// Bounds of what is known of credentials: how many, over rotations, and how
// short one may be to be looked for. A shorter one would blot out plain words.
const (
	maxKnown    = 32
	leastSecret = 4
)

// credentials are what requests were lately sent with, so that a server that
// echoes them does not make us tell them.
type credentials struct {
	headers []string // canonical names

	mu    sync.Mutex
	known []string          // newest last
	blot  *strings.Replacer // of those that are known
}

// note takes the credentials of a request as it was sent.
func (c *credentials) note(sent *http.Request) {
	if sent == nil {
		return
	}
	for _, name := range c.headers {
		for _, value := range sent.Header.Values(name) {
			c.add(value)
			scheme, rest, found := strings.Cut(value, " ")
			if !found {
				continue
			}
			c.add(rest)
			if pair, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "Basic") {
				_, password, _ := strings.Cut(string(pair), ":")
				c.add(password)
			}
		}
	}
}

func (c *credentials) add(secret string) {
	if len(secret) < leastSecret {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := false
	for _, form := range forms(secret) {
		if !slices.Contains(c.known, form) {
			c.known, fresh = append(c.known, form), true
		}
	}
	if !fresh {
		return
	}
	if over := len(c.known) - maxKnown; over > 0 {
		c.known = slices.Delete(c.known, 0, over)
	}
	// The longest first: one may be a part of another.
	var pairs []string
	for _, known := range slices.SortedFunc(slices.Values(c.known), func(a, b string) int { return len(b) - len(a) }) {
		pairs = append(pairs, known, "(not shown)")
	}
	c.blot = strings.NewReplacer(pairs...)
}

// forms are the ways in which an answer may spell a secret.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	return []string{secret, strings.Trim(string(quoted), `"`), url.QueryEscape(secret), url.PathEscape(secret)}
}

// Redact leaves out of a text what the client's requests were lately sent with
// as credentials. Call it before the text is cut.
func (c *Client) Redact(text string) string {
	c.sent.mu.Lock()
	defer c.sent.mu.Unlock()
	for _, secret := range c.sent.known {
		if strings.Contains(text, secret) {
			return c.sent.blot.Replace(text)
		}
	}
	return text // nearly always, so it costs little
}

// Plain makes one line of a text of the server's, as the function Plain does,
// without our credentials.
func (c *Client) Plain(text string, most int) string { return Plain(c.Redact(text), most) }

// RedactAnswer leaves our credentials out of an answer, in place: a server may
// put what it was sent into its data too. Its labels must be the caller's own.
func (c *Client) RedactAnswer(a *signalbox.Answer) {
	for i := range a.Samples {
		for name, value := range a.Samples[i].Labels {
			a.Samples[i].Labels[name] = c.Redact(value)
		}
		a.Samples[i].Text = c.Redact(a.Samples[i].Text)
	}
	for i, warning := range a.Warnings {
		a.Warnings[i] = c.Redact(warning)
	}
	if a.Err != nil {
		if text := a.Err.Error(); c.Redact(text) != text {
			a.Err = &redacted{text: c.Redact(text), err: a.Err}
		}
	}
}

// redacted is an error whose text is told otherwise. What it wraps is found as
// before, so it must not be printed by itself.
type redacted struct {
	text string
	err  error
}

func (r *redacted) Error() string { return r.text }

func (r *redacted) Unwrap() error { return r.err }
