package app

import (
	"fmt"
	"net/http"
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

// Whose an alert is: its detector's own word, then the rules of ownership, then
// the default owner; that of a detector with the name of its source, and that of
// an alert that no detector takes, too.
func TestWhoOwnsAnAlert(t *testing.T) {
	const config = `
sources:
  alerts: {kind: alertmanager, receive: /webhooks/am, reconcile: 0, auth: {bearer_file: secrets/am}}
detectors:
  - {name: %s, source: alerts, match: {alertname: "%s"}, subject: "{{alertname}}"%s}
`
	for _, c := range []struct{ name, detector, match, owner, alert, want string }{
		{"its detector's", "named", "DB", ", owner: frontend", "DB", "frontend"},
		{"its detector's, named after the source", "alerts", "DB", ", owner: frontend", "DB", "frontend"},
		{"a rule's", "named", "DB", "", "DB", "backend"},
		{"a rule's, its detector named after the source", "alerts", "DB", "", "DB", "backend"},
		{"a rule's, no detector takes it", "named", "Other", "", "DB", "backend"},
		{"nobody's", "named", "DB", "", "Disk", "devops"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, fmt.Sprintf(config, c.detector, c.match, c.owner))
			h.write("owners.yaml", fmt.Sprintf(`
default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_file: secrets/pd, url: %[1]q}}
  backend: {primary: "@be-lead", escalation: pagerduty, pagerduty: {primary_key_file: secrets/pd, url: %[1]q}}
  frontend: {primary: "@fe-lead", escalation: pagerduty, pagerduty: {primary_key_file: secrets/pd, url: %[1]q}}
ownership:
  - {subject: "DB*", owner: backend}
`, h.pager))
			h.open()
			if got := h.send(h.post("/webhooks/am", message(c.alert, 0))); got.status != http.StatusOK {
				t.Fatalf("got %d %s, want 200", got.status, got.body)
			}
			h.is(c.alert, signalbox.Breached, true)
			if got := h.incident(c.alert).Owner; got != c.want {
				t.Errorf("owner: got %s, want %s", got, c.want)
			}
		})
	}
}
