package prometheus

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// DetectorSettings are the keys of a detector on a source of this kind, beyond
// those that every detector has.
type DetectorSettings struct {
	// PromQL that gives the value, one incident a series: an instant vector or a scalar, without a comparison at its end.
	Query string `yaml:"query" json:"query" jsonschema:"required"`
	// PromQL that has a value other than 0 when what is watched is there: it proves that a missing series is well.
	Presence string `yaml:"presence,omitempty" json:"presence,omitempty"`
	// The unit of the value: s, B, or absent for a plain number.
	ValueUnit signalbox.Unit `yaml:"unit,omitempty" json:"unit,omitempty" jsonschema:"enum=s,enum=B"`
	// When it is ill, and for how long before an incident opens.
	Breach threshold.Side `yaml:"breach" json:"breach" jsonschema:"required"`
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
	threshold.Validate(fail, d.ValueUnit, d.Breach, d.Clear)
	switch _, err := parseQuery(d.Query); {
	case d.Query == "":
		fail("query", "must be PromQL that gives the value", nil)
	case err != nil:
		fail("query", err.Error(), d.Query)
	case endsInComparison(d.Query):
		fail("query", errComparison.Error(), d.Query)
	}
	if d.Presence != "" {
		if _, err := parseQuery(d.Presence); err != nil {
			fail("presence", err.Error(), d.Presence)
		}
	}
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
	value, err := parseQuery(d.Query)
	if err != nil {
		return nil, timing, fmt.Errorf("detector %s: query %w", c.Name, err)
	}
	det := &detector{
		common: c, unit: d.ValueUnit, origin: "prometheus:" + c.Source, value: value,
		limits: threshold.Limits{Breach: d.Breach.Bound(), Clear: d.Clear.Bound()},
		maxAge: d.MaxAge.Std(),
	}
	if o, ok := opened.(interface{ Origin() string }); ok {
		det.origin = o.Origin()
	}
	if det.maxAge == 0 {
		det.maxAge = max(leastMaxAge, 2*c.Interval+maxAgeSlack)
	}
	if d.Presence != "" {
		if det.presence, err = parseQuery(d.Presence); err != nil {
			return nil, timing, fmt.Errorf("detector %s: presence %w", c.Name, err)
		}
	}
	det.plan()
	return det, timing, nil
}

// plan lays the questions out, each once: the query and what its freshness
// needs, then what presence needs.
func (d *detector) plan() {
	d.index = map[string]int{}
	d.add(d.value)
	d.needed = len(d.questions)
	if d.presence != nil {
		d.add(d.presence)
	}
}

func (d *detector) add(q *query) {
	for _, text := range append([]string{q.text}, q.questions()...) {
		if _, there := d.index[text]; !there {
			d.index[text] = len(d.questions)
			d.questions = append(d.questions, signalbox.Question{Source: d.common.Source, Query: text})
		}
	}
}
