package reach

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
)

// ErrConflict: the target was not as it was read, and nothing was written.
var ErrConflict = errors.New("the target changed since it was read")

// Refused is a definite answer: nothing was written.
func Refused(format string, args ...any) *signalbox.Failure {
	return &signalbox.Failure{Reason: fmt.Sprintf(format, args...)}
}

// Pass asks the gate, and refuses the write where it, or the end of ctx, says
// so. The caller sends next.
func Pass(ctx context.Context, gate func() error) error {
	if gate != nil {
		if err := gate(); err != nil {
			return &signalbox.Failure{Reason: "held back by the last check before the write", Err: err}
		}
	}
	if err := ctx.Err(); err != nil {
		return &signalbox.Failure{Reason: "nothing was sent", Err: err}
	}
	return nil
}

// Later wraps err with when it may be tried again, where the target said so.
func Later(after time.Duration, err error) error {
	if after <= 0 {
		return err
	}
	return &signalbox.RetryAfter{After: after, Err: err}
}

// Unsent makes a failure of an error that came before anything was sent.
func Unsent(err error) error {
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		return err
	}
	return &signalbox.Failure{Reason: "nothing was written", Err: err}
}

// Unanswered is err without what an answer held: a decoder quotes it.
func Unanswered(ctx context.Context, err error) error {
	var network net.Error
	var file *fs.PathError
	var certificate *tls.CertificateVerificationError
	var barred *Barred
	switch {
	case errors.As(err, &barred):
		return barred
	case ctx.Err() != nil:
		return fmt.Errorf("no answer in time: %w", ctx.Err())
	case errors.Is(err, ErrTooLong):
		return ErrTooLong
	case errors.As(err, &file):
		return fmt.Errorf("a file of the connection's settings can't be read: %w", file)
	case errors.As(err, &certificate):
		return errors.New("the target's certificate is not trusted")
	case Undelivered(err):
		return errors.New("no connection could be made")
	case errors.As(err, &network) && network.Timeout():
		return errors.New("no answer in time")
	}
	return errors.New("the answer was lost, or can't be read")
}

// Undelivered reports an error that came before a connection was there: the
// request was surely not sent.
func Undelivered(err error) bool {
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &certificate)
}

// Definite reports a status that says that a request was refused and not
// carried out. 408 says that it took too long, a server's 5xx says nothing.
func Definite(code int) bool {
	return code >= 400 && code < 500 && code != http.StatusRequestTimeout
}
