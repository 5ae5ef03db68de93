package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// crashes is how often each kill is repeated.
func crashes(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("SIGNALBOX_CRASHES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("SIGNALBOX_CRASHES must be a number above zero, got %q", s)
		}
		return n
	}
	return 20
}

// kill -9 after the intent and before the effect, after the effect and before
// the receipt, and during verification, with a target slower than the restart:
// one effect each time, read from the API server's own log.
func TestKillAtEachStepGivesOneEffect(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"after the intent, before the effect", "after the effect, before the receipt", "during verification"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			killedAtStep(t, step)
		})
	}
}

func killedAtStep(t *testing.T, step string) {
	t.Helper()
	p, b := newProduction(t), newBox(t)
	p.quick = true
	p.configure(b, "auto", strings.Replace(patient, "after_healthy: 3s", "after_healthy: 1s", 1))
	b.start()
	b.watched()
	var want []string
	for i := range crashes(t) {
		want = append(want, replicaB)
		b.crashOnce(p, step, fmt.Sprintf("%s, %d", step, i), want)
		p.reads(0.01)
		want = append(want, replicaA)
		b.eventually("the endpoint to go back", p.wrote(want...))
		b.eventually("the incident to end", func() error {
			if n := len(b.status().Incidents); n > 0 {
				return fmt.Errorf("open: %d", n)
			}
			return nil
		})
	}
	for _, inc := range b.pager.Incidents() {
		t.Errorf("a page, where none is wanted: %s", inc.Events[0].Raw)
	}
}

func (b *box) crashOnce(p *production, step, name string, want []string) {
	b.t.Helper()
	var h *held
	if step != "during verification" {
		h = p.slow.holdNextWrite(step == "after the effect, before the receipt")
	}
	p.reads(5)
	if h != nil {
		b.eventually(name+": the write to be on its way", h.isHere)
	} else {
		b.eventually(name+": the effect", p.wrote(want...))
	}
	b.kill()
	b.start()
	if h != nil && !h.after {
		// The successor has sealed and acted before the late write arrives.
		b.eventually(name+": the effect", p.wrote(want...))
		close(h.release)
		if code := h.answered(b.t); code != http.StatusConflict {
			b.t.Errorf("%s: the late write was answered %d, want 409", name, code)
		}
	} else if h != nil {
		close(h.release)
		h.answered(b.t)
	}
	b.eventually(name+": one effect", p.wrote(want...))
	b.eventually(name+": settled", func() error {
		for _, inc := range b.status().Incidents {
			if inc.Verdict == "verify" || inc.Outcome != "" {
				return nil
			}
		}
		return fmt.Errorf("not verified yet")
	})
	if err := p.wrote(want...)(); err != nil {
		b.t.Fatalf("%s: %v", name, err)
	}
}

// isHere reports whether the held write has come in.
func (h *held) isHere() error {
	select {
	case <-h.arrived:
		return nil
	default:
		return fmt.Errorf("no write has come in")
	}
}
