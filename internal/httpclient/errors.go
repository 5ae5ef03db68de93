package httpclient

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/oauth2"

	signalbox "github.com/signalbox/signalbox"
)

// maxText bounds, in bytes, what of a foreign text is repeated.
const maxText = 300

// Error is an answer that is not what was asked for: its status, and what may
// be repeated of it.
type Error struct {
	Status int // HTTP
	What   string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("HTTP %d %s", e.Status, http.StatusText(e.Status))
	if e.What != "" {
		text += ": " + e.What
	}
	return text
}

// Status is the HTTP status that stands behind err; 0: none came.
func Status(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// Foreign returns an *Error for an answer that no API of ours would give:
// refused credentials, a redirect to nowhere, HTML of a proxy. Where
// credentials were refused the body is never repeated: it may echo them.
func Foreign(resp *http.Response) error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return &Error{resp.StatusCode, "the server refuses the credentials, or wants some"}
	case resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.Header.Get("Location") == "":
		return &Error{resp.StatusCode, "a redirect to nowhere"}
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil // for the client to follow, or not
	case err == nil && kind != "application/json" && kind != "text/plain" && !strings.HasSuffix(kind, "+json"):
		return &Error{resp.StatusCode, "an answer of type " + Plain(kind, maxText) + ", so of a proxy or another server"}
	}
	return nil
}

// maxPause bounds how long a server can send us away.
const maxPause = 10 * time.Minute

// After adds to err when it may be tried again, where the answer's headers say
// so: Retry-After in seconds or as a date, or X-RateLimit-Reset in seconds.
func After(err error, h http.Header, at time.Time) error {
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset"} {
		value := strings.TrimSpace(h.Get(name))
		wait := time.Duration(-1)
		if seconds, parseErr := strconv.ParseInt(value, 10, 64); parseErr == nil {
			wait = time.Duration(min(seconds, int64(maxPause/time.Second))) * time.Second
		} else if date, parseErr := http.ParseTime(value); parseErr == nil {
			wait = max(0, date.Sub(at))
		}
		if wait >= 0 {
			return &signalbox.RetryAfter{After: min(wait, maxPause), Err: err}
		}
	}
	return err
}

// Explain makes a plain error of what an HTTP client says: no address, no
// credentials, one bounded line. What it wraps stays to be found where it is
// an *Error, a *signalbox.RetryAfter or the end of a context.
func Explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	}
	if r, ok := errors.AsType[*signalbox.RetryAfter](err); ok {
		return &signalbox.RetryAfter{After: r.After, Err: Explain(r.Err)}
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if oe, ok := errors.AsType[*oauth2.RetrieveError](err); ok && oe.Response != nil {
		return fmt.Errorf("oauth2: the token server answered status %d", oe.Response.StatusCode)
	}
	if ue, ok := errors.AsType[*url.Error](err); ok { // its text holds the whole address
		return Explain(ue.Err)
	}
	return errors.New(Plain(err.Error(), maxText))
}

// Plain makes one line of a foreign text, of at most most bytes: fit for logs,
// terminals and pages, without control and format characters.
func Plain(s string, most int) string {
	if len(s) > 4*most { // no need to look at what is cut anyway
		s = s[:4*most]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= most {
		return s
	}
	cut := most - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
