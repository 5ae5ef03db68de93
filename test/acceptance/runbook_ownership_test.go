package acceptance

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

// ownershipMatrix is who is paged for an alert, in this order, while nobody
// acknowledges: the primary of its domain, its backup, and the last resort.
var ownershipMatrix = map[string][]string{
	"Disk":    {"sre-lead", "sre-oncall", "support-manager"}, // nobody's: the default owner's
	"db":      {"be-lead", "be-oncall", "sre-lead"},
	"cdn":     {"fe-lead", "fe-oncall", "sre-lead"},
	"psp":     {"payments-lead", "payments-oncall", "sre-lead"},
	"tickets": {"support-manager", "support-lead", "sre-lead"},
}

// The ownership matrix of the handbook: an alert of each of the five domains
// reaches its primary, then its backup, then the last resort, each once, in its
// time, by a routing key of its own. Support is told of what others own, and
// nobody is paged after it for that.
func TestRunbookOwnership(t *testing.T) {
	t.Parallel()
	o := newOwnership(t)
	o.start()
	o.fire()
	for alert, ladder := range ownershipMatrix {
		o.eventually("all who are paged for "+alert, o.climbed(alert, ladder...))
		var before time.Time
		for _, page := range o.ladder(alert) {
			if gap := page.At.Sub(before); gap < ownershipWithin {
				t.Errorf("%s: %s was paged %v after the one before, want not before %v", alert, o.who[page.RoutingKey], gap, ownershipWithin)
			}
			before = page.At
		}
		if told, want := o.informed(alert), alert != "tickets"; told != want {
			t.Errorf("%s: support is told of it: %t, want %t", alert, told, want)
		}
	}
	o.steadily(2*ownershipWithin, "nobody is left to page", o.allClimbed)
	o.end()
	o.eventually("all pages to be resolved", func() error {
		for _, inc := range o.pager.Incidents() {
			if inc.Status != "resolved" {
				return fmt.Errorf("%s of %s is %s", inc.Title, o.who[inc.RoutingKey], inc.Status)
			}
		}
		return nil
	})
	o.noneTwice()
}

// Who acknowledges in PagerDuty has the page: nobody after that one is paged. An
// acknowledgement that is not signed by PagerDuty is none.
func TestRunbookOwnershipAcknowledged(t *testing.T) {
	t.Parallel()
	o := newOwnership(t)
	o.start()
	o.fire()
	o.eventually("the primary of backend", o.climbed("db", "be-lead"))
	if !o.pager.AcknowledgeAs(o.ladder("db")[0].DedupKey, "@be-lead") {
		t.Fatal("there is nothing to acknowledge")
	}
	o.eventually("the primary of frontend", o.climbed("cdn", "fe-lead"))
	if code := o.forge(t, o.ladder("cdn")[0]); code != http.StatusUnauthorized {
		t.Errorf("a forged acknowledgement was answered %d, want 401", code)
	}
	o.eventually("the backup of frontend", o.climbed("cdn", "fe-lead", "fe-oncall"))
	if !o.pager.AcknowledgeAs(o.ladder("cdn")[1].DedupKey, "@fe-oncall") {
		t.Fatal("there is nothing to acknowledge")
	}
	o.eventually("all who are paged for psp", o.climbed("psp", ownershipMatrix["psp"]...))
	o.steadily(2*ownershipWithin, "who acknowledged has it", func() error {
		if err := o.climbed("db", "be-lead")(); err != nil {
			return err
		}
		return o.climbed("cdn", "fe-lead", "fe-oncall")()
	})
}

// A policy in shadow throws nothing, by the API server's own log, and people are
// paged and escalated to all the same.
func TestRunbookOwnershipInShadow(t *testing.T) {
	t.Parallel()
	p, o := newProduction(t), newOwnership(t)
	p.configure(o.box, "auto", `
  - name: on-alert
    on: alerts
    autonomy: shadow
    runbook:
      - {page: payments, then: next}
      - {flip: read-endpoint, to: b}
    verify: {within: 20s, detector: reads-lag, subject: "db/eu"}
`)
	o.start()
	o.watched()
	o.fire()
	o.eventually("the record of what would be done", o.wouldAct("alerts", "on-alert"))
	for alert, ladder := range ownershipMatrix {
		o.eventually("all who are paged for "+alert, o.climbed(alert, ladder...))
	}
	o.steadily(2*time.Second, "nothing is thrown, and nobody more is paged", func() error {
		if err := p.wrote()(); err != nil {
			return err
		}
		return o.allClimbed()
	})
}

// The daemon is killed after the primaries were paged and before the backups
// are: each is paged once, and nobody is left out.
func TestRunbookOwnershipKilled(t *testing.T) {
	t.Parallel()
	o := newOwnership(t)
	o.start()
	o.fire()
	for alert := range ownershipMatrix {
		o.eventually("the primary for "+alert, func() error {
			if len(o.ladder(alert)) == 0 {
				return fmt.Errorf("nobody is paged")
			}
			return nil
		})
	}
	seed := uint64(time.Now().UnixNano())
	pause := time.Duration(rand.New(rand.NewPCG(seed, 0)).Int64N(int64(ownershipWithin * 3 / 4))) //nolint:gosec // a moment, no secret
	t.Logf("seed %d: killed %v after the primaries were paged", seed, pause)
	killed := time.NewTimer(pause)
	defer killed.Stop()
	<-killed.C
	o.kill()
	o.start()
	for alert, ladder := range ownershipMatrix {
		o.eventually("all who are paged for "+alert, o.climbed(alert, ladder...))
	}
	o.steadily(2*ownershipWithin, "nobody is paged twice", o.allClimbed)
	o.noneTwice()
}

// ownershipWithin is how long a page may go unacknowledged.
const ownershipWithin = 5 * time.Second

// ownership is a daemon with the owners of the handbook, each rung with a routing
// key of its own, and a real Alertmanager.
type ownership struct {
	*box
	am  *alertmanager
	who map[string]string // by routing key
	at  time.Time         // since when the alerts fire
}

func newOwnership(t *testing.T) *ownership {
	t.Helper()
	o := &ownership{box: newBox(t), who: map[string]string{}}
	var keys []string
	for i, name := range []string{
		"sre-lead", "sre-oncall", "be-lead", "be-oncall", "fe-lead", "fe-oncall", "payments-lead", "payments-oncall", "support-manager", "support-lead",
	} {
		key := fmt.Sprintf("fedcba9876543210fedcba987654321%d", i)
		o.secret("pagerduty-"+name, key)
		o.who[key], keys = name, append(keys, key)
	}
	var err error
	if o.pager, err = pagerduty.New(pagerduty.Options{Keys: keys, Spec: contractOf(t, "pagerduty/events-v2.json")}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(o.pager)
	t.Cleanup(func() {
		o.kill()
		o.pager.Close()
		server.Close()
		for _, v := range o.pager.Violations() {
			t.Errorf("the pager's contract was broken: %s", v)
		}
	})
	owners := handbook(t, "owners.yaml")
	for _, within := range []string{"5m", "10m"} {
		owners = strings.ReplaceAll(owners, "acknowledge_within: "+within, "acknowledge_within: "+ownershipWithin.String())
	}
	o.write("owners.yaml", strings.ReplaceAll(owners, "pagerduty: {", fmt.Sprintf("pagerduty: {url: %q, ", server.URL)))
	o.secret("pagerduty-webhook", hookSecret)
	o.pager.Subscribe(o.webhooks+"/webhooks/pagerduty", hookSecret, "incident.acknowledged", "incident.resolved")
	tap := newTap(t, o.box)
	o.am = newAlertmanager(t, servers.AlertmanagerOptions{Config: tap.route()})
	o.write("alerts.yaml", fmt.Sprintf(`
sources:
  alerts: {kind: alertmanager, url: %q, receive: %s, auth: {bearer_file: secrets/webhook}, reconcile: 1s, unknown_after: 3s, warm_up: 0s}
detectors:
  - {name: alerts, source: alerts, subject: "{{alertname}}/{{cluster}}"}
`, o.am.URL, webhookPath))
	e := newHandbookExcerpt(t)
	e.take("sources", "people", func(map[string]any) {})
	e.write(o.box)
	return o
}

// fire lets an alert of each domain fire.
func (o *ownership) fire() {
	o.t.Helper()
	o.at = time.Now()
	for alert := range ownershipMatrix {
		o.am.post(o.t, alert, o.at, time.Time{}, "critical")
	}
}

func (o *ownership) end() {
	o.t.Helper()
	for alert := range ownershipMatrix {
		o.am.post(o.t, alert, o.at, time.Now(), "critical")
	}
}

// ladder are the pages about an alert that want somebody to act, oldest first.
func (o *ownership) ladder(alert string) (rungs []pagerduty.Incident) {
	for _, inc := range o.pages(alert + "/eu") {
		if inc.Events[0].Payload.Severity != "info" {
			rungs = append(rungs, inc)
		}
	}
	slices.SortStableFunc(rungs, func(a, b pagerduty.Incident) int { return a.At.Compare(b.At) })
	return rungs
}

// climbed wants that exactly these were paged for an alert, in this order.
func (o *ownership) climbed(alert string, want ...string) func() error {
	return func() error {
		var got []string
		for _, inc := range o.ladder(alert) {
			got = append(got, o.who[inc.RoutingKey])
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("paged for %s: %q, want %q", alert, got, want)
		}
		return nil
	}
}

func (o *ownership) allClimbed() error {
	for alert, ladder := range ownershipMatrix {
		if err := o.climbed(alert, ladder...)(); err != nil {
			return err
		}
	}
	return nil
}

// informed reports whether support is told of an alert, once, and nobody else is.
func (o *ownership) informed(alert string) bool {
	var told []string
	for _, inc := range o.pages(alert + "/eu") {
		if inc.Events[0].Payload.Severity == "info" {
			told = append(told, o.who[inc.RoutingKey])
		}
	}
	return slices.Equal(told, []string{"support-manager"})
}

// forge posts an acknowledgement of a page that is signed with a guess.
func (o *ownership) forge(t *testing.T, page pagerduty.Incident) int {
	t.Helper()
	body := fmt.Sprintf(`{"event": {"id": "01FORGED", "event_type": "incident.acknowledged", "resource_type": "incident", "occurred_at": %q,
"agent": {"id": "PGUESS1", "type": "user_reference", "summary": "nobody"},
"data": {"id": %q, "type": "incident", "status": "acknowledged", "incident_key": %q}}}`, time.Now().UTC().Format(time.RFC3339), page.ID, page.DedupKey)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.webhooks+"/webhooks/pagerduty", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Webhook-Id", "webhook-forged")
	req.Header.Set("X-PagerDuty-Signature", pagerduty.Sign([]byte(body), "a guess"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
