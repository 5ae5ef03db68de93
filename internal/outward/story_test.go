package outward

import (
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// What ran and failed is not told as if nothing had come of it.
func TestWhatRanAndFailedIsToldSo(t *testing.T) {
	inc := &signalbox.Incident{Reading: signalbox.Reading{Subject: "service/checkout"}}
	a := &signalbox.Action{ID: "inc-1-1", Step: signalbox.Step{Kind: "pipeline", Name: "smoke", To: "run"}, Stage: signalbox.Broken}
	if got := annotation(a, inc).Text; !strings.HasPrefix(got, "smoke to run: had no effect. ") {
		t.Errorf("without a receipt: %s", got)
	}
	a.Receipt.At = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if got := annotation(a, inc).Text; !strings.HasPrefix(got, "smoke to run: ran and failed. ") {
		t.Errorf("with a receipt: %s", got)
	}
}
