package faults

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

const (
	routingKey = "0123456789abcdef0123456789abcde0"
	webhookKey = "a-token-that-only-alertmanager-has"
	lease      = 2 * time.Second
)

// cell is one daemon, or several replicas on one etcd, with their targets, their
// pager and the sender of their alerts, on which faults are tried until it is
// drained and judged.
type cell struct {
	*daemon // the first of all
	all     []*daemon
	plan    plan

	t         testing.TB
	binary    string
	config    string // directory
	town      *town
	pager     *pagerduty.Server
	pagerURL  string
	health    string              // URL of the Prometheus that proves positions healthy
	etcd      *servers.EtcdServer // nil: the store is embedded
	net       *network            // of members; nil: they are on the machine's own loopback
	sender    *sender
	recovery  time.Duration // from kill -9 until it is ready again, or another leads, as measured
	deaths    []time.Time   // when faults struck
	away      time.Duration // the longest that a fault keeps all leaders away
	struck    *alert        // the last that was fired for a step
	ctl       string        // the tool of its operators
	forgotten []*books      // what the store knew before it went back in time
}

// plan is what a cell is made with; the zero plan is one daemon on a store of
// its own.
type plan struct {
	data     string        // directory of its store; empty: one of its own
	latency  float64       // of a target's write, in recoveries
	lease    time.Duration // default: lease
	replicas int           // more than one: on one external etcd
	members  int           // more than one: with embedded members of one cluster
	spaces   bool          // … in network namespaces
	window   time.Duration // of its budgets; default: 10 minutes
}

// patience is how long a daemon is waited for that is asked for its status: of
// several one may be stopped.
func (p *plan) patience() time.Duration {
	if p.replicas+p.members > 1 {
		return 1500 * time.Millisecond
	}
	return 3 * time.Second
}

// newCell makes a cell and measures its recovery.
func newCell(t testing.TB, binary, health string, p plan) *cell {
	t.Helper()
	if p.lease == 0 {
		p.lease = lease
	}
	if p.window == 0 {
		p.window = 10 * time.Minute
	}
	c := &cell{t: t, binary: binary, health: health, plan: p, config: t.TempDir(), town: newTown(t)}
	pager, err := pagerduty.New(pagerduty.Options{Keys: []string{routingKey}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(pager)
	t.Cleanup(func() { pager.Close(); server.Close() })
	c.pager, c.pagerURL = pager, server.URL
	var store []string
	if p.members > 1 {
		c.cluster(p.members, p.spaces)
	}
	if p.replicas > 1 {
		c.etcd = servers.Etcd(t)
		store = []string{"--store", c.etcd.URL, "--store.ca-file", c.etcd.CA, "--store.cert-file", c.etcd.Cert, "--store.key-file", c.etcd.Key}
	}
	for i := len(c.all); i < max(p.replicas, 1); i++ {
		c.all = append(c.all, newDaemon(c, fmt.Sprintf("replica-%d", i), store))
	}
	c.daemon = c.all[0]
	if p.data != "" {
		c.data = p.data
	}
	c.configure(0)
	c.measure()
	latency := min(time.Duration(p.latency*float64(c.recovery)), mostLatency)
	c.town.slow(latency)
	c.configure(latency)
	c.deaths = nil
	c.sender = newSender(c)
	t.Cleanup(c.sender.stop)
	return c
}

// measure sees how long it takes from a kill until somebody leads again. No
// daemon runs then.
func (c *cell) measure() {
	c.t.Helper()
	c.open()
	leader := c.leader()
	if leader == nil {
		c.t.Fatal("nobody leads, and nothing has struck yet")
	}
	began := time.Now()
	leader.kill()
	if len(c.all) == 1 {
		leader.start("")
	} else if c.successor(leader) == nil {
		c.t.Fatal("nobody led after a kill of the leader")
	}
	c.recovery = time.Since(began)
	for _, d := range c.all {
		d.kill()
	}
}

func (c *cell) write(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.config, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// counts of targets of each class: one that is in doubt for good is not used
// again.
var counts = map[string]int{classA: 16, classB: 16, classC: 24, classD: 60, classK: 4}

// configure writes the configuration, with the targets' greatest latency.
func (c *cell) configure(latency time.Duration) {
	c.t.Helper()
	c.write("secrets/pagerduty", routingKey)
	c.write("secrets/webhook", webhookKey)
	greatest := (latency + 2*time.Second).Truncate(time.Second)
	var switches, tools, policies strings.Builder
	for _, class := range []string{classA, classB, classC, classD, classK} {
		for i := range counts[class] {
			name := fmt.Sprintf("%s%d", class, i)
			step, cooldown := "webhook: "+name, "0s"
			switch class {
			case classA, classC:
				step = "flip: " + name + ", to: b"
				fmt.Fprintf(&switches, "  %s: {http: {url: %q, latency: %s}, undo: auto, positions: {a: a, b: b}, health: {detector: health, subject: \"position/{{position}}\"}}\n",
					name, c.town.url+"/"+name, greatest)
			default:
				key := ""
				if class != classD {
					key = "idempotency_header: Idempotency-Key, retains: 1h, "
				}
				fmt.Fprintf(&tools, "  %s: {webhook: {url: %q, body: '{\"episode\": \"{{labels.episode}}\"}', labels: [episode], %snetworks: [127.0.0.0/8]}}\n",
					name, c.town.url+"/"+name, key)
			}
			if class == classK {
				cooldown = cooldownOfK.String()
			}
			fmt.Fprintf(&policies, "  - {name: %s, on: alerts, match: {target: %s}, autonomy: auto, runbook: [{%s}], verify: {within: 1m}, undo: {after_healthy: 1s}, guards: {cooldown: %s, budget: [1000/%s]}}\n",
				name, name, step, cooldown, c.plan.window)
		}
	}
	c.write("signalbox.yaml", fmt.Sprintf(`
default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_file: secrets/pagerduty, url: %q}}
sources:
  metrics: {kind: prometheus, url: %q, timeout: 2s, unknown_after: 60s}
  alerts: {kind: alertmanager, receive: /webhooks/alertmanager, reconcile: 0, auth: {bearer_file: secrets/webhook}}
detectors:
  - name: health
    source: metrics
    query: position_lag_seconds
    unit: s
    interval: 1s
    breach: {above: 1s, for: 30m}
    clear: {below: 500ms}
    subject: "position/{{position}}"
    labels: [position]
    owner: devops
  - {name: alerts, source: alerts, subject: "{{alertname}}", labels: [alertname, target, episode], owner: devops}
guards:
  budget: [1000/%s]
  flapping: {window: 1ms, after: 99, stop: 100}
switches:
%stools:
%spolicies:
%s`, c.pagerURL, c.health, c.plan.window, switches.String(), tools.String(), policies.String()))
}

// mostLatency is below the time that a client of ours waits for an answer: a
// target that is slower is the row of late effects.
const mostLatency = 8 * time.Second

// cooldownOfK outlasts a restart, so that one kept in memory alone is seen.
const cooldownOfK = 12 * time.Second
