package reach

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// FieldManager is the owner that managedFields names for our writes.
const FieldManager = "signalbox"

// Bound gives a request to a cluster its deadline, and client-go's logs their
// way.
func (c Cluster) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(klog.NewContext(ctx, c.Log), CallTimeout)
}

// Call is one request to an API server, for what its errors mean.
type Call struct {
	Target string // "configmap core/core-env KEY"
	Verb   string // "get", "patch"
	Write  bool
	// Missing says what must be there, where the answer is 404.
	Missing string
	// Grant says which permission to give, where the answer is 403.
	Grant string
}

// Explain says what an error of the API server means: ErrConflict where a write
// was refused since the object had changed. Its own words are repeated only
// where it is the API server that speaks, never those of a proxy.
func (c Call) Explain(ctx context.Context, err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return c.noAnswer(ctx, err)
	}
	s := status.Status()
	code := int(s.Code)
	said := &answer{code: code, text: fmt.Sprintf("%s: %s was answered %d %s", c.Target, c.Verb, code, http.StatusText(code))}
	if spoken(s) {
		said.text += ": " + Shown(s.Message)
	}
	var after time.Duration
	if s.Details != nil {
		after, said.causes = time.Duration(s.Details.RetryAfterSeconds)*time.Second, s.Details.Causes
	}
	switch {
	case c.Write && code == http.StatusConflict && s.Reason == metav1.StatusReasonConflict:
		return ErrConflict
	case code == http.StatusForbidden:
		return &signalbox.Failure{Reason: c.Grant, Err: said}
	case code == http.StatusUnauthorized:
		return Refused("%s: the credentials of the kubeconfig or service account are not accepted", said.text)
	case code == http.StatusNotFound:
		return &signalbox.Failure{Reason: c.Missing, Err: said}
	}
	if Definite(code) && (c.Write || code != http.StatusTooManyRequests) {
		return &signalbox.Failure{Reason: "the target refused", Err: Later(after, said)}
	}
	return Later(after, said)
}

// answer is an error that the API server answered with.
type answer struct {
	code   int
	text   string
	causes []metav1.StatusCause
}

func (a *answer) Error() string { return a.text }

// Code is the HTTP status that an API server answered with, if err came of one;
// 0: it did not, or it was a conflict.
func Code(err error) int {
	var a *answer
	if errors.As(err, &a) {
		return a.code
	}
	return 0
}

// Absent reports that the API server itself says that what was asked for is not
// there: a 404 of a proxy on the way, or of a path that is not served, says
// nothing of it.
func Absent(err error) bool {
	return Code(err) == http.StatusNotFound && !Caused(err, metav1.CauseTypeUnexpectedServerResponse)
}

// Caused reports whether an API server gave that cause for its answer.
func Caused(err error, cause metav1.CauseType) bool {
	var a *answer
	return errors.As(err, &a) && slices.ContainsFunc(a.causes, func(c metav1.StatusCause) bool { return c.Type == cause })
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
func (c Call) noAnswer(ctx context.Context, err error) error {
	text := fmt.Errorf("%s: %s: %w", c.Target, c.Verb, Unanswered(ctx, err))
	if c.Write && Undelivered(err) {
		return &signalbox.Failure{Reason: "nothing was sent", Err: text}
	}
	return text
}
