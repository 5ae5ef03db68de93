package acceptance

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/standin/pagerduty"
	"github.com/signalbox/signalbox/test/standin/slack"
)

// byIncident gives backend an escalation policy of PagerDuty's, on which the
// daemon opens incidents, and a channel in Slack for when PagerDuty fails. Nothing
// posts what people do in PagerDuty: it is asked.
func (b *box) byIncident() *slack.Server {
	b.t.Helper()
	const apiKey = "an-api-key-of-the-rest-api"
	b.secret("pagerduty-api", apiKey)
	b.secret("slack-bot", "xoxb-a-bot-that-is-not-real")
	pager, err := pagerduty.New(pagerduty.Options{
		Keys: []string{devopsKey}, APIKeys: []string{apiKey}, RESTSpec: contractOf(b.t, "pagerduty/rest.trim.json"), Spec: contractOf(b.t, "pagerduty/events-v2.json"),
		Services: []pagerduty.Service{{ID: "PWIXJZS", EscalationPolicy: "PT20YPA"}, {ID: "PDEVOPS", EscalationPolicy: "PDEVOPS", Keys: []string{devopsKey}}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	chat, err := slack.New(slack.Options{Token: "xoxb-a-bot-that-is-not-real", Channels: []string{toldChannel}, Spec: contractOf(b.t, "slack/slack.trim.json")})
	if err != nil {
		b.t.Fatal(err)
	}
	server, talk := httptest.NewServer(pager), httptest.NewServer(chat)
	b.t.Cleanup(func() {
		b.kill()
		pager.Close()
		server.Close()
		talk.Close()
		if v := append(pager.Violations(), chat.Violations()...); len(v) > 0 {
			b.t.Errorf("a contract was broken: %q", v)
		}
	})
	b.pager, b.pagerURL = pager, server.URL
	b.write("owners.yaml", fmt.Sprintf(`
default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_file: secrets/devops, url: %[1]q}}
  backend:
    primary: "@be-lead"
    escalation: pagerduty
    pagerduty:
      service: PWIXJZS
      escalation_policy: PT20YPA
      api_key_file: secrets/pagerduty-api
      from: sre-lead@acme.example
      api_url: %[1]q
      requester: PL1JMK5
      responders: [{user: PJ25ZYX}]
    slack: {token_file: secrets/slack-bot, channel: %[2]s, api_url: %[3]q}
guards:
  acknowledge_takes: true
`, b.pagerURL, toldChannel, talk.URL+"/api"))
	return chat
}

// noted wants a note with a text on the one incident about a subject.
func (b *box) noted(subject, text string) func() error {
	return func() error {
		list := b.pages(subject)
		if len(list) != 1 {
			return fmt.Errorf("incidents about %s: %d, want 1", subject, len(list))
		}
		if !slices.ContainsFunc(list[0].Notes, func(n pagerduty.Said) bool { return strings.Contains(n.Text, text) }) {
			return fmt.Errorf("no note %q among %+v", text, list[0].Notes)
		}
		return nil
	}
}

// An owner whose pages are incidents on an escalation policy of PagerDuty's: one
// incident, opened once, tells by notes what is decided and done, also what comes
// after it was opened. Who acknowledges in PagerDuty takes it, where that is
// configured, and nobody had to post it; released, the runbook goes on, and the
// incident is resolved. While PagerDuty fails Slack is told, and PagerDuty has one
// incident once it is back.
func TestEscalationByIncident(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	chat := b.byIncident()
	p.configure(b, "auto", `
  - name: by-incident
    on: reads-lag
    autonomy: auto
    runbook:
      - {page: backend, then: next}
      - {wait: {detector: replica-lag, subject: replica/b}, within: 30m, then: next}
      - {flip: read-endpoint, to: b}
    verify: {within: 5m}
    undo: {after_healthy: 1s}
    guards: {cooldown: 0s, budget: [1000/day]}
`)
	p.replica("b", 5) // the runbook has to wait for it
	b.start()
	b.watched()
	p.reads(5)
	b.eventually("the incident in PagerDuty", func() error {
		list := b.pages("db/eu")
		if len(list) != 1 || list[0].RoutingKey != "" || list[0].EscalationPolicy != "PT20YPA" || list[0].Status != "triggered" {
			return fmt.Errorf("got %+v, want one by the REST API", list)
		}
		return nil
	})
	b.eventually("a note of what is waited for", b.noted("db/eu", "replica/b"))
	if !b.pager.AcknowledgeAs(b.pages("db/eu")[0].DedupKey, "@be-lead") {
		t.Fatal("there is nothing to acknowledge")
	}
	id := b.incidentOf("db/eu")
	b.eventually("the acknowledgement to be read", func() error {
		if said, _ := b.operate("explain", id); !strings.Contains(said, "acknowledged") || !strings.Contains(said, "@be-lead") {
			return fmt.Errorf("explain says %s", said)
		}
		return nil
	})
	p.replica("b", 0.01)
	b.eventually("it to be taken by who acknowledged", b.waitsFor("hand"))
	b.steadily(3*time.Second, "nothing is thrown of what was taken", p.wrote())
	b.word("release", "incident/"+id)
	b.eventually("it to go on once it was released", p.wrote(replicaB))
	b.eventually("a note of what was done", b.noted("db/eu", "read-endpoint to b"))
	p.reads(0.01)
	b.eventually("the endpoint to go back", p.wrote(replicaB, replicaA))
	b.eventually("the incident to be resolved", func() error {
		if list := b.pages("db/eu"); len(list) != 1 || list[0].Status != "resolved" || len(list[0].Updates) == 0 {
			return fmt.Errorf("got %+v, want one that is resolved, with a status update", list)
		}
		return nil
	})
	b.noneTwice()

	before := len(chat.Messages())
	b.pager.Outage(pagerduty.Fault{Status: http.StatusServiceUnavailable})
	p.reads(5)
	b.eventually("Slack to be told while PagerDuty fails", func() error {
		for _, m := range chat.Messages()[before:] {
			if strings.Contains(m.Text, "db/eu") {
				return nil
			}
		}
		return fmt.Errorf("%d messages, and none of db/eu", len(chat.Messages())-before)
	})
	if failing := b.metric(`signalbox_pager_failing{owner="backend"}`); failing != "1" {
		t.Errorf("signalbox_pager_failing is %s, want 1", failing)
	}
	b.pager.Mend()
	b.eventually("PagerDuty to have it once it is back", func() error {
		open := 0
		for _, inc := range b.pages("db/eu") {
			if inc.Status == "triggered" {
				open++
			}
		}
		if open != 1 {
			return fmt.Errorf("open incidents about db/eu: %d, want 1", open)
		}
		return nil
	})
	p.reads(0.01)
	b.eventually("all to be over", b.allEnded)
}
