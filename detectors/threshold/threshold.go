// Package threshold judges a value against two thresholds with hysteresis. It
// is pure, and shared by the kinds of detectors whose answers are values.
//
// A Side is what the configuration says, a Bound is one limit, and Limits
// judges. A value beyond the breach threshold is Breached, one beyond the clear
// threshold on the other side is Clear, and one between them keeps the
// condition that was last known. A series of which none is known is Clear
// there: a value between the thresholds never opens an incident.
package threshold

import (
	"math"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// Side is one threshold, as configured: exactly one of Above and Below, and how
// long it must hold.
type Side struct {
	// The value is greater than this: 100ms, 80%, 1GiB, 5.
	Above kind.Quantity `yaml:"above,omitempty" json:"above,omitzero"`
	// The value is less than this.
	Below kind.Quantity `yaml:"below,omitempty" json:"below,omitzero"`
	// It must be so for so long, without a break.
	For kind.Duration `yaml:"for,omitempty" json:"for,omitzero"`
}

// Bound is one limit: crossed by a value strictly beyond it.
type Bound struct {
	Above bool // else below
	Value float64
	Text  string // as a person wrote it: "100ms"; empty: there is no bound
}

// Bound returns the side's limit; the zero Bound where there is none.
func (s Side) Bound() Bound {
	switch {
	case !s.Above.IsZero():
		return Bound{Above: true, Value: s.Above.Value, Text: s.Above.Text}
	case !s.Below.IsZero():
		return Bound{Value: s.Below.Value, Text: s.Below.Text}
	}
	return Bound{}
}

func (b Bound) crossed(v float64) bool {
	if b.Above {
		return v > b.Value
	}
	return v < b.Value
}

func (b Bound) String() string {
	if b.Above {
		return "above " + b.Text
	}
	return "below " + b.Text
}

// Limits are the two thresholds of a detector.
type Limits struct {
	Breach Bound
	Clear  Bound // without Text: whatever is not breached is clear
}

// Judge says what a value is, given the condition that was last known. why is a
// few words for people: "above 100ms".
func (l Limits) Judge(v float64, was signalbox.Condition) (c signalbox.Condition, why string) {
	switch {
	case math.IsNaN(v):
		return signalbox.Unknown, "the value is not a number"
	case math.IsInf(v, 0):
		return signalbox.Unknown, "the value is infinite"
	case l.Breach.crossed(v):
		return signalbox.Breached, l.Breach.String()
	case l.Clear.Text == "":
		return signalbox.Clear, "not " + l.Breach.String()
	case l.Clear.crossed(v):
		return signalbox.Clear, l.Clear.String()
	case was == signalbox.Breached:
		return signalbox.Breached, "not yet " + l.Clear.String()
	}
	return signalbox.Clear, "not " + l.Breach.String()
}

// Validate reports every rule that the thresholds of a detector break. unit is
// the unit of the detector's value.
func Validate(fail kind.Fail, unit signalbox.Unit, breach, clear Side) {
	switch unit {
	case signalbox.Number, signalbox.Seconds, signalbox.Bytes:
	default:
		fail("unit", `must be s, B, or absent for a plain number`, string(unit))
		return
	}
	switch {
	case breach.Above.IsZero() && breach.Below.IsZero():
		fail("breach", "must say above or below", nil)
		return
	case !breach.Above.IsZero() && !breach.Below.IsZero():
		fail("breach", "must say only one of above and below", nil)
		return
	case !clear.Above.IsZero() && !clear.Below.IsZero():
		fail("clear", "must say only one of above and below", nil)
		return
	}
	agree := true
	for _, q := range []struct {
		path  string
		given kind.Quantity
	}{
		{"breach.above", breach.Above}, {"breach.below", breach.Below}, {"clear.above", clear.Above}, {"clear.below", clear.Below},
	} {
		if !q.given.IsZero() && q.given.Unit != unit {
			fail(q.path, "must agree with unit, which says that the value "+unitWords(unit), q.given.Text)
			agree = false
		}
	}
	if agree {
		validateOrder(fail, breach, clear)
	}
}

func unitWords(u signalbox.Unit) string {
	switch u {
	case signalbox.Seconds:
		return "is in seconds (write 100ms, 5s, 2m, 1h)"
	case signalbox.Bytes:
		return "is in bytes (write 512B, 1MB, 1GiB)"
	}
	return "is a plain number (write 5 or 80%)"
}

func validateOrder(fail kind.Fail, breach, clear Side) {
	b, c := breach.Bound(), clear.Bound()
	switch {
	case c.Text == "":
	case b.Above && c.Above:
		fail("clear.above", "must be on the other side: say clear.below, at most breach.above ("+b.Text+")", c.Text)
	case !b.Above && !c.Above:
		fail("clear.below", "must be on the other side: say clear.above, at least breach.below ("+b.Text+")", c.Text)
	case b.Above && c.Value > b.Value:
		fail("clear.below", "must not be greater than breach.above ("+b.Text+")", c.Text)
	case !b.Above && c.Value < b.Value:
		fail("clear.above", "must not be less than breach.below ("+b.Text+")", c.Text)
	}
}
