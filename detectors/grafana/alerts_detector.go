package grafana

import (
	"fmt"
	"maps"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// Posted reports whether the detector selects alerts, which Grafana posts,
// rather than asks for a panel.
func (d *DetectorSettings) Posted() bool { return len(d.Match) > 0 }

func (d *DetectorSettings) validateMatch(fail kind.Fail) {
	alerts.ValidateMatch(fail, "match", d.Match)
	for key, given := range map[string]bool{
		"panel": d.Panel != nil, "unit": d.ValueUnit != "", "breach": d.Breach != (threshold.Side{}), "clear": d.Clear != (threshold.Side{}),
		"keep_firing_for": d.KeepFiringFor != 0, "max_age": d.MaxAge != 0,
	} {
		if given {
			fail(key, "must not be given together with match: the alert's rule says when it fires", nil)
		}
	}
}

func (d *DetectorSettings) buildMatch(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	switch s, ok := opened.(*Source); {
	case !ok:
		return nil, track.Timing{}, fmt.Errorf("detector %q: source %q must be of kind grafana", c.Name, c.Source)
	case !s.receives:
		return nil, track.Timing{}, fmt.Errorf("detector %q: match needs alerts, and source %q takes none: give it receive", c.Name, c.Source)
	}
	return &alerts.Detector{Common: c, Match: maps.Clone(d.Match)}, track.Timing{}, nil
}
