package signalbox

import "time"

// Page is one page to one owner, for one incident or for a group.
type Page struct {
	Key       string       `json:"key"` // dedup key at the pager
	Owner     string       `json:"owner"`
	Incidents []IncidentID `json:"incidents"` // that it speaks of and that are open
	Why       string       `json:"why"`
	Due       time.Time    `json:"due"` // not sent before: a group gathers until then
	// Want and Sent count the events asked for and the events that the pager
	// accepted; they differ while one is owed. Event is the one wanted last.
	Want  int       `json:"want"`
	Sent  int       `json:"sent"`
	Event PageEvent `json:"event"`
	Body  PageBody  `json:"body"`
	At    time.Time `json:"at"` // of the last change
	Error string    `json:"error,omitempty"`

	// Rung is who of the owner is paged by it. A page that was made of another
	// names it in Of: it escalates it, or, where Rung is the primary's, tells
	// others of it. Both end together.
	Rung Rung   `json:"rung,omitempty"`
	Of   string `json:"of,omitempty"`
	// MadeAt is when it was first wanted, for an incident of Detector; Causes
	// are those of its incidents (see PageNote).
	MadeAt   time.Time `json:"made_at,omitzero"`
	Detector string    `json:"detector,omitempty"`
	Causes   []string  `json:"causes,omitempty"`
	// SentAt is when the pager accepted the first trigger. AckedAt is when a
	// person acknowledged it, which stops its escalation.
	SentAt  time.Time `json:"sent_at,omitzero"`
	AckedAt time.Time `json:"acked_at,omitzero"`
	AckedBy string    `json:"acked_by,omitempty"`
	// UnackedAt is when an acknowledgement was last taken back, in the pager's
	// time: one that is not later is a late or a repeated message.
	UnackedAt time.Time `json:"unacked_at,omitzero"`
	// Notes are told on the pager's incident, in their order; Noted counts
	// those that it took.
	Notes []Note `json:"notes,omitempty"`
	Noted int    `json:"noted,omitempty"`
	// FailingSince is since when the pager takes nothing of it; Second counts
	// the events (of Want) that the owner's second channel took instead.
	FailingSince time.Time `json:"failing_since,omitzero"`
	Second       int       `json:"second,omitempty"`
}

// Rung is a step of the ladder on which an unacknowledged page climbs.
type Rung string

// The rungs.
const (
	PrimaryRung    Rung = ""
	BackupRung     Rung = "backup"
	LastResortRung Rung = "last_resort"
)

// Note is one line told on a page's incident: a decision, an action, a word.
type Note struct {
	At   time.Time `json:"at"`
	Kind NoteKind  `json:"kind"`
	Text string    `json:"text"`
}

// NoteKind is where a note goes.
type NoteKind string

// The kinds of notes.
const (
	PlainNote    NoteKind = "note"      // on the incident's timeline
	StatusUpdate NoteKind = "status"    // to its subscribers
	Responders   NoteKind = "responder" // asks others to help
)

// PageEvent is what a page tells the pager.
type PageEvent string

// The page events, as PagerDuty's Events API v2 names them.
const (
	PageTrigger     PageEvent = "trigger"
	PageAcknowledge PageEvent = "acknowledge"
	PageResolve     PageEvent = "resolve"
)

// PageBody is what a person reads on a page. Only listed fields leave the
// building: no log lines, no raw bodies.
type PageBody struct {
	Summary  string    `json:"summary"`  // cut to the pager's limit when it is sent
	Severity string    `json:"severity"` // critical, error, warning or info
	Source   string    `json:"source"`   // what is ill
	At       time.Time `json:"at"`
	Evidence []string  `json:"evidence,omitempty"`
	Done     []string  `json:"done,omitempty"`   // what was done, oldest first
	Thrown   []Thrown  `json:"thrown,omitempty"` // what is thrown now
	Plan     []string  `json:"plan,omitempty"`   // what a policy suggests, or wants approved
	// Also is what else was to be told since the last event that was sent, oldest
	// first: reasons that a later one took the place of.
	Also   []string          `json:"also,omitempty"`
	Links  []Link            `json:"links,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Thrown is one switch that stands where an action put it.
type Thrown struct {
	Action ActionID `json:"action"`
	What   string   `json:"what"`    // "read-endpoint is at replica-b (was replica-a)"
	ByHand string   `json:"by_hand"` // the command that takes it back
}
