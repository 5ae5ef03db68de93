package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"time"

	signalbox "github.com/signalbox/signalbox"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// explain says what an error of the API server means. Its own words are
// repeated only where it is the API server that speaks, never those of a proxy.
func (c *configMap) explain(ctx context.Context, verb string, err error, wrote bool) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return c.noAnswer(ctx, verb, err, wrote)
	}
	s := status.Status()
	code := int(s.Code)
	text := fmt.Sprintf("%s: %s was answered %d %s", c.target(), verb, code, http.StatusText(code))
	if spoken(s) {
		text += ": " + shown(s.Message)
	}
	switch {
	case wrote && code == http.StatusConflict && s.Reason == metav1.StatusReasonConflict:
		return errConflict
	case code == http.StatusForbidden:
		return &signalbox.Failure{Reason: c.grant(verb), Err: errors.New(text)}
	case code == http.StatusUnauthorized:
		return refused("%s: the credentials of the kubeconfig or service account are not accepted", text)
	case code == http.StatusNotFound:
		return refused("%s: there must be a ConfigMap %s in namespace %s", text, c.spec.Name, c.spec.Namespace)
	}
	var after time.Duration
	if s.Details != nil {
		after = time.Duration(s.Details.RetryAfterSeconds) * time.Second
	}
	if definite(code) && (wrote || code != http.StatusTooManyRequests) {
		return &signalbox.Failure{Reason: "the target refused", Err: later(after, errors.New(text))}
	}
	return later(after, errors.New(text))
}

// spoken reports whether a Status is the API server's own, rather than made by
// the client of a body that it could not read.
func spoken(s metav1.Status) bool {
	if s.Details == nil {
		return s.Message != ""
	}
	for _, cause := range s.Details.Causes {
		if cause.Type == metav1.CauseTypeUnexpectedServerResponse {
			return false
		}
	}
	return s.Message != ""
}

// noAnswer tells what never left this machine from what may have arrived.
func (c *configMap) noAnswer(ctx context.Context, verb string, err error, wrote bool) error {
	text := fmt.Errorf("%s: %s: %w", c.target(), verb, unanswered(ctx, err))
	if wrote && undelivered(err) {
		return &signalbox.Failure{Reason: "nothing was sent", Err: text}
	}
	return text
}

// unanswered is err without what an answer held: a decoder quotes it.
func unanswered(ctx context.Context, err error) error {
	var network net.Error
	var file *fs.PathError
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("no answer in time: %w", ctx.Err())
	case errors.Is(err, errTooLong):
		return errTooLong
	case errors.As(err, &file):
		return fmt.Errorf("a file of the connection's settings can't be read: %w", file)
	case errors.As(err, &certificate):
		return errors.New("the target's certificate is not trusted")
	case undelivered(err):
		return errors.New("no connection could be made")
	case errors.As(err, &network) && network.Timeout():
		return errors.New("no answer in time")
	}
	return errors.New("the answer was lost, or can't be read")
}

// undelivered reports an error that came before a connection was there: the
// request was surely not sent.
func undelivered(err error) bool {
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &certificate)
}

// definite reports a status that says that a request was refused and not
// carried out. 408 says that it took too long, a server's 5xx says nothing.
func definite(code int) bool {
	return code >= 400 && code < 500 && code != http.StatusRequestTimeout
}
