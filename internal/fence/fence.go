// Package fence is what the daemon leaves at a target beside what it wrote: the
// token of the action, its id, what it put, and whether that still stands. By it
// the target itself tells whether an action took effect, whether a person has
// changed something since, and whether a write comes too late. How a fence is
// kept, in an annotation or a field, is the backend's.
package fence

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// Fence is what stands at the target beside the value. Its zero value is a
// target that was never written by us.
type Fence struct {
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

// Parse reads a fence. Keys that it does not know are left to later versions;
// anything that is not a fence is an error.
func Parse(b []byte) (Fence, error) {
	var f Fence
	if err := json.Unmarshal(b, &f); err != nil {
		return Fence{}, errors.New("is not a fence of ours")
	}
	if f.Token <= 0 {
		return Fence{}, fmt.Errorf("is not a fence of ours: its token must be above zero, got %d", f.Token)
	}
	return f, nil
}

// Encode writes the fence as Parse reads it.
func (f Fence) Encode() (json.RawMessage, error) { return json.Marshal(f) }

// String is the fence as Encode writes it.
func (f Fence) String() string {
	b, err := f.Encode()
	if err != nil { // text, numbers and times always marshal
		return ""
	}
	return string(b)
}

// TokenOf is the token with which an action writes: after a seal, the seal's,
// which its successor alone knows.
func TokenOf(a signalbox.Action) signalbox.Token { return max(a.Token, a.Sealed) }

// Written is the fence that goes with the value that an action writes over
// another.
func Written(a signalbox.Action, value, over string) Fence {
	f := Fence{Token: TokenOf(a), Action: a.ID, Value: value, Standing: a.Undoes == ""}
	if f.Standing {
		f.Was = over
	}
	return f
}

// Seal is the fence that shuts a's late write out and keeps what is known of
// the last one.
func (f Fence) Seal(a signalbox.Action, t signalbox.Token) Fence {
	f.Token, f.Sealed = t, a.ID
	return f
}

// Ahead says why an action must not write over the fence; empty: it may. Equal
// tokens are the action's own seal.
func (f Fence) Ahead(a signalbox.Action) string {
	own := TokenOf(a)
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

// Foreign says that someone else changed the value while a throw of ours
// stands; empty: no.
func (f Fence) Foreign(value string) string {
	if !f.Standing || value == f.Value {
		return ""
	}
	return fmt.Sprintf("someone else changed it since action %s: it put %q and %q is there", f.Action, reach.Shown(f.Value), reach.Shown(value))
}

// Sealable reports done where there is nothing left to seal with token t, and
// an error where it can't be sealed.
func (f Fence) Sealable(a signalbox.Action, t signalbox.Token) (done bool, err error) {
	switch {
	case f.Action == a.ID, f.Sealed == a.ID && f.Token >= t:
		return true, nil
	case f.Token > a.Token && f.Sealed != a.ID && f.Token < t:
		// Another action came after it, which a store that went back in time has
		// forgotten. Its token shuts a out, and a seal would hide that it was there.
		return true, nil
	case f.Token >= t:
		return false, fmt.Errorf("can't be sealed: the fence on the target is ahead (its token is %d, the seal's %d)", f.Token, t)
	}
	return false, nil
}
