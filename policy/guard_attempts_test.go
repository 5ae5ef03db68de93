package policy

import (
	"fmt"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// broke adds attempts at the first step that had no effect; the last one ended
// ago.
func (b *box) broke(n int, ago time.Duration) {
	b.t.Helper()
	for i := range n {
		a := b.acted("")
		a.Stage, a.Reason, a.EndedAt = signalbox.Broken, "sealed", b.w.Now.Add(-ago-time.Duration(n-1-i)*time.Minute)
		b.inc().Next = 0
		s := b.touch()
		s.Thrown, s.Acted = "", nil
	}
}

func TestGuardAttempts(t *testing.T) {
	for _, c := range []struct {
		n    int
		ago  time.Duration
		want signalbox.Verdict
	}{
		{1, time.Second, signalbox.Hold},
		{1, 3 * time.Second, signalbox.Act},
		{2, 9 * time.Second, signalbox.Hold},
		{2, 11 * time.Second, signalbox.Act},
		{3, time.Hour, signalbox.Escalate},
	} {
		t.Run(fmt.Sprintf("%d, %s ago", c.n, c.ago), func(t *testing.T) {
			b := newBox(t)
			b.broke(c.n, c.ago)
			d := b.want(c.want, "")
			if c.want == signalbox.Hold && !d.Until.After(b.w.Now) {
				t.Errorf("it must be asked again when the pause ends, got %v", d.Until)
			}
			if c.want == signalbox.Escalate && d.GaveUp == "" {
				t.Error("automation must give up")
			}
		})
	}
}
