package grafana

import "github.com/signalbox/signalbox/internal/kind"

// Kind is this package's line in the table of detectors.
func Kind() kind.Source {
	return kind.Source{
		Name:     "grafana",
		Settings: func() kind.Settings { return newSettings() },
		Detector: func() kind.DetectorSettings { return &DetectorSettings{} },
		Look:     func() kind.LookSettings { return &LookSettings{} },
		Open: func(name string, s kind.Settings, env kind.Env) (any, error) {
			return open(name, s.(*Settings), env)
		},
		Receives: func(s kind.Settings) string { return s.(*Settings).Receive },
		Door:     func(s kind.Settings) *kind.Door { return s.(*Settings).door() },
	}
}
