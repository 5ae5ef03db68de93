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
		return answer{effect: blocks, detail: fmt.Sprintf("killed by %s at %s: %s", k.Who, clock(k.At), k.Reason), lifts: "signalboxctl resume all"}
	}
	if why := l.w.Facts.KillFile; why != "" {
		return answer{effect: blocks, detail: "the kill file is there: " + why, lifts: "remove the kill file"}
	}
	return answer{effect: passes, detail: "not killed"}
}
