package detectors_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/signalbox/signalbox/detectors"
	"github.com/signalbox/signalbox/internal/kind"
)

// The suite holds every kind of source that asks by HTTP to the same rules.
// Whatever the server does, what comes of it is Unknown with a reason, within
// the deadline, after few requests; no secret is told, none goes to another
// host, and nothing is left running.
//
//	conformance_test.go           the table of kinds, and the tests
//	conformance_well_test.go      what servers answer when all is well
//	conformance_faults_test.go    what servers do instead
//	conformance_rig_test.go       one source on one server, as the daemon makes it
//	conformance_checks_test.go    the rules
//	conformance_careless_test.go  a kind that does it all wrong, which the suite must catch
//
// A new kind is one more line in asks, or in elsewhere with its reason.

// asked is one kind, as it stands in a configuration, and its server when all
// is well. The files secrets/one and secrets/two hold a credential each.
type asked struct {
	name     string // for people, where a kind has several lines
	kind     string
	source   string // further keys of the source, as a YAML flow mapping without its braces
	detector string // further keys of a detector
	// well is what a healthy server answers, as JSON; text stands where people
	// write what they like.
	well func(r *http.Request, text string) any
	// requests that one look at a healthy server takes at most.
	requests int
	patience time.Duration // how long a look may take before it is given up; 0: guard
}

// asks are the kinds that ask by HTTP.
func asks() []asked {
	const bearer = "authorization: {credentials_file: secrets/one}"
	const datadog = "site: datadoghq.eu, api_key_file: secrets/one, application_key_file: secrets/two"
	const lokiCount = `'sum(count_over_time({app="psp"}[5m]))'`
	return []asked{
		{kind: "alertmanager", source: "receive: /webhooks/suite, reconcile: 1m, " + bearer, detector: "subject: x, match: {a: b}", well: wellAlertmanager, requests: 2},
		{name: "datadog: slo", kind: "datadog", source: datadog, detector: "interval: 1m, subject: x, slo: {id: abc}", well: wellSLO, requests: 5},
		{name: "datadog: slo by name", kind: "datadog", source: datadog, detector: "interval: 1m, subject: x, slo: {name: Core, state: [breached]}", well: wellSLO, requests: 3},
		{name: "datadog: monitor", kind: "datadog", source: datadog, detector: "interval: 1m, subject: x, monitor: {id: 7}", well: wellMonitor, requests: 1},
		{name: "datadog: logs", kind: "datadog", source: datadog, detector: "interval: 1m, subject: x, logs: {query: 'service:core-* status:error', over: 5m, presence: 'service:core-*'}, breach: {above: 5}", well: wellLogs, requests: 2},
		{kind: "github", source: "refresh: 30s, " + bearer, detector: "interval: 1m, subject: x, repository: acme/shop, workflow: deploy.yml", well: wellRuns, requests: 1},
		{kind: "grafana", source: bearer, detector: "subject: x, panel: {dashboard: Prod, panel: Lag}, unit: s, breach: {above: 1s}", well: wellGrafana, requests: 4},
		{name: "loki: value", kind: "loki", source: bearer, detector: "interval: 1m, subject: x, query: " + lokiCount + ", presence: " + lokiCount + ", breach: {above: 5}", well: wellLoki, requests: 2},
		{name: "loki: lines", kind: "loki", source: bearer, detector: "interval: 1m, subject: x, logs: {query: '{app=\"psp\"}', pattern: 'event=(?P<event>[a-z]{3,9})', ids: [event]}, presence: " + lokiCount + ", breach: {above: 5}", well: wellLoki, requests: 2},
		{kind: "prometheus", source: bearer, detector: "subject: x, query: 'max(lag_seconds)', unit: s, breach: {above: 1s}", well: wellPrometheus, requests: 2},
		{kind: "statuspage", source: "basic_auth: {username: signalbox, password_file: secrets/one}", detector: "interval: 1m, subject: x", well: wellPage, requests: 1},
	}
}

// elsewhere are the kinds that are held to it by tests of their own.
func elsewhere() map[string]string {
	return map[string]string{
		"pagerduty":  "it asks nothing: its own tests post to it",
		"kubernetes": "it watches over connections of client-go's: its own tests cut, kill and restart a real API server",
	}
}

func (a asked) String() string {
	if a.name != "" {
		return a.name
	}
	return a.kind
}

func TestEachKindIsHeldToIt(t *testing.T) {
	held := elsewhere()
	for _, a := range asks() {
		held[a.kind] = "here"
	}
	for _, k := range detectors.Kinds() {
		if held[k.Name] == "" {
			t.Errorf("kind %s is in the table of kinds, and neither in asks nor in elsewhere", k.Name)
		}
		delete(held, k.Name)
	}
	for name := range held {
		if _, later := elsewhere()[name]; !later {
			t.Errorf("kind %s is in the suite, and not in the table of kinds", name)
		}
	}
}

// each runs a test of each kind, side by side, and sees that nothing is left
// running.
func each(t *testing.T, test func(t *testing.T, a asked)) {
	before := goleak.IgnoreCurrent()
	var kinds sync.WaitGroup // and not t.Parallel: they wait more than they work
	for _, a := range asks() {
		kinds.Go(func() { t.Run(a.String(), func(t *testing.T) { test(t, a) }) })
	}
	kinds.Wait()
	report(t, left(before, guard))
}

// report tells what is wrong.
func report(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

// A suite whose healthy server is not seen to be well would prove nothing.
func TestConformanceWell(t *testing.T) {
	each(t, func(t *testing.T, a asked) { report(t, a.checkWell(t, detectors.Kinds())) })
}

func TestConformanceFaults(t *testing.T) {
	each(t, func(t *testing.T, a asked) {
		for _, f := range faults() {
			t.Run(f.name, func(t *testing.T) { report(t, a.checkFault(t, detectors.Kinds(), f)) })
		}
	})
}

func TestConformanceDeadlines(t *testing.T) {
	each(t, func(t *testing.T, a asked) {
		for _, f := range hangs() {
			for _, e := range ends() {
				t.Run(f.name+", "+e.name, func(t *testing.T) { report(t, a.checkHang(t, detectors.Kinds(), f, e)) })
			}
		}
	})
}

func TestConformanceRedirects(t *testing.T) {
	each(t, func(t *testing.T, a asked) {
		for _, code := range []int{301, 302, 303, 307, 308} {
			for _, host := range []string{"127.0.0.1", "localhost"} {
				t.Run(fmt.Sprint(code, " to ", host), func(t *testing.T) { report(t, a.checkRedirect(t, detectors.Kinds(), code, host)) })
			}
		}
	})
}

func TestConformanceKeys(t *testing.T) {
	each(t, func(t *testing.T, a asked) { report(t, a.checkKeys(t, detectors.Kinds())) })
}

// The suite catches a kind that does it all wrong, in each of its checks.
func TestConformanceCanFail(t *testing.T) {
	a, kinds := careless(), []kind.Source{carelessKind()}
	caught := func(what string, problems []string) {
		if len(problems) == 0 {
			t.Errorf("%s: the careless kind was not caught", what)
		}
	}
	caught("well", a.checkWell(t, kinds))
	for _, f := range faults() {
		if !f.plain {
			caught(f.name, a.checkFault(t, kinds, f))
		}
	}
	caught("redirect", a.checkRedirect(t, kinds, http.StatusTemporaryRedirect, "127.0.0.1"))
	caught("deadline", a.checkHang(t, kinds, hangs()[0], ends()[0]))
	caught("keys", a.checkKeys(t, kinds))
	before, stop := goleak.IgnoreCurrent(), make(chan struct{})
	go func() { <-stop }()
	caught("left running", left(before, time.Millisecond))
	close(stop)
}

// ends are how a look that hangs comes to its end.
func ends() []end {
	return []end{
		{"the caller's deadline", "10s", func(ctx context.Context, _ <-chan struct{}) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 200*time.Millisecond)
		}},
		{"the source's timeout", "200ms", func(ctx context.Context, _ <-chan struct{}) (context.Context, context.CancelFunc) {
			return context.WithCancel(ctx)
		}},
		{"cancelled before", "10s", func(ctx context.Context, _ <-chan struct{}) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}},
		{"cancelled while it is asked", "10s", func(ctx context.Context, asked <-chan struct{}) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			go func() {
				select {
				case <-asked:
					cancel()
				case <-ctx.Done():
				}
			}()
			return ctx, cancel
		}},
	}
}
