package signalbox

import (
	"encoding/json"
	"fmt"
	"time"
)

// Condition is what a Reading says of a series. The zero value is Unknown, so
// that what nobody filled in is never taken for health.
type Condition uint8

// The three conditions.
const (
	Unknown  Condition = iota // missing, stale, NaN, partial, late or failed: neither a reason to act nor proof of health
	Clear                     // proved to be well
	Breached                  // proved to be ill
)

var conditionNames = [...]string{Unknown: "unknown", Clear: "clear", Breached: "breached"}

func (c Condition) String() string {
	if int(c) < len(conditionNames) {
		return conditionNames[c]
	}
	return fmt.Sprintf("condition(%d)", uint8(c))
}

// MarshalText writes the condition's name.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a condition's name; any other word is an error.
func (c *Condition) UnmarshalText(b []byte) error {
	for i, n := range conditionNames {
		if n == string(b) {
			*c = Condition(i)
			return nil
		}
	}
	return fmt.Errorf("condition must be unknown, clear or breached, got %q", b)
}

// Unit is the base unit of a value. Values are always carried in it.
type Unit string

// The base units: a plain number (also ratios, 0 to 1), seconds and bytes.
const (
	Number  Unit = ""
	Seconds Unit = "s"
	Bytes   Unit = "B"
)

// Link is a place where a person sees more.
type Link struct {
	Text string `json:"text"`
	Href string `json:"href"`
}

// Reading is what one detector says of one series at one moment.
type Reading struct {
	Detector string `json:"detector"`
	// Series identifies the series within its detector: a hash of its labels,
	// or an alert's fingerprint. It is empty when the detector as a whole is
	// Unknown and no series can be named.
	Series string `json:"series,omitempty"`
	// Episode tells one illness of a series from the next where the source
	// itself counts them (an alert's startsAt); otherwise it is empty.
	Episode   string            `json:"episode,omitempty"`
	Subject   string            `json:"subject,omitempty"` // what is ill
	Labels    map[string]string `json:"labels,omitempty"`
	Condition Condition         `json:"condition"`
	Value     Float             `json:"value"` // in Unit; meaningless where HasValue is false
	HasValue  bool              `json:"has_value,omitempty"`
	Unit      Unit              `json:"unit,omitempty"`
	Threshold string            `json:"threshold,omitempty"` // as a person wrote it: "above 100ms"
	// SampleAt is the sample's own time, not the evaluation's; Window is how
	// far back of it the value reaches (the range of a rate, for example).
	SampleAt time.Time     `json:"sample_at,omitzero"`
	Window   time.Duration `json:"window,omitempty"`
	At       time.Time     `json:"at"` // when it was judged or received
	// OnsetAt is when the breach began, as far as the source can tell. WellAt
	// is the last moment at which it was seen not to be ill; zero: never.
	OnsetAt time.Time `json:"onset_at,omitzero"`
	WellAt  time.Time `json:"well_at,omitzero"`
	EndedAt time.Time `json:"ended_at,omitzero"` // when the source says that the breach ended
	// Since is when the condition was first seen without a break; it restarts
	// with the daemon.
	Since time.Time `json:"since,omitzero"`
	// Held is how long a breach was counted that is no incident yet.
	Held time.Duration `json:"-"`
	// Origin is who measured it, as far as that is declared or known: signals
	// that differ in it are independent. Empty: not declared, and so taken as
	// dependent on every other.
	Origin string `json:"origin,omitempty"`
	Reason string `json:"reason,omitempty"` // why it is Unknown
	// Items are what it is about, one by one, in the order in which they were
	// found since it began: ids out of logs. They only ever become more.
	Items []string `json:"items,omitempty"`
	// Unlisted is how many more ids there were, at the least, than an incident
	// lists.
	Unlisted int `json:"unlisted,omitempty"`
	// Confirmed says that it was read from the present state of the source,
	// rather than delivered by it: a delivery may be late or doubled.
	Confirmed bool `json:"confirmed,omitempty"`
	// Suppressed names the silence or inhibition under which the source holds
	// the alert: it stops pages, and is empty when there is none.
	Suppressed string `json:"suppressed,omitempty"`
	Owner      string `json:"owner,omitempty"`
	Summary    string `json:"summary,omitempty"` // one plain line for people
	Links      []Link `json:"links,omitempty"`
}

// Float is a float64 that survives JSON when it is NaN or infinite.
type Float float64

// MarshalJSON writes a number, or its name in quotes where JSON has none.
func (f Float) MarshalJSON() ([]byte, error) {
	if b, err := json.Marshal(float64(f)); err == nil {
		return b, nil
	}
	return json.Marshal(fmt.Sprint(float64(f)))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Float) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err == nil {
		_, err := fmt.Sscan(s, (*float64)(f))
		return err
	}
	return json.Unmarshal(b, (*float64)(f))
}

// Question is one thing to ask a source. It is comparable: equal questions at
// the same moment are asked once and their answer is shared.
type Question struct {
	Source string // the source's name in the configuration
	Query  string // in the source's own language
	// From is where the range of a question about a stream begins, UTC; zero:
	// it is about one moment.
	From time.Time
}

// Sample is one value of one series.
type Sample struct {
	Labels map[string]string
	Value  float64
	At     time.Time // the sample's own time, or the evaluation's where the source tells no other
	Text   string    // of a stream: the line
}

// Answer is what a source said to one Question.
type Answer struct {
	Question Question
	At       time.Time // the moment that was asked about
	Samples  []Sample
	Warnings []string // not empty: the data may be partial
	Err      error    // not nil: there is no answer, and nothing else is set
}

// Batch is what was seen at once: the body of one webhook, or the edges of one
// round of polling. It is recorded whole or not at all.
type Batch struct {
	Source   string    `json:"source"`
	At       time.Time `json:"at"`
	Readings []Reading `json:"readings"`
	// Synced: the batch is the whole present state of its source, and what it
	// does not name no longer is.
	Synced bool `json:"synced,omitempty"`
	// Incomplete says why the batch is known to lack something; nothing may
	// be decided on it until it is completed.
	Incomplete string `json:"incomplete,omitempty"`
	// Heard is the newest moment at which the source's watchdog is known to
	// have fired, as a replica that does not lead heard it.
	Heard time.Time `json:"heard,omitzero"`
	// Words are what people said elsewhere, as the pager tells it: an
	// acknowledgement, with Scope "page/KEY".
	Words []Control `json:"words,omitempty"`
}
