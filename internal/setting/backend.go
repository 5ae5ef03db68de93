package setting

import (
	"context"
	"encoding/json"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/workload"
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

	// Of a variable of a workload, which counts only once its pods are replaced.
	workload *workload.Object
	unfit    string // why no value can be put there now
	taken    string // why a throw must not be made: what another does there
	// unseen says that the workload's controller has not looked since the last
	// change, so that what it does can't be told. It is only asked before a step: an
	// annotation is such a change too, our own seal's or another's.
	unseen string
	left   string // what is awaited until the value that is there counts
	failed string // why it won't come about by itself
}

// holdsOff says why no value can be put there as things stand. What others do
// there does not hold a way back.
func (s state) holdsOff(sp spec) string {
	if s.unfit != "" || sp.Expect != nil {
		return s.unfit
	}
	return s.taken
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
