package endpoint

import (
	"errors"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// The backends of a switch.
const (
	backendConfigMap = "configmap"
	backendHTTP      = "http"
)

// Kind is the remediator that flips switches.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:    "endpoint",
		Keyword: "flip",
		Backends: map[string]func() kind.Settings{
			backendConfigMap: func() kind.Settings { return &ConfigMap{} },
			backendHTTP:      func() kind.Settings { return newHTTP() },
		},
		Spec: resolve,
		Open: func(env kind.Env) (signalbox.Remediator, error) {
			if env.Now == nil {
				return nil, errors.New("endpoint: a clock must be given")
			}
			return &remediator{now: env.Now, clients: newClients(env.Agent, env.Log)}, nil
		},
	}
}
