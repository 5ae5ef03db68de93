package loki

import (
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/burnrate"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// DetectorSettings are the keys of a detector on a source of this kind, beyond
// those that every detector has. Exactly one of Query, SLO and Logs is given.
type DetectorSettings struct {
	// LogQL that gives the value, one incident a series, without a comparison at its end.
	Query string `yaml:"query,omitempty" json:"query,omitempty"`
	// How fast an error budget burns, one incident a series; LogQL counts the lines over $window.
	SLO *burnrate.Settings `yaml:"slo,omitempty" json:"slo,omitempty"`
	// Lines of a log, and the ids in them.
	Logs *Logs `yaml:"logs,omitempty" json:"logs,omitempty"`
	// LogQL that has a value other than 0 when the log is written: it proves that no lines are a sign of health.
	Presence string `yaml:"presence,omitempty" json:"presence,omitempty"`
	// The unit of the query's value: s, B, or absent for a plain number.
	ValueUnit signalbox.Unit `yaml:"unit,omitempty" json:"unit,omitempty" jsonschema:"enum=s,enum=B"`
	// When it is ill, and for how long before an incident opens; with logs how many ids, or lines, within the window are too many; with slo only for.
	Breach threshold.Side `yaml:"breach,omitempty" json:"breach,omitzero"`
	// When it is well again, and for how long; absent: when it is not beyond the breach threshold.
	Clear threshold.Side `yaml:"clear,omitempty" json:"clear,omitzero"`
	// An incident stays open for so long after the last breach; with logs at least 1m.
	KeepFiringFor kind.Duration `yaml:"keep_firing_for,omitempty" json:"keep_firing_for,omitzero"`
}

// Unit is the unit of the detector's value.
func (d *DetectorSettings) Unit() signalbox.Unit { return d.ValueUnit }

// Fresh is how old a sample may be that is acted on: of a stream it is as old
// as lines may come late.
func (d *DetectorSettings) Fresh(interval time.Duration) time.Duration {
	if d.Logs == nil {
		return 0
	}
	return d.Logs.late() + 2*interval + time.Minute
}

// Validate reports every rule that the settings break.
func (d *DetectorSettings) Validate(fail kind.Fail) {
	if d.SLO == nil {
		threshold.Validate(fail, d.ValueUnit, d.Breach, d.Clear)
	}
	switch {
	case d.Query != "" && d.Logs != nil:
		fail("query", "must not be given beside logs", nil)
	case d.SLO != nil && (d.Query != "" || d.Logs != nil):
		fail("slo", "must not be given beside query or logs", nil)
	case d.SLO != nil:
		d.validateSLO(fail)
	case d.Query == "" && d.Logs == nil:
		fail("query", "must be LogQL that gives the value; or say slo or logs", nil)
	case d.Logs != nil:
		d.Logs.validate(fail)
		d.validateStream(fail)
	default:
		d.validateValue(fail)
	}
	if d.Presence == "" {
		return
	}
	if err := presenceRule(d.Presence); err != nil {
		fail("presence", err.Error(), d.Presence)
	}
}

func presenceRule(text string) error {
	s, err := parseValue(text)
	if err == nil && s.vector {
		err = errors.New("must not use vector(): it has a value when nothing is there")
	}
	return err
}

func (d *DetectorSettings) validateValue(fail kind.Fail) {
	s, err := parseValue(d.Query)
	if err == nil && s.comparison {
		err = errComparison
	}
	switch {
	case err != nil:
		fail("query", err.Error(), d.Query)
	case s.vector && d.Presence == "":
		fail("presence", "must be given, since vector() in the query has a value when no line is there", nil)
	case !d.Breach.Below.IsZero() && d.Presence == "":
		fail("presence", "must be given with breach.below: a low value is also that of a log which is no longer written", nil)
	}
}

// validateStream holds what stands beside logs to what it can be.
func (d *DetectorSettings) validateStream(fail kind.Fail) {
	if d.Presence == "" {
		fail("presence", `must be given with logs, since no lines prove nothing: LogQL that counts what the same log always holds, like sum(count_over_time({app="psp"}[5m]))`, nil)
	}
	if d.ValueUnit != signalbox.Number {
		fail("unit", "must be absent with logs: it is a count", string(d.ValueUnit))
	}
	if v := d.Breach.Above; !v.IsZero() && (v.Value < 0 || v.Value != float64(int64(v.Value)) || v.Value > maxCount) {
		fail("breach.above", fmt.Sprintf("must be a whole number from 0 to %d with logs", maxCount), v.Text)
	}
	if !d.Breach.Below.IsZero() {
		fail("breach.below", "must be absent with logs: say above", d.Breach.Below.Text)
	}
	if d.Breach.For != 0 {
		fail("breach.for", "must be absent with logs: logs.window says over how long", d.Breach.For)
	}
	if !d.Clear.Above.IsZero() || !d.Clear.Below.IsZero() {
		fail("clear", "must say only for with logs", nil)
	}
}

// Build makes the detector. opened is what this kind's Open returned; of any
// other source it only needs its name.
func (d *DetectorSettings) Build(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	timing := track.Timing{For: d.Breach.For.Std(), ClearFor: d.Clear.For.Std(), KeepFiringFor: d.KeepFiringFor.Std()}
	base := base{common: c, unit: d.ValueUnit, origin: "loki:" + c.Source, presence: d.Presence, threshold: d.Breach.Bound().String()}
	if o, ok := opened.(interface{ Origin() string }); ok {
		base.origin = o.Origin()
	}
	if c.Origin != "" {
		base.origin = c.Origin
	}
	if d.Presence != "" {
		if err := presenceRule(d.Presence); err != nil {
			return nil, timing, fmt.Errorf("detector %s: presence %w", c.Name, err)
		}
	}
	switch {
	case d.SLO != nil:
		return newBurnDetector(base, d.SLO), timing, nil
	case d.Logs == nil:
		s, err := parseValue(d.Query)
		if err != nil {
			return nil, timing, fmt.Errorf("detector %s: query %w", c.Name, err)
		}
		base.window = s.window
		return &detector{base: base, query: d.Query, limits: threshold.Limits{Breach: d.Breach.Bound(), Clear: d.Clear.Bound()}}, timing, nil
	}
	timing.KeepFiringFor = max(timing.KeepFiringFor, leastKeep)
	det, err := d.Logs.build(base, d.Breach.Above.Value)
	if err != nil {
		return nil, timing, fmt.Errorf("detector %s: %w", c.Name, err)
	}
	return det, timing, nil
}
