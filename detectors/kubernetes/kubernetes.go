package kubernetes

import (
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
)

// Kind is this package's line in the table of detectors. Switches name a
// source of it too, for its connection alone.
func Kind() kind.Source {
	return kind.Source{
		Name:     cluster.Kind,
		Settings: func() kind.Settings { return cluster.New() },
		Detector: func() kind.DetectorSettings { return &DetectorSettings{} },
		Look:     func() kind.LookSettings { return &LookSettings{} },
		Open: func(name string, s kind.Settings, env kind.Env) (any, error) {
			return open(name, s.(*cluster.Settings), env)
		},
	}
}
