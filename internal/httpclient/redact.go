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
)

// wellKnown are the headers, in canonical form, that hold credentials whatever
// the settings say.
var wellKnown = []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "Dd-Api-Key", "Dd-Application-Key"}

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
	known []string // newest last
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
	for _, form := range forms(secret) {
		if slices.Contains(c.known, form) {
			continue
		}
		c.known = append(c.known, form)
	}
	if over := len(c.known) - maxKnown; over > 0 {
		c.known = slices.Delete(c.known, 0, over)
	}
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
	known := slices.Clone(c.sent.known)
	c.sent.mu.Unlock()
	// The longest first: one may be a part of another.
	slices.SortFunc(known, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range known {
		text = strings.ReplaceAll(text, secret, "(not shown)")
	}
	return text
}
