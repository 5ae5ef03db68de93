package credentials

import (
	"errors"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// The moves of a tool.
const (
	moveRotated = "rotated" // the new credential is made
	moveSeen    = "seen"    // nothing is written: its consumers are on the new one
	moveRevoked = "revoked" // the old one is taken away
	moveDeleted = "deleted" // what was revoked is removed
)

// Kind is this package's line in the table of remediators.
func Kind() kind.Remediator {
	moves := func(m ...string) func(kind.Settings) []string {
		return func(kind.Settings) []string { return m }
	}
	// What leaked is taken away last: a runbook makes the new one first.
	after := func(_ kind.Settings, move string) []string {
		if move == moveRevoked || move == moveSeen {
			return []string{moveRotated}
		}
		return nil
	}
	return kind.Remediator{
		Name:    "credentials",
		Keyword: "credentials",
		Tools: map[string]kind.Tool{
			"kubernetes_token": {Settings: func() kind.Settings { return newToken() }, Moves: moves(moveRotated, moveRevoked), After: after},
			"sealed_secret":    {Settings: func() kind.Settings { return newSealed() }, Moves: moves(moveRotated, moveSeen), After: after},
			"aws_access_key":   {Settings: func() kind.Settings { return newAccessKey() }, Moves: moves(moveRevoked, moveDeleted)},
		},
		Spec: resolve,
		Open: open,
	}
}

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("credentials: a clock must be given")
	}
	return &remediator{now: env.Now, clients: reach.NewClients(env.Agent, env.Log)}, nil
}
