// Package detectors is the table of the kinds of sources, and of the
// detectors on them: one line a kind.
package detectors

import (
	"github.com/signalbox/signalbox/detectors/alertmanager"
	"github.com/signalbox/signalbox/detectors/prometheus"
	"github.com/signalbox/signalbox/internal/kind"
)

// Kinds returns the table.
func Kinds() []kind.Source {
	return []kind.Source{
		alertmanager.Kind(), // alerts: webhook v4, reconciled by API v2
		prometheus.Kind(),   // PromQL against thresholds
	}
}
