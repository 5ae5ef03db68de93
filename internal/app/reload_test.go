package app

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func (h *house) reload() answered {
	h.t.Helper()
	return h.send(h.request(http.MethodPost, h.control+"/-/reload", ""))
}

// A configuration that is wrong changes nothing; one that is right is swapped
// in whole.
func TestReload(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	good := h.d.metrics.reloadGood
	first := h.d.current().config.Hash
	for _, c := range []struct{ name, config, says string }{
		{"an unknown key", alertsOnly + "polices: []\n", "polices"},
		{"two paths that are one", strings.Replace(alertsOnly, "\ndetectors", "\n  other: {kind: alertmanager, receive: /webhooks/am, reconcile: 0}\ndetectors", 1), "/webhooks/am"},
		{"no YAML", "\t{", "story.yaml"},
	} {
		h.write("story.yaml", c.config)
		got := h.reload()
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, c.says) || !strings.Contains(got.body, "the old configuration goes on") {
			t.Errorf("%s: got %d %s, want 422 that says %q", c.name, got.status, got.body, c.says)
		}
		if testutil.ToFloat64(good) != 0 || h.d.current().config.Hash != first {
			t.Errorf("%s: it must be told, and change nothing", c.name)
		}
		if got := h.send(h.post("/webhooks/am", message("Reload", 0))); got.status != http.StatusOK {
			t.Errorf("%s: the old configuration must go on, got %d", c.name, got.status)
		}
	}
	h.write("story.yaml", strings.Replace(alertsOnly, "/webhooks/am", "/webhooks/new", 1))
	got := h.reload()
	now := h.d.current().config.Hash
	if got.status != http.StatusOK || now == first || !strings.Contains(got.body, now) || testutil.ToFloat64(good) != 1 {
		t.Errorf("a right one: got %d %s", got.status, got.body)
	}
	for path, want := range map[string]int{"/webhooks/am": 404, "/webhooks/new": 200} {
		if got := h.send(h.post(path, message("Reload", 0))); got.status != want {
			t.Errorf("%s: got %d, want %d", path, got.status, want)
		}
	}
	h.eventually("the new configuration is in force", func() bool { return h.status().Config.Hash == now })
}

// SIGHUP reloads; a wrong configuration on the way does not end the daemon.
func TestReloadBySignal(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	first := h.d.current().config.Hash
	h.write("story.yaml", "wrong: true\n")
	h.hup <- os.Signal(syscall.SIGHUP)
	h.eventually("the refusal", func() bool { return testutil.ToFloat64(h.d.metrics.reloadGood) == 0 })
	h.write("story.yaml", alertsOnly+"guards: {ineffective: 3}\n")
	h.hup <- os.Signal(syscall.SIGHUP)
	h.eventually("the new configuration", func() bool {
		return testutil.ToFloat64(h.d.metrics.reloadGood) == 1 && h.d.current().config.Hash != first
	})
}

// A reload can't open a door that the start would have refused.
func TestReloadKeepsTheDoorShut(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	h.d.options.ListenWebhooks = "0.0.0.0:9441"
	if got := h.reload(); got.status != http.StatusOK {
		t.Fatalf("with a door: got %d %s", got.status, got.body)
	}
	h.write("story.yaml", strings.Replace(alertsOnly, ", auth: {bearer_file: secrets/am}", "", 1))
	if got := h.reload(); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "without authentication") {
		t.Errorf("without one: got %d %s, want 422", got.status, got.body)
	}
}
