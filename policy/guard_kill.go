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
	l.read(signalbox.StoreKey)
	if k := l.w.State.Controls.Killed; k != nil {
		return answer{effect: blocks, detail: fmt.Sprintf("killed by %s at %s: %s", k.Who, clock(k.At), k.Reason), lifts: "signalboxctl resume all"}
	}
	if why := l.w.Facts.KillFile; why != "" {
		lifts := "remove the kill file"
		if l.w.State.Store.Frozen != nil {
			lifts = "signalboxctl store confirm"
		}
		return answer{effect: blocks, detail: why, lifts: lifts}
	}
	return answer{effect: passes, detail: "not killed"}
}
