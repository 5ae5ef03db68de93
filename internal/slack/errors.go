package slack

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/pagetext"
	"github.com/signalbox/signalbox/internal/reach"
)

// foreign is what is said of an answer that Slack would not give.
const foreign = "not the words of Slack; is something else at this address?"

// Error is an answer that says no.
type Error struct {
	Status int    // HTTP
	Why    string // Slack's own word: "channel_not_found"
}

func (e *Error) Error() string { return fmt.Sprintf("slack: answered status %d: %s", e.Status, e.Why) }

// Why is Slack's own word for what it refused; "": it refused nothing.
func Why(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Why
	}
	return ""
}

// defaultPause is how long to wait where Slack does not say; mostPause bounds
// what it can say.
const (
	defaultPause = 5 * time.Second
	mostPause    = 5 * time.Minute
)

// refusal is an *Error, within a *signalbox.RetryAfter where Slack asked to
// wait. secret is never told.
func refusal(resp *http.Response, why, secret string) error {
	err := &Error{resp.StatusCode, pagetext.Plain(strings.ReplaceAll(why, secret, "[secret]"), 200)}
	limited := resp.StatusCode == http.StatusTooManyRequests || isLimit(why)
	after, told := strconv.ParseUint(strings.TrimSpace(resp.Header.Get("Retry-After")), 10, 32)
	switch {
	case limited && told != nil:
		return &signalbox.RetryAfter{After: defaultPause, Err: err}
	case limited, resp.StatusCode >= 500 && told == nil:
		return &signalbox.RetryAfter{After: min(max(time.Duration(after)*time.Second, time.Second), mostPause), Err: err}
	}
	return err
}

func isLimit(why string) bool { return why == "ratelimited" || why == "rate_limited" }

// hopeless are the words after which the same message would be refused again.
// Others may mend: a token is rotated, a bot is invited.
var hopeless = []string{"msg_too_long", "no_text", "invalid_blocks", "invalid_blocks_format", "invalid_payload", "invalid_arguments", "too_many_attachments"}

// Hopeless reports whether the same message would be refused again.
func Hopeless(err error) bool { return slices.Contains(hopeless, Why(err)) }

// unsure are the words that leave open what was done.
var unsure = []string{foreign, "internal_error", "fatal_error", "request_timeout", "service_unavailable"}

// Definite reports whether an error of a write says that nothing was written.
func Definite(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status == http.StatusTooManyRequests || isLimit(e.Why) ||
			e.Status < 500 && e.Status != http.StatusRequestTimeout && !slices.Contains(unsure, e.Why)
	}
	return reach.Undelivered(err)
}
