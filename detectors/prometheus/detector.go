package prometheus

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/burnrate"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/freshness"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// DetectorSettings are the keys of a detector on a source of this kind, beyond
// those that every detector has.
type DetectorSettings struct {
	// PromQL that gives the value, one incident a series: an instant vector or a scalar, without a comparison at its end. Either query or slo is given.
	Query string `yaml:"query,omitempty" json:"query,omitempty"`
	// How fast an error budget burns, one incident a series; PromQL counts the events over $window.
	SLO *burnrate.Settings `yaml:"slo,omitempty" json:"slo,omitempty"`
	// PromQL that has a value other than 0 when what is watched is there: it proves that a missing series is well.
	Presence string `yaml:"presence,omitempty" json:"presence,omitempty"`
	// The unit of the value: s, B, or absent for a plain number.
	ValueUnit signalbox.Unit `yaml:"unit,omitempty" json:"unit,omitempty" jsonschema:"enum=s,enum=B"`
	// When it is ill, and for how long before an incident opens; of an slo only for how long.
	Breach threshold.Side `yaml:"breach,omitempty" json:"breach,omitzero"`
	// When it is well again, and for how long; absent: when it is not beyond the breach threshold.
	Clear threshold.Side `yaml:"clear,omitempty" json:"clear,omitzero"`
	// An incident stays open for so long after the last breach.
	KeepFiringFor kind.Duration `yaml:"keep_firing_for,omitempty" json:"keep_firing_for,omitzero"`
	// A value with an older sample behind it is Unknown; absent: 15s and two intervals, and at least 75s.
	MaxAge kind.Duration `yaml:"max_age,omitempty" json:"max_age,omitzero"`
}

// Unit is the unit of the detector's value.
func (d *DetectorSettings) Unit() signalbox.Unit { return d.ValueUnit }

// Validate reports every rule that the settings break.
func (d *DetectorSettings) Validate(fail kind.Fail) {
	switch {
	case d.SLO != nil && d.Query != "":
		fail("slo", "must not be given together with query", nil)
	case d.SLO != nil:
		d.SLO.Validate(fail, checkQuery)
		d.validateSides(fail)
	default:
		threshold.Validate(fail, d.ValueUnit, d.Breach, d.Clear)
		if d.Query == "" {
			fail("query", "must be PromQL that gives the value", nil)
		} else if err := checkQuery(d.Query); err != nil {
			fail("query", err.Error(), d.Query)
		}
	}
	if d.Presence != "" {
		if _, err := freshness.Parse(d.Presence); err != nil {
			fail("presence", err.Error(), d.Presence)
		}
	}
}

// validateSides: an slo has its thresholds in its windows.
func (d *DetectorSettings) validateSides(fail kind.Fail) {
	for _, side := range []struct {
		path string
		threshold.Side
	}{{"breach", d.Breach}, {"clear", d.Clear}} {
		if b := side.Bound(); b.Text != "" {
			fail(side.path, "must say only for: the thresholds of an slo stand in slo.windows", b.String())
		}
	}
	if d.ValueUnit != signalbox.Number {
		fail("unit", "must be absent: a burn rate is a plain number", string(d.ValueUnit))
	}
}

func checkQuery(text string) error {
	if _, err := freshness.Parse(text); err != nil {
		return err
	}
	if freshness.EndsInComparison(text) {
		return freshness.ErrComparison
	}
	return nil
}

// Fresh is how old a sample may be that is acted on.
func (d *DetectorSettings) Fresh(time.Duration) time.Duration { return d.MaxAge.Std() }

// The default of max_age. A sample is as old as the scrape interval when the
// next one is due, and Prometheus' default interval is 1m: below 75s a healthy
// series would be Unknown for a part of each minute.
const (
	leastMaxAge = 75 * time.Second
	maxAgeSlack = 15 * time.Second
)

// futureSlack is how far in the future a sample may seem, by the clocks.
const futureSlack = 5 * time.Second

// Build makes the detector. opened is what this kind's Open returned; of any
// other source it only needs its name.
func (d *DetectorSettings) Build(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	timing := track.Timing{For: d.Breach.For.Std(), ClearFor: d.Clear.For.Std(), KeepFiringFor: d.KeepFiringFor.Std()}
	det := &detector{
		common: c, unit: d.ValueUnit, origin: "prometheus:" + c.Source, maxAge: d.MaxAge.Std(), index: map[string]int{},
		limits: threshold.Limits{Breach: d.Breach.Bound(), Clear: d.Clear.Bound()}, slo: d.SLO,
	}
	if o, ok := opened.(interface{ Origin() string }); ok {
		det.origin = o.Origin()
	}
	if c.Origin != "" {
		det.origin = c.Origin
	}
	if det.maxAge == 0 {
		det.maxAge = max(leastMaxAge, 2*c.Interval+maxAgeSlack)
	}
	if err := det.plan(d.Query, d.Presence); err != nil {
		return nil, timing, fmt.Errorf("detector %s: %w", c.Name, err)
	}
	return det, timing, nil
}

// plan lays the questions out, each once: the query, or those of the slo, and
// what their freshness needs, then what presence needs.
func (d *detector) plan(query, presence string) (err error) {
	if d.slo != nil {
		err = d.planSLO()
	} else {
		d.value, err = d.add("query", query)
	}
	if err != nil || presence == "" {
		return err
	}
	d.presence, err = d.add("presence", presence)
	return err
}

func (d *detector) add(path, text string) (*freshness.Query, error) {
	q, err := freshness.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	for _, text := range append([]string{q.Text}, q.Questions()...) {
		if _, there := d.index[text]; !there {
			d.index[text] = len(d.questions)
			d.questions = append(d.questions, signalbox.Question{Source: d.common.Source, Query: text})
		}
	}
	return q, nil
}
