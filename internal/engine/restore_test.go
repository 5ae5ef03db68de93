package engine_test

import (
	"slices"
	"strings"
	"testing/synctest"

	signalbox "github.com/signalbox/signalbox"
)

// restorePolicy gives the policy its autonomy back, where it was demoted.
func (w *world) restorePolicy() {
	c := signalbox.Control{Kind: signalbox.Restore, Scope: "policy/failover", Who: "test"}
	if err := w.engine.Control(w.t.Context(), c); err != nil && !strings.Contains(err.Error(), "is not demoted") {
		w.t.Error(err)
	}
	synctest.Wait()
}

// lastOf is the last event whose key begins so, or does not.
func (p *pager) lastOf(prefix string, begins bool) pageEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range slices.Backward(p.events) {
		if strings.HasPrefix(e.key, prefix) == begins {
			return e
		}
	}
	return pageEvent{}
}
