package statuspage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// DetectorSettings are the keys of a detector on a source of this kind, beyond
// those that every detector has.
type DetectorSettings struct {
	// The component: its name, its group and name as Group/Name, or its id. Absent: the whole page.
	Component string `yaml:"component,omitempty" json:"component,omitempty"`
	// When it is ill, and for how long before an incident opens.
	Breach Side `yaml:"breach,omitempty" json:"breach,omitzero"`
	// When it is well again, and for how long; what is in neither list keeps what was last known.
	Clear Side `yaml:"clear,omitempty" json:"clear,omitzero"`
	// An incident stays open for so long after the last breach.
	KeepFiringFor kind.Duration `yaml:"keep_firing_for,omitempty" json:"keep_firing_for,omitzero"`
	// What was read longer ago, by a cache's copy too, is Unknown: at least 2m30s.
	MaxAge kind.Duration `yaml:"max_age,omitempty" json:"max_age,omitzero" default:"5m"`
}

// Side is what the page says, and for how long.
type Side struct {
	// Words of the page. A component: operational, under_maintenance, degraded_performance, partial_outage, major_outage. The whole page: none, maintenance, minor, major, critical.
	Status []string `yaml:"status,omitempty" json:"status,omitempty"`
	// It must be so for so long, without a break.
	For kind.Duration `yaml:"for,omitempty" json:"for,omitzero"`
}

// Bounds of max_age: below, a page that is read every 2m would be Unknown for a
// part of each.
const (
	defaultMaxAge = 5 * time.Minute
	leastMaxAge   = mostRefresh + 30*time.Second
)

// ill is the degree from which on a word is a breach, unless the configuration
// says else: an outage of a part, or what a page calls major.
const ill = 3

// Unit is the unit of the detector's value, 0 to 4: how bad it is.
func (d *DetectorSettings) Unit() signalbox.Unit { return signalbox.Number }

// Fresh is how old a sample may be that is acted on.
func (d *DetectorSettings) Fresh(time.Duration) time.Duration { return d.maxAge() }

func (d *DetectorSettings) maxAge() time.Duration {
	if d.MaxAge == 0 {
		return defaultMaxAge
	}
	return d.MaxAge.Std()
}

// Names are the labels of its readings: those of a component only where it names
// one.
func (d *DetectorSettings) Names() []string {
	if d.Component == "" {
		return []string{"page", "status"}
	}
	return []string{"page", "status", "component", "component_id", "group"}
}

func (d *DetectorSettings) words() words {
	if d.Component == "" {
		return pageWords()
	}
	return componentWords()
}

// Validate reports every rule that the settings break.
func (d *DetectorSettings) Validate(fail kind.Fail) {
	if len(d.Component) > maxText || strings.TrimSpace(d.Component) != d.Component {
		fail("component", fmt.Sprintf("must have no space around it, and at most %d bytes", maxText), d.Component)
	}
	known := d.words()
	for _, side := range []struct {
		path  string
		given []string
		never func(word string) string
	}{
		{"breach.status", d.Breach.Status, func(word string) string {
			if known[word] == 0 {
				return "must not hold " + word + ", which is health"
			}
			return ""
		}},
		{"clear.status", d.Clear.Status, func(word string) string {
			if slices.Contains(d.breach(), word) {
				return "must not hold " + word + ", which is a breach"
			}
			return ""
		}},
	} {
		for i, word := range side.given {
			at := fmt.Sprintf("%s[%d]", side.path, i)
			if _, ok := known[word]; !ok {
				fail(at, "must be one of "+known.String(), word)
			} else if rule := side.never(word); rule != "" {
				fail(at, rule, nil)
			}
		}
	}
	if d.MaxAge != 0 && d.MaxAge.Std() < leastMaxAge {
		fail("max_age", "must be at least 2m30s", d.MaxAge)
	}
}

func (d *DetectorSettings) breach() []string {
	if len(d.Breach.Status) > 0 {
		return d.Breach.Status
	}
	return d.words().badFrom(ill)
}

func (d *DetectorSettings) clear() []string {
	if len(d.Clear.Status) > 0 {
		return d.Clear.Status
	}
	return []string{d.words().well()}
}

// Build makes the detector. opened is what this kind's Open returned.
func (d *DetectorSettings) Build(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	timing := track.Timing{For: d.Breach.For.Std(), ClearFor: d.Clear.For.Std(), KeepFiringFor: d.KeepFiringFor.Std()}
	det := &detector{
		common: c, component: d.Component, known: d.words(), breach: d.breach(), clear: d.clear(),
		maxAge: d.maxAge(), origin: c.Origin,
	}
	if o, ok := opened.(interface{ Origin() string }); ok && det.origin == "" {
		det.origin = o.Origin()
	}
	return det, timing, nil
}
