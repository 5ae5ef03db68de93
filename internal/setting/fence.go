package setting

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// fence is what stands at the target beside the value. Its zero value is a
// target that was never written by us.
type fence struct {
	// Token never decreases at a target.
	Token signalbox.Token `json:"token"`
	// Action wrote the value last; Value is what it wrote. A seal keeps both.
	Action signalbox.ActionID `json:"action,omitempty"`
	Value  string             `json:"value,omitempty"`
	// Was is the value that a throw found: who puts it back takes the throw back.
	Was string `json:"was,omitempty"`
	// Standing: the write was a throw that was not taken back.
	Standing bool `json:"standing,omitempty"`
	// At is when Value was written, of a write in stages; zero: of another.
	At time.Time `json:"at,omitzero"`
	// Sealed is the action whose late write Token shuts out.
	Sealed signalbox.ActionID `json:"sealed,omitempty"`
}

// parseFence reads a fence. Keys that it does not know are left to later
// versions; anything that is not a fence is an error.
func parseFence(b []byte) (fence, error) {
	var f fence
	if err := json.Unmarshal(b, &f); err != nil {
		return fence{}, errors.New("is not a fence of ours")
	}
	if f.Token <= 0 {
		return fence{}, fmt.Errorf("is not a fence of ours: its token must be above zero, got %d", f.Token)
	}
	return f, nil
}

func (f fence) encode() (json.RawMessage, error) { return json.Marshal(f) }

// tokenOf is the token with which an action writes: after a seal, the seal's,
// which its successor alone knows.
func tokenOf(a signalbox.Action) signalbox.Token { return max(a.Token, a.Sealed) }

// written is the fence that goes with the value that an action writes over
// another.
func written(a signalbox.Action, value, over string) fence {
	f := fence{Token: tokenOf(a), Action: a.ID, Value: value, Standing: a.Undoes == ""}
	if f.Standing {
		f.Was = over
	}
	return f
}

// sealed is the fence that shuts a's late write out and keeps what is known of
// the last one.
func (f fence) sealed(a signalbox.Action, t signalbox.Token) fence {
	f.Token, f.Sealed = t, a.ID
	return f
}

// ahead says why an action must not write over the fence; empty: it may. Equal
// tokens are the action's own seal.
func (f fence) ahead(a signalbox.Action) string {
	own := tokenOf(a)
	switch {
	case own <= 0:
		return "the action has no token"
	case f.Token > own && f.Sealed == a.ID:
		return fmt.Sprintf("the action was sealed by a successor: the token on the target is %d, ours %d", f.Token, own)
	case f.Token > own, f.Token == own && f.Sealed != a.ID:
		return fmt.Sprintf("the fence on the target is ahead (its token is %d, ours %d): was the store restored from an older copy?", f.Token, own)
	}
	return ""
}

// foreign says that someone else changed the value while a throw of ours
// stands; empty: no.
func (f fence) foreign(value string) string {
	if !f.Standing || value == f.Value {
		return ""
	}
	return fmt.Sprintf("someone else changed it since action %s: it put %q and %q is there", f.Action, reach.Shown(f.Value), reach.Shown(value))
}

// hand tells whose hand is on a setting: somebody flipped it while a throw of
// ours stands, elsewhere than back to what the throw had found. Empty: nobody's.
func (s state) hand() string {
	foreign := s.fence.foreign(s.value)
	if foreign == "" || s.value == s.fence.Was {
		return ""
	}
	if s.editor != "" {
		foreign += ", written by " + s.editor
	}
	return foreign
}
