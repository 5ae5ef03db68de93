package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
	"github.com/signalbox/signalbox/test/standin/slack"
)

// psp is a production that takes payments by a provider.
type psp struct {
	*box
	psp     *pspProvider
	queue   pspQueue
	limit   pspLimit
	logs    *servers.LokiServer
	metrics *servers.Server
	cluster *servers.KubeServer
	kubelet *pspKubelet
	chat    *slack.Server
	chatURL string
}

const (
	paymentsNextKey = "9a75e7759a75e7759a75e7759a75e776"
	paymentsToken   = "the-token-of-payments-lead"
	chatToken       = "xoxb-not-a-real-token"
	lokiTenant      = "prod"
)

func newPSP(t *testing.T) *psp {
	t.Helper()
	p := &psp{box: newBox(t), psp: newPSPProvider(t), queue: pspQueue{servers.Postgres(t)}, limit: newPSPLimit(t)}
	p.queue.Exec(pspTable)
	exporter := servers.PostgresExporter(t, p.queue.PostgresServer, pspDepth)
	p.metrics = servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"pg": {strings.TrimPrefix(exporter.URL, "http://")}}})
	p.logs = servers.Loki(t, servers.LokiOptions{Tenants: true})
	p.cluster = servers.KubeAPI(t)
	servers.KubeControllers(t, p.cluster)
	p.kubelet = &pspKubelet{admin: pspCluster(t, p.cluster), queue: p.queue, psp: p.psp}
	runPSPKubelet(t, p.kubelet)
	chat, err := slack.New(slack.Options{Token: chatToken, Channels: []string{"C024BE91L"}, Spec: contractOf(t, "slack/slack.trim.json")})
	if err != nil {
		t.Fatal(err)
	}
	pager, err := pagerduty.New(pagerduty.Options{Keys: []string{devopsKey, paymentsKey, paymentsNextKey, supportKey}, Spec: contractOf(t, "pagerduty/events-v2.json")})
	if err != nil {
		t.Fatal(err)
	}
	chatServer, pagerServer := httptest.NewServer(chat), httptest.NewServer(pager)
	t.Cleanup(func() {
		p.kill()
		chatServer.Close()
		pager.Close()
		pagerServer.Close()
		for _, s := range []string{paymentsKey, supportKey, paymentsToken, chatToken} {
			if p.log != nil && strings.Contains(p.log.String(), s) {
				t.Error("the log holds a secret")
			}
		}
		for _, v := range append(chat.Violations(), pager.Violations()...) {
			t.Errorf("a contract was broken: %s", v)
		}
	})
	p.pager, p.pagerURL, p.chat, p.chatURL = pager, pagerServer.URL, chat, chatServer.URL+"/api"
	for _, app := range []string{"psp-webhooks", "psp-refunds"} { // both logs are written
		p.logs.Push(lokiTenant, map[string]string{"app": app}, servers.Line{At: time.Now(), Text: `{"level":"info","msg":"webhook delivered"}`})
	}
	return p
}

type pspSettings struct {
	autonomy string
	most     int
	pace     string
}

// configure writes what deploy/handbook has of this run-book, with the times of
// a test.
func (p *psp) configure(s pspSettings) {
	p.t.Helper()
	if s.pace == "" {
		s.pace = "1000/hour"
	}
	for name, value := range map[string]string{
		"payments-lead": paymentsKey, "payments-oncall": paymentsNextKey, "support": supportKey, "token-payments-lead": paymentsToken, "slack-bot": chatToken,
		"kubeconfig": p.kubeconfig(),
	} {
		p.secret(name, value)
	}
	p.person = "payments-lead"
	p.write("owners.yaml", fmt.Sprintf(`
default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_file: secrets/devops, url: %[1]q}}
  payments:
    primary: "@payments-lead"
    backup: "@payments-oncall"
    escalation: daemon
    acknowledge_within: 10m
    last_resort: devops
    informs: [support]
    pagerduty: {primary_key_file: secrets/payments-lead, backup_key_file: secrets/payments-oncall, url: %[1]q}
  support: {primary: "@support-manager", escalation: pagerduty, pagerduty: {primary_key_file: secrets/support, url: %[1]q}}
people:
  payments-lead: {token_file: secrets/token-payments-lead, may: [{do: [view]}, {do: [control, approve], on: [owner/payments]}]}
`, p.pagerURL))
	p.write("psp.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %[1]q, timeout: 5s}
  logs: {kind: loki, url: %[2]q, tenant: %[3]s}
  cluster: {kind: kubernetes, kubeconfig: secrets/kubeconfig}
  psp-status: {kind: statuspage, url: %[4]q, refresh: 30s}
detectors:
  - {name: webhook-backlog, source: metrics, query: max by (queue) (psp_retries_depth), interval: 1s, breach: {above: 1000, for: 2s}, clear: {below: 500}, subject: "queue/{{queue}}", owner: payments}
  - {name: webhook-age, source: metrics, query: max by (queue) (psp_retries_age_seconds), unit: s, interval: 1s, breach: {above: 30m, for: 2s}, clear: {below: 1m}, subject: "queue/{{queue}}", owner: payments}
  - {name: psp-events, catalog: psp-event-failures, source: logs, with: {select: 'app=~"psp-.*"'}, logs: {window: 1m, delay: 1s}, interval: 3s, clear: {for: 1s}, owner: payments}
  - {name: psp-webhooks, source: psp-status, interval: 1s, component: Webhooks, breach: {status: [degraded_performance, partial_outage, major_outage]}, subject: "psp/{{component}}", owner: payments}
  - {name: psp-payouts, source: psp-status, interval: 1s, component: Payouts, breach: {status: [degraded_performance, partial_outage, major_outage]}, subject: "psp/{{component}}", owner: payments}
depends_on:
  - {subject: "psp/*", on: ["db/eu"]}
guards:
  budget: [1000/day]
  depend_wait: 1s
`, p.metrics.URL, p.logs.URL, lokiTenant, p.psp.URL))
	e := newHandbookExcerpt(p.t)
	e.take("tools", "ops-alerts", func(x map[string]any) { handbookBlock(x, "slack")["api_url"] = p.chatURL })
	e.take("tools", "payouts", func(x map[string]any) {
		throttle := handbookBlock(x, "throttle")
		throttle["every"], throttle["redis"] = "2s", map[string]any{"address": fmt.Sprintf("127.0.0.1:%d", p.limit.Port), "key": pspLimitKey}
	})
	e.take("tools", "replay-webhooks", func(map[string]any) {})
	e.take("policies", "replay", func(x map[string]any) {
		x["autonomy"] = s.autonomy
		handbookBlock(e.step(x, "wait"), "wait")["for"] = "1s"
		e.step(x, "job")["items"] = map[string]any{"most": s.most, "pace": s.pace}
		x["guards"] = map[string]any{"cooldown": "0s", "budget": []string{"1000/day"}}
	})
	e.take("policies", "psp-degraded", func(x map[string]any) {
		x["autonomy"] = s.autonomy
		handbookBlock(x, "undo")["after_healthy"] = "1s"
	})
	e.write(p.box)
}

func (p *psp) kubeconfig() string {
	p.t.Helper()
	text, err := os.ReadFile(p.cluster.Kubeconfig(servers.Daemon))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// fails writes, for each event, that it failed, as the sender of webhooks does.
func (p *psp) fails(app string, ids ...string) {
	p.t.Helper()
	now := time.Now()
	lines := make([]servers.Line, len(ids))
	for i, id := range ids {
		lines[i] = servers.Line{At: now.Add(time.Duration(i) * time.Microsecond), Text: fmt.Sprintf(`{"level":"error","msg":"webhook failed","event_id":"%s","status":502}`, id)}
	}
	p.logs.Push(lokiTenant, map[string]string{"app": app}, lines...)
}

func pspIDs(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%04d", prefix, i)
	}
	return ids
}

// seenWell waits until the PSP's page was seen and said that it is well.
func (p *psp) seenWell() {
	p.t.Helper()
	p.eventually("the status page to be read", func() error {
		body, err := p.box.metrics()
		if err != nil {
			return err
		}
		for line := range strings.Lines(body) {
			if v, ok := strings.CutPrefix(line, `signalbox_poll_last_good_round_timestamp_seconds{source="psp-status"} `); ok && strings.TrimSpace(v) != "0" {
				return nil
			}
		}
		return fmt.Errorf("no good round yet")
	})
}

// incident is the open incident of a subject; nil: there is none.
func (p *psp) incident(subject string) *pspIncident {
	p.t.Helper()
	st := p.status()
	for i := range st.Incidents {
		if inc := &st.Incidents[i]; inc.Reading.Subject == subject {
			return &pspIncident{ID: inc.ID, Verdict: inc.Verdict, Because: inc.Because}
		}
	}
	return nil
}

type pspIncident struct {
	ID      signalbox.IncidentID
	Verdict signalbox.Verdict
	Because []signalbox.Reason
}

func (p *psp) ill(subject string) func() error {
	return func() error {
		if p.incident(subject) == nil {
			return fmt.Errorf("%s has no incident", subject)
		}
		return nil
	}
}

func (p *psp) explains(subject, text string) func() error {
	return func() error {
		inc := p.incident(subject)
		if inc == nil {
			return fmt.Errorf("%s has no incident", subject)
		}
		if said := p.must("explain", string(inc.ID)); !strings.Contains(said, text) {
			return fmt.Errorf("explain says %s", said)
		}
		return nil
	}
}

// told asserts that an event by a routing key holds a text.
func (p *psp) told(key, text string) func() error {
	return func() error {
		var said []string
		for _, e := range p.pager.Events() {
			if e.RoutingKey != key {
				continue
			}
			if strings.Contains(string(e.Raw), text) {
				return nil
			}
			said = append(said, string(e.Raw))
		}
		return fmt.Errorf("nothing by %s… holds %q: %s", key[:4], text, strings.Join(said, "\n"))
	}
}

func (p *psp) approvals() []signalbox.Approval {
	p.t.Helper()
	var list []signalbox.Approval
	if err := json.Unmarshal([]byte(p.must("-o", "json", "approvals")), &list); err != nil {
		p.t.Fatal(err)
	}
	return list
}

// approveOnce gives what is asked for now, as the lead of Payments.
func (p *psp) approveOnce() {
	p.t.Helper()
	for _, a := range p.approvals() {
		if a.State == signalbox.Asked {
			p.operate("approve", "--reason", "story", string(a.ID)) // what is not asked for any more is asked for anew
		}
	}
}

// approving approves what is asked for until check returns nil.
func (p *psp) approving(what string, check func() error) {
	p.t.Helper()
	p.eventually(what, func() error {
		p.approveOnce()
		return check()
	})
}

// jobs is how many Jobs there are.
func (p *psp) jobs() int {
	p.t.Helper()
	list, err := p.kubelet.admin.BatchV1().Jobs("payments").List(p.t.Context(), metav1.ListOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return len(list.Items)
}
