package grafana

import (
	"fmt"
	"strings"

	signalbox "github.com/signalbox/signalbox"
)

// scale is how a panel's unit becomes a base unit.
type scale struct {
	unit   signalbox.Unit
	factor float64
}

// scaleOf knows Grafana's units. A unit that is none of time, data or share
// counts as a plain number, where it has no scale of its own.
// See https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/#unit.
func scaleOf(unit string) (scale, bool) {
	switch unit {
	case "ns":
		return scale{signalbox.Seconds, 1e-9}, true
	case "µs":
		return scale{signalbox.Seconds, 1e-6}, true
	case "ms", "dtdurationms", "clockms":
		return scale{signalbox.Seconds, 1e-3}, true
	case "s", "dtdurations", "dthms", "dtdhms", "clocks":
		return scale{signalbox.Seconds, 1}, true
	case "m":
		return scale{signalbox.Seconds, 60}, true
	case "h":
		return scale{signalbox.Seconds, 3600}, true
	case "d":
		return scale{signalbox.Seconds, 86400}, true
	case "timeticks":
		return scale{signalbox.Seconds, 0.01}, true
	case "percent":
		return scale{signalbox.Number, 0.01}, true
	}
	if s, ok := dataScale(unit); ok {
		return s, true
	}
	return scale{signalbox.Number, 1}, isCount(unit)
}

// dataScale are the units of data.
func dataScale(unit string) (scale, bool) {
	factor := 0.0
	switch unit {
	case "bytes", "decbytes":
		factor = 1
	case "bits", "decbits":
		factor = 1.0 / 8
	case "kbytes":
		factor = 1 << 10
	case "mbytes":
		factor = 1 << 20
	case "gbytes":
		factor = 1 << 30
	case "tbytes":
		factor = 1 << 40
	case "pbytes":
		factor = 1 << 50
	case "deckbytes":
		factor = 1e3
	case "decmbytes":
		factor = 1e6
	case "decgbytes":
		factor = 1e9
	case "dectbytes":
		factor = 1e12
	case "decpbytes":
		factor = 1e15
	}
	return scale{signalbox.Bytes, factor}, factor != 0
}

// isCount reports whether a unit is a plain number, or so many of something.
func isCount(unit string) bool {
	switch unit {
	case "", "none", "short", "sishort", "string", "locale", "percentunit", "bool", "bool_yes_no", "bool_on_off", "sci", "hex", "hex0x",
		"celsius", "fahrenheit", "kelvin", "humidity", "watt", "kwatt", "volt", "amp", "dB", "rotrpm",
		"cps", "ops", "reqps", "rps", "wps", "iops", "eps", "mps", "recps", "rowsps", "pps", "hertz", "Bps", "binBps", "bps", "binbps",
		"cpm", "opm", "reqpm", "rpm", "wpm", "mpm", "epm", "recpm":
		return true
	}
	for _, prefix := range []string{"suffix:", "prefix:", "count:", "currency"} {
		if strings.HasPrefix(unit, prefix) {
			return true
		}
	}
	return false
}

// panelUnit is the unit in which a panel shows a query's values.
func (m *panelModel) panelUnit(refID string) (string, error) {
	for _, o := range m.FieldConfig.Overrides {
		for _, p := range o.Properties {
			switch {
			case p.ID != "unit":
			case o.Matcher.ID == "byFrameRefID" && string(o.Matcher.Options) == refID:
				return string(p.Value), nil
			case o.Matcher.ID == "byFrameRefID":
			case p.Value != m.FieldConfig.Defaults.Unit:
				return "", fmt.Errorf("it shows some fields in another unit (an override with unit %q), so that the unit of its values can't be known for certain: give all of them one unit", plain(string(p.Value)))
			}
		}
	}
	switch {
	case m.FieldConfig.Defaults.Unit != "":
		return string(m.FieldConfig.Defaults.Unit), nil
	case len(m.YAxes) > 0 && m.YAxes[0].Format != "":
		return string(m.YAxes[0].Format), nil
	}
	return string(m.Format), nil
}

// reconcile finds by how much a panel's values are multiplied to be in the
// unit that the thresholds are in.
func reconcile(unit string, want signalbox.Unit) (float64, error) {
	s, known := scaleOf(unit)
	switch {
	case !known:
		return 0, fmt.Errorf("its unit %q is not known here: give it another, "+orDetector, plain(unit))
	case s.unit == want:
		return s.factor, nil
	case s.unit == signalbox.Number:
		return 0, fmt.Errorf("its unit is %q, and the thresholds are in %s: give the panel its unit, or the thresholds none", plain(or(unit, "none")), words(want))
	}
	return 0, fmt.Errorf("its unit is %q, which is one of %s, and the thresholds are in %s: write unit: %s and thresholds in it", plain(unit), words(s.unit), words(want), s.unit)
}

func words(u signalbox.Unit) string {
	switch u {
	case signalbox.Seconds:
		return "time"
	case signalbox.Bytes:
		return "bytes"
	}
	return "plain numbers"
}
