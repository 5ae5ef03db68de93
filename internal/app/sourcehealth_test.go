package app

import (
	"errors"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// One breach once it is away for too long, one end; and the first good look is
// told, since the breach may have been told before this start or reload.
func TestSourceHealth(t *testing.T) {
	begin := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	h := sourceHealth{rec: &receiver{source: "alerts", unknownAfter: 3 * time.Second}, good: begin}
	away := errors.New("away")
	for i, c := range []struct {
		err  error
		want signalbox.Condition // Unknown: nothing is told
	}{
		{nil, signalbox.Clear},
		{nil, signalbox.Unknown},
		{away, signalbox.Unknown},
		{away, signalbox.Unknown},
		{away, signalbox.Breached},
		{away, signalbox.Unknown},
		{nil, signalbox.Clear},
		{nil, signalbox.Unknown},
		{away, signalbox.Unknown},
	} {
		at := begin.Add(time.Duration(i) * time.Second)
		r, told := h.step(c.err, at)
		if told != (c.want != signalbox.Unknown) || told && r.Condition != c.want {
			t.Errorf("look %d: got %v, told %t, want %v", i, r.Condition, told, c.want)
		}
		if told && c.want == signalbox.Breached && !r.WellAt.Equal(begin.Add(time.Second)) {
			t.Errorf("look %d: last well %s, want one second after the begin", i, r.WellAt)
		}
	}
}
