package argocd

import (
	"errors"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// The moves of a tool. restored is an undo's alone.
const (
	moveSynced     = "synced"
	movePrevious   = "previous"
	moveTerminated = "terminated"
	moveRestored   = "restored"
)

// Kind is this package's line in the table of remediators.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:    "argocd",
		Keyword: "argocd",
		Tools: map[string]kind.Tool{
			"argocd": {
				Settings: func() kind.Settings { return newSettings() },
				Moves:    func(kind.Settings) []string { return []string{moveSynced, movePrevious, moveTerminated} },
			},
		},
		Spec: resolve,
		Open: open,
	}
}

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("argocd: a clock must be given")
	}
	return &remediator{now: env.Now, clients: reach.NewClients(env.Agent, env.Log)}, nil
}
