package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

// beside is a second daemon on the same store, which stands by.
func (h *house) beside(config string) *house {
	h.t.Helper()
	other := newHouse(h.t, config)
	other.store, other.replica = h.store, "other"
	other.open()
	if duty, _ := other.d.engine.Duty(); !duty.StandsBy {
		h.t.Fatalf("it does not stand by: %+v", duty)
	}
	return other
}

// One that stands by is ready and refuses controls with the leader's name. What
// it takes in is the leader's, also that the watchdog came. When the leader
// stops, it leads, and what it heard before counts from then.
func TestStandsBy(t *testing.T) {
	config := fmt.Sprintf(watchdogConfig, "2s")
	h := newHouse(t, config).open()
	other := h.beside(config)
	h.is("source/alerts", signalbox.Breached, true)
	h.eventually("the watchdog, posted to the other, to end it", func() bool {
		other.delivers("Watchdog")
		return h.incident("source/alerts") == nil
	})
	other.delivers("Other")
	h.is("Other", signalbox.Breached, true)
	got := other.command(`{"kind":"kill","scope":"all"}`)
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, `replica \"test\" leads`) {
		t.Errorf("a control is answered %d %s, want 503 and who leads", got.status, got.body)
	}
	if got := other.send(other.request(http.MethodGet, other.control+"/-/ready", "")); !strings.Contains(got.body, "stands by") {
		t.Errorf("readiness says %q", got.body)
	}
	other.eventually("it tells what is open", func() bool { return other.incident("Other") != nil })
	h.stop()
	other.eventually("it leads", func() bool { return other.status().Leading })
	other.is("source/alerts", signalbox.Breached, true)
	other.is("Other", signalbox.Breached, true)
}
