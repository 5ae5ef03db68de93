package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

const (
	backupKey  = "b4c0b4c0b4c0b4c0b4c0b4c0b4c0b4c0"
	hookSecret = "webhook-secret-of-pagerduty"
)

// ladder gives backend a backup whom the daemon pages, and devops as the last
// resort, and has PagerDuty post what people do.
func (b *box) ladder(within string) {
	b.t.Helper()
	b.secret("backup", backupKey)
	b.secret("pagerduty-hook", hookSecret)
	b.write("owners.yaml", fmt.Sprintf(`
default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_file: secrets/devops, url: %[1]q}}
  backend:
    primary: "@be-lead"
    backup: "@be-oncall"
    escalation: daemon
    acknowledge_within: %[2]s
    last_resort: devops
    pagerduty: {primary_key_file: secrets/backend, backup_key_file: secrets/backup, url: %[1]q}
sources:
  people: {kind: pagerduty, receive: /webhooks/pagerduty, secret_file: secrets/pagerduty-hook}
`, b.pagerURL, within))
	b.pager.Subscribe(b.webhooks+"/webhooks/pagerduty", hookSecret, "incident.acknowledged", "incident.resolved")
}

// control posts a control, as signalboxctl does.
func (b *box) word(kind, scope string) {
	b.t.Helper()
	body := fmt.Sprintf(`{"kind": %q, "scope": %q, "reason": "story"}`, kind, scope)
	code, said, err := deliver(b.t.Context(), b.control+"/api/v1/control", b.bearer(), body)
	if err != nil || code != http.StatusOK {
		b.t.Fatalf("%s %s: %d %s %v", kind, scope, code, said, err)
	}
}

// rung is the one page by a routing key about a text, or why there is none.
func (b *box) rung(key, text string) (found pagerduty.Incident, err error) {
	n := 0
	for _, inc := range b.pages(text) {
		if inc.RoutingKey == key {
			found, n = inc, n+1
		}
	}
	if n != 1 {
		return found, fmt.Errorf("pages about %s by the key that begins with %s: got %d, want 1", text, key[:4], n)
	}
	return found, nil
}

func (b *box) is(key, text, status string) func() error {
	return func() error {
		inc, err := b.rung(key, text)
		if err == nil && inc.Status != status {
			err = fmt.Errorf("the page about %s is %s, want %s", text, inc.Status, status)
		}
		return err
	}
}

// pagerAway is how long PagerDuty takes nothing: a few seconds, or as long as
// SIGNALBOX_OUTAGE says.
func pagerAway(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SIGNALBOX_OUTAGE")
	if text == "" {
		return 5 * time.Second
	}
	away, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SIGNALBOX_OUTAGE: %v", err)
	}
	return away
}

// An alert of a real Alertmanager: its primary does not acknowledge, so that the
// backup is paged in its time; somebody acknowledges in PagerDuty, and nobody
// else is paged, while the runbook goes on. What a person takes is yielded, and
// goes on once it is released. While PagerDuty is away nothing is lost, and
// nothing is paged twice.
func TestEscalation(t *testing.T) {
	t.Parallel()
	const within = 4 * time.Second
	p, b := newProduction(t), newBox(t)
	tap := newTap(t, b)
	am := newAlertmanager(t, servers.AlertmanagerOptions{Config: tap.route()})
	b.ladder(within.String())
	b.alerts(am.URL, "")
	p.configure(b, "auto", `
  - name: on-alert
    on: critical
    when: labels.alertname == "Lagging"
    autonomy: auto
    runbook:
      - {page: backend}
      - {wait: {detector: replica-lag, subject: replica/b}, within: 5m}
      - {flip: read-endpoint, to: b}
    verify: {within: 20s, detector: reads-lag, subject: "db/eu"}
    undo: {after_healthy: 1s}
    guards: {cooldown: 0s, budget: [1000/day]}
`)
	p.replica("b", 5) // the runbook has to wait for it
	b.start()
	b.watched()
	began := time.Now()
	am.post(t, "Lagging", began, time.Time{}, "critical")
	b.eventually("the primary's page", b.is(backendKey, "Lagging/eu", "triggered"))
	b.eventually("the backup's page", b.is(backupKey, "Lagging/eu", "triggered"))
	primary, _ := b.rung(backendKey, "Lagging/eu")
	backup, _ := b.rung(backupKey, "Lagging/eu")
	if after := backup.At.Sub(primary.At); after < within {
		t.Errorf("the backup was paged %s after the primary, want not before %s", after, within)
	}
	if !b.pager.AcknowledgeAs(backup.DedupKey, "@be-oncall") {
		t.Fatal("there is nothing to acknowledge")
	}
	b.steadily(2*within, "the last resort is not paged", func() error {
		if _, err := b.rung(devopsKey, "Lagging/eu"); err == nil {
			return fmt.Errorf("it was")
		}
		return p.wrote()()
	})
	p.replica("b", 0.01)
	b.eventually("the runbook to go on though somebody acknowledged", p.wrote(replicaB))
	am.post(t, "Lagging", began, time.Now(), "critical")
	b.eventually("the endpoint to go back", p.wrote(replicaB, replicaA))
	for _, key := range []string{backendKey, backupKey} {
		b.eventually("the ladder to be resolved", b.is(key, "Lagging/eu", "resolved"))
	}

	b.word("take", "policy/on-alert")
	began = time.Now()
	am.post(t, "Lagging", began, time.Time{}, "critical")
	b.eventually("the incident", func() error {
		for _, inc := range b.status().Incidents {
			for _, r := range inc.Because {
				if r.Guard == "hand" && !r.Passed && strings.Contains(r.Detail, "was taken by") {
					return nil
				}
			}
		}
		return fmt.Errorf("nothing is held since it was taken: %+v", b.status().Incidents)
	})
	b.steadily(3*time.Second, "nothing is thrown of what was taken", p.wrote(replicaB, replicaA))
	b.word("release", "policy/on-alert")
	b.eventually("it to go on once it was released", p.wrote(replicaB, replicaA, replicaB))
	am.post(t, "Lagging", began, time.Now(), "critical")
	b.eventually("the endpoint to go back again", p.wrote(replicaB, replicaA, replicaB, replicaA))

	b.pager.Outage(pagerduty.Fault{Status: http.StatusServiceUnavailable})
	began = time.Now()
	for i := range 2 {
		am.post(t, fmt.Sprintf("Gone%d", i), began, began.Add(2*time.Hour), "critical")
	}
	b.steadily(pagerAway(t), "PagerDuty takes nothing", func() error {
		if n := len(b.pages("Gone")); n > 0 {
			return fmt.Errorf("it took %d", n)
		}
		return nil
	})
	b.pager.Mend()
	for i := range 2 {
		b.eventually("what was owed", b.is(backendKey, fmt.Sprintf("Gone%d/eu", i), "triggered"))
	}
}
