package policy

import (
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardKill(t *testing.T) {
	b := newBox(t)
	b.w.State.Controls.Killed = &signalbox.Control{Kind: signalbox.Kill, Who: "ann", At: noon, Reason: "strange"}
	d := b.blocked("kill", "killed by ann")
	b.paged(d) // a kill never stops a page
	b.want(signalbox.Hold, "kill")

	b = newBox(t)
	b.w.Facts.KillFile = "touched by hand"
	b.blocked("kill", "touched by hand")
}
