package pipeline

import (
	"errors"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// The moves of a tool.
const (
	moveRun       = "run"
	movePrevious  = "previous"
	moveCancelled = "cancelled"
)

// Kind is this package's line in the table of remediators.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:    "pipeline",
		Keyword: "pipeline",
		Tools: map[string]kind.Tool{
			"github": {
				Settings: func() kind.Settings { return newSettings() },
				Moves:    func(s kind.Settings) []string { return s.(*Settings).moves() },
			},
		},
		Spec: resolve,
		Open: open,
	}
}

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("pipeline: a clock must be given")
	}
	return &remediator{now: env.Now, clients: reach.NewClients(env.Agent, env.Log)}, nil
}
