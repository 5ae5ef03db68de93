package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
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
	case resp.StatusCode == http.StatusNotModified:
		return nil // it was asked for, or the caller refuses it
	case resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.Header.Get("Location") == "":
		return &Error{resp.StatusCode, "a redirect to nowhere"}
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil // for the client to follow, or not
	case err == nil && kind != "application/json" && kind != "text/plain" && !strings.HasSuffix(kind, "+json"):
		return &Error{resp.StatusCode, "an answer of " + typeWords(kind) + ", so of a proxy or another server"}
	}
	return nil
}

// typeWords names a content type: one that is not common may hold anything.
func typeWords(kind string) string {
	switch kind {
	case "text/html", "text/xml", "text/css", "text/csv", "application/xml", "application/xhtml+xml", "application/octet-stream", "application/javascript":
		return "type " + kind
	}
	return "another type than JSON"
}

// maxPause bounds how long a server can send us away: the longest window over
// which a vendor of ours counts requests (GitHub's).
const maxPause = time.Hour

// After adds to err when it may be tried again, where the answer's headers say
// so, at most an hour: Retry-After in seconds or as a date, or, where no request
// is left, X-RateLimit-Reset in seconds, counted from now (Datadog) or from 1970
// (GitHub). Dates are compared with the server's own clock where it is told.
func After(err error, h http.Header, at time.Time) error {
	if wait, ok := wait(Status(err), h, at); ok {
		return &signalbox.RetryAfter{After: wait, Err: err}
	}
	return err
}

// oldestEpoch tells seconds from 1970 from seconds from now.
const oldestEpoch = 1_000_000_000

func wait(status int, h http.Header, at time.Time) (time.Duration, bool) {
	if date, err := http.ParseTime(h.Get("Date")); err == nil && h.Get("Age") == "" {
		at = date
	}
	if d, ok := pause(h.Get("Retry-After"), at); ok {
		return d, true
	}
	spent := strings.TrimSpace(h.Get("X-RateLimit-Remaining")) == "0"
	if status != 0 && status != http.StatusTooManyRequests && !spent {
		return 0, false // the header is on every answer
	}
	return pause(h.Get("X-RateLimit-Reset"), at)
}

// pause reads how long to wait: seconds, seconds from 1970, or a date.
func pause(value string, at time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	seconds, err := strconv.ParseUint(value, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return maxPause, true
	case err == nil && seconds >= oldestEpoch && seconds < 1<<40:
		return min(max(0, time.Unix(int64(seconds), 0).Sub(at)), maxPause), true
	case err == nil:
		return time.Duration(min(seconds, uint64(maxPause/time.Second))) * time.Second, true
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, date.Sub(at)), maxPause), true
	}
	return 0, false
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
	case errors.Is(err, ErrTooLarge):
		return ErrTooLarge
	case errors.Is(err, io.EOF):
		return errors.New("the server closed the connection without an answer (EOF)")
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
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok { // its text holds lines of the answer
		return errors.New("the answer is not HTTP")
	}
	return errors.New(Plain(unquoted(err.Error()), maxText))
}

// quotation is what Go's libraries repeat of foreign text, quoted as %q does.
var quotation = regexp.MustCompile(`"(?:[^"\\]|\\.)*(?:"|$)`)

// unquoted leaves out what a text quotes: a malformed answer may hold anything.
func unquoted(text string) string { return quotation.ReplaceAllString(text, "(not shown)") }

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
