package acceptance

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/github"
)

// The run-book "rollback": a release fails one request in two, and the error
// budget of the checkout burns, as a real Prometheus sees it. It is announced with
// a ticket's link. On a person's word the previous stable tag goes through the
// same pipeline, once, and on another word the smoke tests run at that tag.
func TestRunbookRollback(t *testing.T) {
	t.Parallel()
	r := newRollback(t)
	r.configure("approve")
	r.start()
	r.watched()
	r.hub.release()
	r.eventually("it to be announced", r.desk.announced("service/checkout"))
	if m := r.desk.threads()[0]; !strings.Contains(m.Text, "https://jira.example/secure/CreateIssueDetails!init.jspa?summary=service%2Fcheckout") {
		t.Errorf("no link to a ticket: %s", m.Text)
	}
	r.eventually("a person to be asked", func() error { return r.deployAsked("deploy-prod") })
	r.steadily(3*time.Second, "nothing is deployed without a person", r.hub.dispatched())
	r.approved("be-lead", "deploy-prod")
	r.eventually("the previous stable tag to be deployed", r.hub.dispatched("deploy-prod v1.2.0"))
	r.approved("be-lead", "smoke")
	r.eventually("the smoke tests of it", r.hub.dispatched("deploy-prod v1.2.0", "smoke v1.2.0"))
	r.eventually("the incident to end", r.allEnded)
	r.eventually("its thread to end in place", r.desk.ended)
	r.steadily(3*time.Second, "nothing more is dispatched", r.hub.dispatched("deploy-prod v1.2.0", "smoke v1.2.0"))
	if n := len(r.pages("service/checkout")); n != 1 {
		t.Errorf("pages: got %d, want the one that asked", n)
	}
}

// A schema migration lies between the two tags: a person is asked also by a policy
// that acts by itself. The smoke tests that follow fail: they are not run again,
// and are paged though the checkout is well by then.
func TestRunbookRollbackOverAMigration(t *testing.T) {
	t.Parallel()
	r := newRollback(t)
	r.hub.SetDiff(deploySHA("v1.2.0"), deploySHA("v1.3.0"), github.Diff{Status: "ahead", Files: []string{"cmd/shop/main.go", "db/migrations/2026/7.sql"}})
	r.hub.smokes = "failure"
	r.configure("auto")
	r.start()
	r.watched()
	r.hub.release()
	r.eventually("a person to be asked", func() error { return r.deployAsked("deploy-prod") })
	if said := r.deployExplained("checkout-burn"); !strings.Contains(said, "1 schema migrations lie between v1.2.0 and v1.3.0: db/migrations/2026/7.sql") {
		t.Errorf("explain must tell of the migration:\n%s", said)
	}
	r.steadily(3*time.Second, "nothing is deployed without a person", r.hub.dispatched())
	r.approved("be-lead", "deploy-prod")
	r.eventually("the smoke tests", r.hub.dispatched("deploy-prod v1.2.0", "smoke v1.2.0"))
	r.eventually("the failure to be paged", func() error {
		if said := r.deployExplained("checkout-burn"); !strings.Contains(said, "ran and failed") || len(r.pages("service/checkout")) != 1 {
			return fmt.Errorf("pages: %d; explain says %s", len(r.pages("service/checkout")), said)
		}
		return nil
	})
	r.steadily(5*time.Second, "they are not run again", r.hub.dispatched("deploy-prod v1.2.0", "smoke v1.2.0"))
}

// In shadow it is recorded, and nothing is dispatched or said.
func TestRunbookRollbackInShadow(t *testing.T) {
	t.Parallel()
	r := newRollback(t)
	r.configure("shadow")
	r.start()
	r.watched()
	r.hub.release()
	r.eventually("the record of what would be done", func() error {
		if said := r.deployExplained("checkout-burn"); !strings.Contains(said, "policy rollback only watches; it would say act") {
			return fmt.Errorf("explain says %s", said)
		}
		if len(r.pages("service/checkout")) == 0 {
			return fmt.Errorf("nobody is paged")
		}
		return nil
	})
	r.steadily(4*time.Second, "nothing is dispatched or said", func() error {
		if n := len(r.desk.Messages()); n > 0 {
			return fmt.Errorf("messages: %d", n)
		}
		return r.hub.dispatched()()
	})
}

// The daemon is killed at some moment of it: the tag is still deployed once, and
// tested once.
func TestRunbookRollbackKilled(t *testing.T) {
	t.Parallel()
	r := newRollback(t)
	r.configure("auto")
	r.start()
	r.watched()
	seed := uint64(time.Now().UnixNano())
	pause := time.Duration(rand.New(rand.NewPCG(seed, 0)).Int64N(int64(5 * time.Second))) //nolint:gosec // a moment, no secret
	t.Logf("seed %d: killed %v after the incident was opened", seed, pause)
	r.hub.release()
	r.eventually("the incident", func() error {
		if n := len(r.status().Incidents); n == 0 {
			return fmt.Errorf("none is open")
		}
		return nil
	})
	killed := time.NewTimer(pause)
	defer killed.Stop()
	<-killed.C
	r.kill()
	r.launch()
	r.ready()
	r.eventually("the smoke tests of the previous stable tag", r.hub.dispatched("deploy-prod v1.2.0", "smoke v1.2.0"))
	r.eventually("the incident to end", r.allEnded)
	r.eventually("its one thread to end in place", func() error {
		if err := r.desk.announced("service/checkout")(); err != nil {
			return err
		}
		return r.desk.ended()
	})
	r.steadily(3*time.Second, "nothing more is dispatched", r.hub.dispatched("deploy-prod v1.2.0", "smoke v1.2.0"))
}

// The daemon is killed when GitHub has taken the dispatch of the deploy, and again
// at that of the smoke tests, each time before it knows: each is found by its id,
// and none is dispatched twice.
func TestRunbookRollbackKilledAtEachDispatch(t *testing.T) {
	t.Parallel()
	r := newRollback(t)
	r.configure("auto")
	r.start()
	r.watched()
	r.hub.queue(true)
	h := r.hub.door.holdNextAnswer()
	r.hub.release()
	r.killedAt("the dispatch of the deploy", h)
	h = r.hub.door.holdNextAnswer()
	r.hub.queue(false)
	r.killedAt("the dispatch of the smoke tests", h)
	r.eventually("the incident to end", r.allEnded)
	r.eventually("its one thread to end in place", func() error {
		if err := r.desk.announced("service/checkout")(); err != nil {
			return err
		}
		return r.desk.ended()
	})
	r.steadily(3*time.Second, "each was dispatched once", r.hub.dispatched("deploy-prod v1.2.0", "smoke v1.2.0"))
}

// rollback is a shop whose requests a real Prometheus counts, with GitHub and
// Slack.
type rollback struct {
	*box
	hub     *deployHub
	desk    *deployDesk
	metrics *servers.Server
}

func newRollback(t *testing.T) *rollback {
	t.Helper()
	r := &rollback{box: newBox(t), hub: newDeployHub(t), desk: newDeployDesk(t)}
	exporter := servers.Exporter(t)
	r.shop(t, exporter)
	r.metrics = servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"shop": {exporter.Host()}}})
	return r
}

// shop answers requests until the test ends, a hundred each second: v1.3.0 fails
// every other one.
func (r *rollback) shop(t *testing.T, exporter *servers.ExporterServer) {
	t.Helper()
	requests, failures := 0.0, 0.0
	serve := func() {
		requests += 10
		if r.hub.production() == "v1.3.0" {
			failures += 5
		}
		exporter.Set("checkout_requests_total", requests)
		exporter.Set("checkout_failures_total", failures)
	}
	serve()
	done, tick := make(chan struct{}), time.NewTicker(100*time.Millisecond)
	go func() {
		defer close(done)
		defer tick.Stop()
		for {
			select {
			case <-t.Context().Done():
				return
			case <-tick.C:
				serve()
			}
		}
	}()
	t.Cleanup(func() { <-done })
}

// configure writes the handbook's policy and tools over the test's servers. The
// budget's burn is a query here: the windows of an slo are of minutes.
func (r *rollback) configure(autonomy string) {
	r.t.Helper()
	r.deployStaff()
	r.deploySources(r.hub, r.desk)
	r.write("burn.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q, timeout: 5s, unknown_after: 1m}
detectors:
  - name: checkout-burn
    source: metrics
    query: sum(rate(checkout_failures_total[8s])) / sum(rate(checkout_requests_total[8s])) / 0.001
    interval: 1s
    breach: {above: 14.4, for: 2s}
    clear: {below: 1, for: 5s}
    subject: "service/checkout"
    owner: backend
`, r.metrics.URL))
	e := newHandbookExcerpt(r.t)
	for _, tool := range []string{"deploy-prod", "smoke"} {
		e.take("tools", tool, func(x map[string]any) { handbookBlock(x, "github")["latency"] = "2s" })
	}
	e.take("policies", "rollback", func(x map[string]any) { x["autonomy"] = autonomy })
	e.write(r.box)
}

// deployAsked reports whether a person is asked for a step.
func (b *box) deployAsked(step string) error {
	b.t.Helper()
	for _, a := range b.asks() {
		if strings.Contains(a.Plan[a.Index], step) {
			return nil
		}
	}
	return fmt.Errorf("nobody is asked for %s, but %+v", step, b.asks())
}
