package policy

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// tellsMost is how often one tool tells in tellsPer: a storm must not become
// as many messages.
const (
	tellsMost = 20
	tellsPer  = time.Hour
)

const tellsGuard = "tells"

func tellScope(s *signalbox.Step) string { return tellsGuard + "/" + s.Name }

// guardTells bounds how often one tool tells.
func guardTells(l *look, m *move) answer {
	scope := tellScope(m.step)
	a := l.window(scope, tellsMost, tellsPer, l.spend(scope))
	if a.effect != passes {
		a.effect = stops
	}
	return a
}
