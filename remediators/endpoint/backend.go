package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// backend is one kind of setting. An error of it is a *signalbox.Failure where
// the target's answer is definite and nothing was written, errConflict where a
// write was refused because the setting had changed, and otherwise leaves open
// what happened. No error holds a secret or a body that is not the target's
// own words.
type backend interface {
	target() signalbox.Target
	reach() string
	// byHand is the command with which a person sets a value, and handBack the
	// one with which the switch is given to the daemon again.
	byHand(value string) string
	handBack() string
	read(ctx context.Context) (state, error)
	// may says why the daemon is not allowed to write; empty: it is, or that
	// can't be asked.
	may(ctx context.Context) string
	// write writes if the setting is still at s.version. It calls gate last
	// thing before it sends, once.
	write(ctx context.Context, s state, c change, gate func() error) (version string, err error)
}

// state is a setting as it was read at one moment.
type state struct {
	value   string
	version string // resourceVersion or strong ETag
	class   signalbox.Class
	latency time.Duration // class C: the longest until a write can be read back
	fence   fence         // zero: none is there
	// blocked says why the setting can't be written, whatever its value.
	blocked string
	object  map[string]json.RawMessage // http: all of it, to be sent back
}

// change is what a write puts. A nil value leaves the value as it is.
type change struct {
	value *string
	fence fence
}

// errConflict: the setting was not as it was read, and nothing was written.
var errConflict = errors.New("the target changed since it was read")

// callTimeout bounds one request to a target.
const callTimeout = 10 * time.Second

// refused is a definite answer: nothing was written.
func refused(format string, args ...any) *signalbox.Failure {
	return &signalbox.Failure{Reason: fmt.Sprintf(format, args...)}
}

// pass asks the gate, and refuses the write where it, or the end of ctx, says
// so. The caller sends next.
func pass(ctx context.Context, gate func() error) error {
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

// later wraps err with when it may be tried again, where the target said so.
func later(after time.Duration, err error) error {
	if after <= 0 {
		return err
	}
	return &signalbox.RetryAfter{After: after, Err: err}
}
