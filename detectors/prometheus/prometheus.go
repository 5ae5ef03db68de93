// Package prometheus is the kind of source and detector that asks a server
// with Prometheus' HTTP API (Prometheus, Thanos, Mimir, VictoriaMetrics) for
// the present value of a PromQL expression, and judges it against thresholds.
//
//	Settings           settings.go   the keys of a source
//	Source             source.go     asks: instant queries, and ranges for replay; errors.go says what went wrong
//	DetectorSettings   detector.go   the keys of a detector
//	detector           judge.go      pure: answers to readings
//
// An instant answer carries the moment of its evaluation, not of its samples,
// and an exporter that died looks like one that has nothing to say. So beside
// the query a detector asks timestamp(selector) for each selector in it, and a
// value counts only with fresh samples behind it. An empty answer is Unknown,
// unless the presence query proves that what is watched is there.
package prometheus

import "github.com/signalbox/signalbox/internal/kind"

// Kind is this package's line in the table of detectors.
func Kind() kind.Source {
	return kind.Source{
		Name:     "prometheus",
		Settings: func() kind.Settings { return newSettings() },
		Detector: func() kind.DetectorSettings { return &DetectorSettings{} },
		Open: func(name string, s kind.Settings, env kind.Env) (any, error) {
			return open(name, s.(*Settings), env)
		},
	}
}
