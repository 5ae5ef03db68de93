package signalbox

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// IncidentID names one illness of one series: 16 hexadecimal digits.
type IncidentID string

// NewIncidentID derives the id. Where the source counts episodes (alerts) it
// follows from what the source says, so that a doubled or late message finds
// the same incident; otherwise the onset tells one episode from the next.
func NewIncidentID(r Reading) IncidentID {
	episode := r.Episode
	if episode == "" {
		episode = r.OnsetAt.UTC().Format(time.RFC3339Nano)
	}
	return IncidentID(digest(r.Detector, r.Series, episode)[:16])
}

// DedupKey is the pager's key of a reading's incident. It does not depend on
// the store, so that a page sent while the store is gone is the same incident
// afterwards. At most 255 bytes, as PagerDuty's Events API v2 asks.
func DedupKey(r Reading) string {
	return "signalbox-" + digest(r.Detector, r.Series, r.Episode)[:40]
}

func itoa(i int) string { return strconv.Itoa(i) }

func digest(parts ...string) string {
	b := make([]byte, 0, 1024)
	for _, p := range parts {
		b = strconv.AppendInt(b, int64(len(p)), 10)
		b = append(append(b, ':'), p...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// End is how an incident ended. Every alert that was acknowledged to its
// sender reaches exactly one.
type End string

// The ends of an incident; empty while it is open.
const (
	Open       End = ""
	Acted      End = "acted"      // an action helped, and the breach is gone
	Suppressed End = "suppressed" // a silence or inhibition of its source, or gone before anything was started
	Expired    End = "expired"    // its detector is gone from the configuration
	Failed     End = "failed"     // actions did not help; the breach went away later
	Escalated  End = "escalated"  // its owner was paged, and the breach is gone
)

// Incident is one illness, from its onset to its end. It is durable.
type Incident struct {
	ID       IncidentID `json:"id"`
	DedupKey string     `json:"dedup_key"`
	// Reading is the edge that was recorded last; fresher readings, which are
	// not durable, are in Facts.
	Reading   Reading   `json:"reading"`
	Owner     string    `json:"owner"`
	OnsetAt   time.Time `json:"onset_at"`
	OpenedAt  time.Time `json:"opened_at"`
	WellAt    time.Time `json:"well_at,omitzero"`    // last seen well before the onset; zero: never
	ClearAt   time.Time `json:"clear_at,omitzero"`   // since when it is Clear; zero while it is not
	ClosedAt  time.Time `json:"closed_at,omitzero"`  // zero while it is open
	UnknownAt time.Time `json:"unknown_at,omitzero"` // since when it is Unknown; zero while it is not

	// Plan is the runbook under way, whole, so that it outlives the policy
	// that made it. Next is the index of the step to take next.
	Plan    *Plan      `json:"plan,omitempty"`
	Next    int        `json:"next,omitempty"`
	PlanAt  time.Time  `json:"plan_at,omitzero"`  // when it was chosen
	Marks   []Mark     `json:"marks,omitempty"`   // steps that ended without an action
	Actions []ActionID `json:"actions,omitempty"` // in the order in which they were claimed
	Outcome Outcome    `json:"outcome,omitempty"` // of the last action
	// GaveUp says why automation has stopped on this incident; a person has it.
	GaveUp string `json:"gave_up,omitempty"`

	// Recent are the openings of earlier incidents on the same subject, of the
	// same detector, within the last day or the window of `flapping`, oldest first.
	Recent []time.Time `json:"recent,omitempty"`
	// Told are the policies whose record has counted this incident: "would/NAME".
	Told []string `json:"told,omitempty"`
	// Trigger is the person who last set automation in motion on it, by a
	// release or a word; empty: nobody did.
	Trigger string `json:"trigger,omitempty"`
	// ReleasedAt is when a person last gave it back to automation.
	ReleasedAt time.Time `json:"released_at,omitzero"`
	// Evidence is what was found around it when it opened, for people: nothing
	// is decided by it. LookedAt is when it was looked for; zero: it was not.
	Evidence []Finding `json:"evidence,omitempty"`
	LookedAt time.Time `json:"looked_at,omitzero"`
	// ETA is the owner's own word on when it will be over; nil: unknown.
	ETA *Control `json:"eta,omitempty"`

	Page      string `json:"page,omitempty"`       // key of the page that its owner got
	PageAfter string `json:"page_after,omitempty"` // reason of the page
	// AlsoPaged are the keys of pages to others, by steps of its runbook.
	AlsoPaged []string `json:"also_paged,omitempty"`

	End       End    `json:"end,omitempty"`
	EndReason string `json:"end_reason,omitempty"`

	// Decided is the signature of the decision that was journaled last.
	Decided string `json:"decided,omitempty"`
}

// Finding is one thing that was found around an incident. It holds listed
// fields only, and no raw line of a log.
type Finding struct {
	Name string    `json:"name"`           // what was looked for, as the configuration calls it
	At   time.Time `json:"at,omitzero"`    // of what it tells; zero: of no one moment
	Text string    `json:"text,omitempty"` // one plain line; empty: there is only the link
	Link *Link     `json:"link,omitempty"` // where a person sees more
}

// Closed reports whether the incident has reached its end.
func (i *Incident) Closed() bool { return i.End != Open }

// Target is what an action touches, as one canonical line, for example
// "configmap core/core-env DB_READONLY_ENDPOINT". Locks, cooldowns and budgets
// hold on it whatever policy asks.
type Target string

// Key returns the target as the last part of a store key: escaped, so that no
// label or name can reach into another key.
func (t Target) Key() string { return KeyPart(string(t)) }

// KeyPart escapes s for use as one part of a store key: bytes other than
// letters, digits, '.', '_' and '-' become %XX, and so does a leading dot.
func KeyPart(s string) string {
	const hexDigits = "0123456789ABCDEF"
	escaped := 0
	for i := range len(s) {
		if !plainInKey(s[i], i) {
			escaped++
		}
	}
	if escaped == 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 2*escaped)
	for i := range len(s) {
		c := s[i]
		switch {
		case plainInKey(c, i):
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// plainInKey reports whether a byte at index i of a part of a key stands for
// itself.
func plainInKey(c byte, i int) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' && i > 0
}
