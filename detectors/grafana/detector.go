package grafana

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// DetectorSettings are the keys of a detector on a source of this kind, beyond
// those that every detector has.
type DetectorSettings struct {
	// The panel whose query gives the value, one incident a series.
	Panel *PanelSettings `yaml:"panel,omitempty" json:"panel,omitempty"`
	// In place of panel: labels with exactly these values, that an alert of Grafana's must have to be this detector's.
	Match map[string]string `yaml:"match,omitempty" json:"match,omitempty"`
	// The unit that the thresholds are in: s, B, or absent for a plain number. The panel's own unit is converted to it.
	ValueUnit signalbox.Unit `yaml:"unit,omitempty" json:"unit,omitempty" jsonschema:"enum=s,enum=B"`
	// When it is ill, and for how long before an incident opens.
	Breach threshold.Side `yaml:"breach,omitempty" json:"breach,omitzero"`
	// When it is well again, and for how long; absent: when it is not beyond the breach threshold.
	Clear threshold.Side `yaml:"clear,omitempty" json:"clear,omitzero"`
	// An incident stays open for so long after the last breach.
	KeepFiringFor kind.Duration `yaml:"keep_firing_for,omitempty" json:"keep_firing_for,omitzero"`
	// A value whose sample is older is Unknown; absent: 15s and two intervals, and at least 75s.
	MaxAge kind.Duration `yaml:"max_age,omitempty" json:"max_age,omitzero"`
}

// PanelSettings name a query of a panel.
type PanelSettings struct {
	// The dashboard: its title, with its folder before it where the title is not unique ("DB/Prod"), or its uid.
	Dashboard string `yaml:"dashboard" json:"dashboard" jsonschema:"required"`
	// The panel: its title, with its row before it where the title is not unique ("Replicas/Lag"), or its number.
	Panel string `yaml:"panel" json:"panel" jsonschema:"required"`
	// The letter of the query (A, B …), where the panel has several.
	Query string `yaml:"query,omitempty" json:"query,omitempty"`
	// Values of the dashboard's variables in place of those that it was saved with; several are separated by commas, and $__all is all.
	Variables map[string]string `yaml:"variables,omitempty" json:"variables,omitempty"`
}

// Bounds of what names a panel.
const (
	maxName      = 200
	maxVariables = 50
)

// Unit is the unit of the detector's value.
func (d *DetectorSettings) Unit() signalbox.Unit { return d.ValueUnit }

// Fresh is how old a sample may be that is acted on.
func (d *DetectorSettings) Fresh(time.Duration) time.Duration {
	if d.Posted() {
		return alerts.Fresh
	}
	return d.MaxAge.Std()
}

// Validate reports every rule that the settings break.
func (d *DetectorSettings) Validate(fail kind.Fail) {
	if d.Posted() {
		d.validateMatch(fail)
		return
	}
	if d.Panel == nil {
		fail("panel", "must name the dashboard and the panel that give the value; or match the labels of alerts", nil)
		return
	}
	d.Panel.validate(fail)
	threshold.Validate(fail, d.ValueUnit, d.Breach, d.Clear)
}

func (p *PanelSettings) validate(fail kind.Fail) {
	for _, given := range []struct{ path, text, what string }{
		{"panel.dashboard", p.Dashboard, `must be the dashboard's title, like "DB/Prod", or its uid`},
		{"panel.panel", p.Panel, "must be the panel's title or number"},
	} {
		if given.text == "" || len(given.text) > maxName {
			fail(given.path, given.what, nil)
		}
	}
	if len(p.Query) > maxName {
		fail("panel.query", "must be the letter of a query", nil)
	}
	if len(p.Variables) > maxVariables {
		fail("panel.variables", fmt.Sprintf("must be at most %d", maxVariables), len(p.Variables))
	}
	for name := range p.Variables {
		if !isName(name) {
			fail("panel.variables."+name, "must be the name of a variable, without $", nil)
		}
	}
}

// The default of max_age. A sample is as old as the scrape interval when the
// next one is due, and Prometheus' default interval is 1m: below 75s a healthy
// series would be Unknown for a part of each minute.
const (
	leastMaxAge = 75 * time.Second
	maxAgeSlack = 15 * time.Second
)

// Build makes the detector. opened is what this kind's Open returned: it
// learns which dashboards are the detector's.
func (d *DetectorSettings) Build(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	timing := track.Timing{For: d.Breach.For.Std(), ClearFor: d.Clear.For.Std(), KeepFiringFor: d.KeepFiringFor.Std()}
	if d.Posted() {
		return d.buildMatch(c, opened)
	}
	if d.Panel == nil {
		return nil, timing, fmt.Errorf("detector %s: names no panel", c.Name)
	}
	ref := reference{
		Dashboard: d.Panel.Dashboard, Panel: d.Panel.Panel, Query: d.Panel.Query,
		Variables: d.Panel.Variables, Unit: d.ValueUnit,
	}
	det := &panelDetector{
		common: c, unit: d.ValueUnit, maxAge: d.MaxAge.Std(),
		limits:   threshold.Limits{Breach: d.Breach.Bound(), Clear: d.Clear.Bound()},
		question: signalbox.Question{Source: c.Source, Query: ref.encode()},
	}
	if det.maxAge == 0 {
		det.maxAge = max(leastMaxAge, 2*c.Interval+maxAgeSlack)
	}
	if s, ok := opened.(*Source); ok && s != nil {
		s.belongs(c.Name, ref)
	}
	return det, timing, nil
}
