package signalbox

import "time"

// ControlKind is what a control does.
type ControlKind string

// The controls. Kill and Pause stop actions until they are lifted; the others
// are a person's word, given once.
const (
	Kill        ControlKind = "kill"
	Pause       ControlKind = "pause"
	Resume      ControlKind = "resume"      // lifts pauses, and the kill switch when its scope is "all"
	Release     ControlKind = "release"     // what a person took, or what automation had stopped on
	TakeBack    ControlKind = "undo"        // an incident's thrown switches that wait to be asked about
	Acknowledge ControlKind = "acknowledge" // a page: in the pager, or as the pager told
	// Unacknowledge is an acknowledgement that the pager took back.
	Unacknowledge ControlKind = "unacknowledge"
	Take          ControlKind = "take"    // an incident, target, policy or owner is a person's until it is released
	Restore       ControlKind = "restore" // a policy that was demoted gets its configured autonomy back
	Estimate      ControlKind = "eta"     // the owner's word on when an incident will be over: Until
	// Happened and NotHappened settle an action in doubt by a person's word: its
	// effect is there, or is not and will not come.
	Happened    ControlKind = "done"
	NotHappened ControlKind = "not-done"
	// Confirm says that the store may be relied on, though what is kept outside
	// of it does not agree.
	Confirm ControlKind = "confirm"
)

// Control is one control that a person set.
type Control struct {
	Kind ControlKind `json:"kind"`
	// Scope is "all", "policy/NAME", "owner/NAME", "target/TARGET",
	// "incident/ID", or for Happened and NotHappened "action/ID".
	Scope  string    `json:"scope"`
	Until  time.Time `json:"until,omitzero"` // Pause: lifted by itself then; zero: by a person only
	Reason string    `json:"reason,omitempty"`
	Who    string    `json:"who"`
	At     time.Time `json:"at"`
}

// Controls are the controls in force, as one record, so that a claim can be
// conditional on none having been added.
type Controls struct {
	Killed *Control  `json:"killed,omitempty"`
	Pauses []Control `json:"pauses,omitempty"`
	Taken  []Control `json:"taken,omitempty"` // by people, each until it is released or its Until
	Words  []Control `json:"words,omitempty"` // Undo and Acknowledge that were not carried out yet
	// Lifted are the resumes of the last day: who sets what was held going again
	// is not the second person that approves it.
	Lifted []Control `json:"lifted,omitempty"`
}
