// Package datadog is the kind of source and detector that asks Datadog: how
// fast SLOs burn their error budgets, what is left of them, what state they
// are in, what state a monitor is in, and how many logs match a query.
//
//	Settings           settings.go   the keys of a source; keys.go reads its credentials at each use
//	question           question.go   what a detector asks, as one line of text
//	Source             source.go     asks, each equal question once: slo.go, monitor.go, logs.go
//	call               call.go       one request: its place in the rate limit, its retries, its errors
//	limiter            limiter.go    what Datadog's headers allow, shared by all detectors of the source
//	DetectorSettings   detector.go   the keys of a detector
//	detector           judge.go      pure: answers to readings
//
// Datadog answers 200 also where it knows nothing: a null SLI, the state
// no_data, errors beside the data. All of it is an error here, and so Unknown:
// null is not 0.
//
// The API is described in https://docs.datadoghq.com/api/latest/.
package datadog

import "github.com/signalbox/signalbox/internal/kind"

// Kind is this package's line in the table of detectors.
func Kind() kind.Source {
	return kind.Source{
		Name:     "datadog",
		Settings: func() kind.Settings { return newSettings() },
		Detector: func() kind.DetectorSettings { return newDetectorSettings() },
		Look:     func() kind.LookSettings { return &LookSettings{} },
		Open: func(name string, s kind.Settings, env kind.Env) (any, error) {
			return open(name, s.(*Settings), env)
		},
	}
}
