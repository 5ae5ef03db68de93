package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// watchdogConfig is a source that only posts, with a watchdog.
const watchdogConfig = `
sources:
  alerts:
    kind: alertmanager
    receive: /webhooks/am
    reconcile: 0
    auth: {bearer_file: secrets/am}
    watchdog: {match: {alertname: Watchdog}, within: %s}
detectors:
  - {name: all, source: alerts, subject: "{{alertname}}"}
`

func (h *house) delivers(name string) {
	h.t.Helper()
	if got := h.send(h.post("/webhooks/am", message(name, 0))); got.status != http.StatusOK {
		h.t.Fatalf("got %d %s, want 200", got.status, got.body)
	}
}

// The watchdog does not come: one incident of the source, of the default owner.
// It comes: that is over. It never is an incident itself.
func TestWatchdog(t *testing.T) {
	h := newHouse(t, fmt.Sprintf(watchdogConfig, "2s")).open()
	h.is("source/alerts", signalbox.Breached, true)
	inc := h.incident("source/alerts")
	if inc.Owner != "devops" || !strings.Contains(inc.Reading.Summary, "its watchdog did not come since") {
		t.Errorf("got %s: %q", inc.Owner, inc.Reading.Summary)
	}
	h.delivers("Other")
	h.is("Other", signalbox.Breached, true)
	h.is("source/alerts", signalbox.Breached, true)
	h.eventually("the watchdog to end it", func() bool {
		h.delivers("Watchdog")
		return h.incident("source/alerts") == nil
	})
	if n := len(h.status().Incidents); n != 1 {
		t.Errorf("got %d incidents, want that of the other alert", n)
	}
	h.is("source/alerts", signalbox.Breached, true) // it stays away again
	if again := h.incident("source/alerts"); again.ID == inc.ID {
		t.Error("another absence is another incident")
	}
}

// However often the configuration is read, a watchdog that stays away is told;
// an absence that was told is not told again by the next configuration.
func TestWatchdogOverReloads(t *testing.T) {
	h := newHouse(t, fmt.Sprintf(watchdogConfig, "3s")).open()
	reloads := 0
	h.eventually("it is told", func() bool {
		if got := h.reload(); got.status != http.StatusOK {
			t.Fatalf("got %d %s", got.status, got.body)
		}
		reloads++
		return h.incident("source/alerts") != nil
	})
	id := h.incident("source/alerts").ID
	h.write("story.yaml", fmt.Sprintf(watchdogConfig, "1h"))
	if got := h.reload(); got.status != http.StatusOK {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if inc := h.incident("source/alerts"); inc == nil || inc.ID != id || inc.Reading.Condition != signalbox.Breached {
		t.Errorf("a longer bound is no proof that it came: got %+v", inc)
	}
	h.delivers("Watchdog")
	h.is("source/alerts", signalbox.Clear, false)
	if reloads < 2 {
		t.Errorf("only %d reloads", reloads)
	}
}

// A restart keeps the incident, whose end is then found; and at a start the
// bound counts from there.
func TestWatchdogOverARestart(t *testing.T) {
	h := newHouse(t, fmt.Sprintf(watchdogConfig, "2s")).open()
	h.is("source/alerts", signalbox.Breached, true)
	id := h.incident("source/alerts").ID
	next := newHouse(t, fmt.Sprintf(watchdogConfig, "1h"))
	h.stop()
	next.store = h.store
	begin := time.Now()
	next.open()
	next.is("source/alerts", signalbox.Breached, true)
	if inc := next.incident("source/alerts"); inc.ID != id || inc.OpenedAt.After(begin) {
		t.Errorf("got another incident: %+v", inc)
	}
	next.delivers("Watchdog")
	next.is("source/alerts", signalbox.Clear, false)
}
