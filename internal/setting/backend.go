package setting

import (
	"context"
	"encoding/json"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
)

// backend is one kind of setting. An error of it is a *signalbox.Failure where
// the target's answer is definite and nothing was written, reach.ErrConflict where a
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
	fence   fence.Fence   // zero: none is there
	editor  string        // who wrote the value last, and when, if it was not us; empty: not known
	// blocked says why the setting can't be written, whatever its value.
	blocked string
	object  map[string]json.RawMessage // http: all of it, to be sent back
}

// change is what a write puts. A nil value leaves the value as it is.
type change struct {
	value *string
	fence fence.Fence
}

// hand tells whose hand is on a setting: somebody flipped it while a throw of
// ours stands, elsewhere than back to what the throw had found. Empty: nobody's.
func (s state) hand() string {
	foreign := s.fence.Foreign(s.value)
	if foreign == "" || s.value == s.fence.Was {
		return ""
	}
	if s.editor != "" {
		foreign += ", written by " + s.editor
	}
	return foreign
}
