package policy

import (
	"fmt"

	signalbox "github.com/signalbox/signalbox"
)

// guardKill stops every move while the kill switch or the local kill file is
// there. Pages go out all the same.
func guardKill(l *look, _ *move) answer {
	l.read(signalbox.ControlsKey)
	l.read(signalbox.KillFileKey)
	if k := l.w.State.Controls.Killed; k != nil {
		return answer{blocks, fmt.Sprintf("killed by %s at %s: %s", k.Who, clock(k.At), k.Reason)}
	}
	if why := l.w.Facts.KillFile; why != "" {
		return answer{blocks, "the kill file is there: " + why}
	}
	return answer{passes, "not killed"}
}
