package alertmanager

import (
	"fmt"
	"maps"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// DetectorSettings is what the configuration says to a detector on a source of
// this kind.
type DetectorSettings struct {
	// Labels that an alert must have with exactly these values; none: it takes every alert.
	Match map[string]string `yaml:"match" json:"match,omitempty"`
}

// Validate checks the settings.
func (d *DetectorSettings) Validate(fail kind.Fail) { alerts.ValidateMatch(fail, "match", d.Match) }

// Unit is none: an alert fires or not.
func (d *DetectorSettings) Unit() signalbox.Unit { return signalbox.Number }

// Fresh is how old a reading may be that is acted on.
func (d *DetectorSettings) Fresh(time.Duration) time.Duration { return alerts.Fresh }

// Build makes an *alerts.Detector.
func (d *DetectorSettings) Build(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	if _, ok := opened.(*Source); !ok {
		return nil, track.Timing{}, fmt.Errorf("detector %q: source %q must be of kind alertmanager", c.Name, c.Source)
	}
	return &alerts.Detector{Common: c, Match: maps.Clone(d.Match)}, track.Timing{}, nil
}
