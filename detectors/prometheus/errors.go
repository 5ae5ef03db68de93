package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

var (
	errShape     = errors.New("the answer is not one of Prometheus' HTTP API")
	errHistogram = errors.New("the answer holds native histograms, which have no one value: use histogram_quantile, histogram_avg or histogram_fraction")
)

// statusError is an answer that says no more than its status: of a proxy, or
// one whose body must not be repeated.
type statusError struct {
	code int
	what string
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("HTTP %d %s", e.code, http.StatusText(e.code))
	if e.what != "" {
		text += ": " + e.what
	}
	return text
}

// foreign returns an error for an answer that Prometheus' API would not give.
// Where credentials were refused the body is never repeated: it may echo them.
func foreign(resp *http.Response) error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return &statusError{resp.StatusCode, "the server refuses the credentials, or wants some"}
	case resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.Header.Get("Location") == "":
		return &statusError{resp.StatusCode, "a redirect to nowhere"}
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil // for the client to follow, or not
	case err == nil && kind != "application/json" && kind != "text/plain":
		return &statusError{resp.StatusCode, "an answer of type " + plain(kind) + ", so of a proxy or another server"}
	}
	return nil
}

// explain makes a plain error of what the API's client says: no address, no
// credentials, one bounded line.
func explain(err error) error {
	var (
		transport *url.Error
		answered  *v1.Error
		status    *statusError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &status):
		return status
	case errors.As(err, &answered):
		return explainAnswer(answered)
	case errors.As(err, &transport): // its text holds the whole address
		return explain(transport.Err)
	}
	// An OAuth2 token endpoint's whole answer stands behind this word.
	text, _, _ := strings.Cut(err.Error(), "Response:")
	return errors.New(plain(text))
}

// explainAnswer tells an error of the API. What the client leaves in Detail is
// a whole body: only the message in it is repeated.
func explainAnswer(e *v1.Error) error {
	text := e.Error()
	var body struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(e.Detail), &body) == nil && body.Error != "" {
		text += ": " + body.Error
	}
	return errors.New(plain(text))
}

func plainAll(texts []string) []string {
	var out []string
	for _, t := range texts {
		out = append(out, plain(t))
	}
	return out
}
