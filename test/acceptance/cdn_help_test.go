package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/cdn"
	"github.com/signalbox/signalbox/test/standin/grafana"
	"github.com/signalbox/signalbox/test/standin/statuspage"
	"github.com/signalbox/signalbox/test/standin/terraform"
)

// cdnSetVariable is how Terraform is asked to change the variable.
const cdnSetVariable = "PATCH /workspaces/ws-6fHMCom98SDXSQUv/vars/var-EavQ1LztoRTQHSNT"

// cdnOutage is a site behind two content delivery networks: what its users get
// is counted and scraped by a real Prometheus, and shown on a dashboard.
type cdnOutage struct {
	*box
	*toldDesk
	pop        *cdnUsers
	prometheus *servers.Server
	boards     string // URL
	edge       *cdn.Server
	edgeURL    string
	cloud      *terraform.Server
	cloudURL   string
}

func newCDNOutage(t *testing.T) *cdnOutage {
	t.Helper()
	o := &cdnOutage{box: newBox(t)}
	o.toldDesk = newToldDesk(t, o.box, statuspage.Component{ID: "9lcg8e46d181", Name: "Website", Status: "operational"})
	o.staff()
	o.domains()
	for name, value := range map[string]string{
		"grafana": "a-service-account-of-grafana", "fastly": "a-token-that-purges-one-service", "terraform": "a-team-token-of-the-edge",
	} {
		o.box.secret(name, value)
	}
	var err error
	if o.edge, err = cdn.New(cdn.Options{
		Token: "a-token-that-purges-one-service", Service: "SU1Z0isxPaozGVKXdv0eY", FastlySpec: contractOf(t, "fastly/purge.handwritten.yaml"),
	}); err != nil {
		t.Fatal(err)
	}
	if o.cloud, err = terraform.New(terraform.Options{Token: "a-team-token-of-the-edge", Now: time.Now, Spec: contractOf(t, "terraform/terraform.trim.json")}); err != nil {
		t.Fatal(err)
	}
	o.edgeURL, o.cloudURL = o.serve(t, o.edge), o.serve(t, o.cloud)
	o.pop = newCDNUsers(t, o.cloud)
	o.prometheus = servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"edge": {o.pop.exporter.Host()}}})
	o.boards = o.board(t)
	return o
}

// serve serves a stand-in that must not be broken until the daemon has ended.
func (o *cdnOutage) serve(t *testing.T, s interface {
	http.Handler
	Violations() []string
},
) string {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		o.kill()
		server.Close()
		for _, v := range s.Violations() {
			t.Errorf("a contract was broken: %s", v)
		}
	})
	return server.URL
}

// board is a Grafana whose dashboard CDN Health shows the errors by POP, out of
// the real Prometheus.
func (o *cdnOutage) board(t *testing.T) string {
	t.Helper()
	stand, err := grafana.New(grafana.Options{Token: "a-service-account-of-grafana", Spec: contractOf(t, "grafana/grafana.derived.json")})
	if err != nil {
		t.Fatal(err)
	}
	stand.SetDashboards(grafana.Dashboard{UID: "cdn-health", Title: "CDN Health", Model: json.RawMessage(`{
		"time": {"from": "now-5m", "to": "now"},
		"panels": [{"id": 3, "title": "Errors by POP", "type": "timeseries", "datasource": {"type": "prometheus", "uid": "prom"},
			"fieldConfig": {"defaults": {"unit": "percentunit"}},
			"targets": [{"refId": "A", "legendFormat": "{{pop}}",
				"expr": "sum by (pop) (rate(edge_errors_total[4s])) / sum by (pop) (rate(edge_requests_total[4s]))"}]}]}`)})
	stand.SetDatasources(grafana.Datasource{
		UID: "prom", Name: "Prometheus", Type: "prometheus", URL: o.prometheus.URL, Default: true,
		Answer: panelAnswer(o.prometheus.URL),
	})
	return o.serve(t, stand)
}

// configure takes the run-book out of the handbook, with looks each second.
func (o *cdnOutage) configure(autonomy string) {
	t := o.box.t
	t.Helper()
	o.box.write("sources.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q, timeout: 10s, unknown_after: 30s}
  boards: {kind: grafana, url: %q, timeout: 10s, unknown_after: 30s, authorization: {credentials_file: secrets/grafana}}
`, o.prometheus.URL, o.boards))
	e := newHandbookExcerpt(t)
	e.take("detectors", "pop-errors", handbookSoon)
	e.take("detectors", "cdn-provider", handbookSoon)
	e.take("switches", "cdn-provider", func(s map[string]any) { handbookBlock(s, "terraform")["url"] = o.cloudURL })
	e.take("tools", "pop", func(tool map[string]any) { handbookBlock(tool, "fastly")["url"] = o.edgeURL })
	o.tools(e, "status-cdn")
	e.take("policies", "cdn-outage", func(p map[string]any) {
		p["autonomy"] = autonomy
		handbookBlock(p, "verify")["within"] = "10s"
	})
	e.write(o.box)
}

// seen waits until the daemon has seen both sources well.
func (o *cdnOutage) seen() {
	o.box.t.Helper()
	o.eventually("good rounds of the dashboard", func() error {
		body, err := o.metrics()
		if err == nil && !strings.Contains(body, `signalbox_poll_rounds_total{result="good",source="boards"} 3`) {
			err = fmt.Errorf("not three yet")
		}
		return err
	})
	o.watched()
}

// cdnPlan is the plan of a run that changes these resources.
func cdnPlan(addresses ...string) string {
	var changes []any
	for _, a := range addresses {
		changes = append(changes, map[string]any{"address": a, "change": map[string]any{"actions": []string{"update"}}})
	}
	text, err := json.Marshal(map[string]any{"plan_format_version": "1.2", "resource_changes": changes})
	if err != nil {
		panic(err) // texts
	}
	return string(text)
}

// runs lets Terraform do its part of each run by itself, until the test ends.
func (o *cdnOutage) runs(t *testing.T) {
	cdnEvery(t, 100*time.Millisecond, func() {
		s := o.cloud.State()
		switch {
		case len(s.Runs) == 0:
		case s.Runs[0].Status == "pending":
			o.cloud.Move("planned", cdnPlan("module.edge.cloudflare_dns_record.cdn_main"), [4]int{0, 1, 0, 0})
		case s.Runs[0].Status == "confirmed":
			o.cloud.Move("applied", "", [4]int{0, 1, 0, 0})
		}
	})
}

// cdnEvery does something again and again until the test ends.
func cdnEvery(t *testing.T, pause time.Duration, do func()) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-done })
	tick := time.NewTicker(pause)
	go func() {
		defer close(done)
		defer tick.Stop()
		for {
			do()
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
}

// cdnUsers ask for pages, ten times a second at each POP, and count the errors.
// A POP that is sick answers half of them, unless traffic has gone to the other
// provider: that is what Terraform has applied, not what its variable says.
type cdnUsers struct {
	exporter *servers.ExporterServer
	cloud    *terraform.Server

	mu     sync.Mutex
	ill    map[string]bool
	asked  map[string]float64
	failed map[string]float64
	last   map[string]bool // whether the newest request failed
}

func newCDNUsers(t *testing.T, cloud *terraform.Server) *cdnUsers {
	t.Helper()
	u := &cdnUsers{
		exporter: servers.Exporter(t), cloud: cloud,
		ill: map[string]bool{}, asked: map[string]float64{"fra": 0, "ams": 0}, failed: map[string]float64{}, last: map[string]bool{},
	}
	u.exporter.Set("cdn:error_ratio:rate5m", 0.001, "provider", "fastly")
	u.exporter.Set("cdn:error_ratio:rate5m", 0.001, "provider", "cloudflare")
	cdnEvery(t, 100*time.Millisecond, u.ask)
	return u
}

func (u *cdnUsers) ask() {
	provider := "fastly"
	for _, run := range u.cloud.State().Runs { // newest first
		if run.Status == "applied" {
			provider = run.Value
			break
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for pop := range u.asked {
		u.asked[pop]++
		if u.last[pop] = u.ill[pop] && provider == "fastly"; u.last[pop] {
			u.failed[pop] += 0.5
		}
		u.exporter.Set("edge_requests_total", u.asked[pop], "pop", pop)
		u.exporter.Set("edge_errors_total", u.failed[pop], "pop", pop)
	}
}

func (u *cdnUsers) sick(pop string, is bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ill[pop] = is
	ratio := 0.001
	if is {
		ratio = 0.2
	}
	u.exporter.Set("cdn:error_ratio:rate5m", ratio, "provider", "fastly")
}

// well wants users of a POP to get their pages.
func (u *cdnUsers) well(pop string) func() error {
	return func() error {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.last[pop] {
			return fmt.Errorf("users at %s get errors", pop)
		}
		return nil
	}
}
