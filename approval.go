package signalbox

import "time"

// ApprovalID names one request for approval. It follows from the incident, the
// step and how often it was asked before.
type ApprovalID string

// NewApprovalID derives the id, 12 hexadecimal digits. undoes is the action that
// the step takes back, empty for a step forward; asked is how often it was asked
// before.
func NewApprovalID(i IncidentID, index int, undoes string, asked int) ApprovalID {
	return ApprovalID(digest(string(i), itoa(index), undoes, itoa(asked))[:12])
}

// ApprovalState is what became of a request.
type ApprovalState string

// The states of an approval. A request whose time is over is expired whatever
// its state says.
const (
	Asked    ApprovalState = "asked"
	Approved ApprovalState = "approved"
	Denied   ApprovalState = "denied"
	Used     ApprovalState = "used"
)

// Approval asks a person whether one step may be taken, and holds the answer.
// It is durable, and serves once.
type Approval struct {
	ID       ApprovalID `json:"id"`
	Incident IncidentID `json:"incident"`
	Policy   string     `json:"policy"`
	Index    int        `json:"index"`
	Undoes   ActionID   `json:"undoes,omitempty"`
	// Bound is the hash of what is approved: the policy's content, the steps
	// as they are resolved, the versions found and the targets touched.
	Bound   string    `json:"bound"`
	Plan    []string  `json:"plan"`    // a line a step, for people
	Why     string    `json:"why"`     // why it is asked
	Targets []Target  `json:"targets"` // of the step
	AskedAt time.Time `json:"asked_at"`
	Expires time.Time `json:"expires"`
	// Trigger is the person who set the step in motion; empty: none did. With
	// TwoPersons, that one can't approve.
	Trigger    string        `json:"trigger,omitempty"`
	TwoPersons bool          `json:"two_persons,omitempty"`
	State      ApprovalState `json:"state"`
	Who        string        `json:"who,omitempty"` // who approved or denied
	At         time.Time     `json:"at,omitzero"`
	Reason     string        `json:"reason,omitempty"`
	Action     ActionID      `json:"action,omitempty"` // that used it up
}

// Open reports whether it can still be answered at a moment.
func (a *Approval) Open(now time.Time) bool { return a.State == Asked && now.Before(a.Expires) }

// Good reports whether it allows a step at a moment.
func (a *Approval) Good(now time.Time) bool { return a.State == Approved && now.Before(a.Expires) }
