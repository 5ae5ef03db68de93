package acceptance

import (
	"fmt"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
)

// The leader is killed while a breach is on its way to its `for`. The next one
// counts on, so that the incident has the onset from before the kill; and it
// opens no earlier than its `for` after that.
func TestReplicasForGoesOnWithAnotherLeader(t *testing.T) {
	t.Parallel()
	const whole = 40 * time.Second
	h := newHouse(t)
	exporter := queueSource(t, h.box)
	h.edit("queue.yaml", "breach: {above: 100, for: 1s}", "breach: {above: 100, for: 40s}")
	h.open()
	leader, _ := h.leader()
	leader.watched()
	exporter.Set("queue_depth", 500, "queue", "psp")
	h.beats("how long the breach was counted", leader, func(beat *signalbox.Heartbeat) bool { return len(beat.Streaks) == 1 })
	leader.kill()
	killed := time.Now()
	next := h.successor(leader)
	var inc engine.IncidentStatus
	h.eventually("the incident", func() error {
		st, err := next.statusNow()
		if err != nil || len(st.Incidents) != 1 {
			return fmt.Errorf("open: %d %w", len(st.Incidents), err)
		}
		inc = st.Incidents[0]
		return nil
	})
	if !inc.OnsetAt.Before(killed) {
		t.Errorf("its onset is %v, after the kill at %v: it was counted anew", inc.OnsetAt, killed)
	}
	if lasted := inc.OpenedAt.Sub(inc.OnsetAt); lasted < whole {
		t.Errorf("it opened %v after its onset, want %v at the least", lasted, whole)
	}
}
