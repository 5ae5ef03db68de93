package credentials

import (
	"encoding/json"
	"fmt"

	signalbox "github.com/signalbox/signalbox"
)

// annotationFence is where the fence stands on a SealedSecret.
const annotationFence = "signalbox.io/fence"

// fence is what stands beside what was applied. Its zero value is a
// SealedSecret that was never written by us.
type fence struct {
	// Token never decreases.
	Token signalbox.Token `json:"token"`
	// Action applied last; Value is the fingerprint of what it applied, and Was
	// the version of the Secret before. A seal keeps them.
	Action signalbox.ActionID `json:"action,omitempty"`
	Value  string             `json:"value,omitempty"`
	Was    string             `json:"was,omitempty"`
	// Sealed is the action whose late write Token shuts out.
	Sealed signalbox.ActionID `json:"sealed,omitempty"`
}

// fenceOf reads the fence among annotations; ok: there is none, or it is ours.
func fenceOf(annotations map[string]string) (f fence, ok bool) {
	raw, there := annotations[annotationFence]
	if !there {
		return fence{}, true
	}
	if json.Unmarshal([]byte(raw), &f) != nil || f.Token <= 0 {
		return fence{}, false
	}
	return f, true
}

func (f fence) String() string {
	b, err := json.Marshal(f)
	if err != nil { // strings and a number always marshal
		return ""
	}
	return string(b)
}

// ahead says why an action must not write over the fence; "": it may. Equal
// tokens are the action's own seal.
func (f fence) ahead(a signalbox.Action) string {
	own := max(a.Token, a.Sealed)
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
