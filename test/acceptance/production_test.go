package acceptance

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/signalbox/signalbox/test/servers"
)

// production is a small production: a database's exporter scraped by a real
// Prometheus, and a ConfigMap in a real API server that its readers follow.
type production struct {
	t        *testing.T
	exporter *servers.ExporterServer
	metrics  *servers.Server
	kube     *servers.KubeServer
	slow     *slowProxy // before the API server, as the daemon reaches it
	quick    bool       // edges at the first look, for stories that repeat themselves
}

const (
	endpointKey = "DB_READONLY_ENDPOINT"
	replicaA    = "pg-a.data-plane:5432"
	replicaB    = "pg-b.data-plane:5432"
)

func newProduction(t *testing.T) *production {
	t.Helper()
	p := &production{t: t, exporter: servers.Exporter(t)}
	p.well()
	p.metrics = servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"pg": {p.exporter.Host()}}})
	p.kube = servers.KubeAPI(t)
	p.slow = newSlowProxy(t, p.kube.URL)
	admin, ctx := p.kube.Client(servers.Admin), t.Context()
	if _, err := admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "core"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"core-env", "other-env"} {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "core"}, Data: map[string]string{endpointKey: replicaA, "OTHER": "kept"}}
		if _, err := admin.CoreV1().ConfigMaps("core").Create(ctx, cm, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	p.grant("get", "patch")
	return p
}

// grant gives the daemon's account rights on the one ConfigMap, and no others.
func (p *production) grant(verbs ...string) {
	p.t.Helper()
	admin, ctx := p.kube.Client(servers.Admin), p.t.Context()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "signalbox", Namespace: "core"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"core-env"}, Verbs: verbs},
	}}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "signalbox", Namespace: "core"},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "signalbox"},
		Subjects:   []rbacv1.Subject{{Kind: "User", Name: servers.Daemon, APIGroup: "rbac.authorization.k8s.io"}},
	}
	if _, err := admin.RbacV1().Roles("core").Create(ctx, role, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
	if _, err := admin.RbacV1().RoleBindings("core").Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// well sets every metric to a healthy value.
func (p *production) well() {
	p.reads(0.01)
	p.replica("a", 0.01)
	p.replica("b", 0.01)
}

// reads sets the lag that readers see, in seconds.
func (p *production) reads(lag float64) {
	p.exporter.Set("reads_lag_seconds", lag, "cluster", "eu", "env", "prod")
}

// replica sets the lag of one replica, in seconds.
func (p *production) replica(name string, lag float64) {
	p.exporter.Set("pg_replication_lag_seconds", lag, "cluster", "eu", "replica", name, "env", "prod")
}

// configure writes the story's configuration, with its own undo mode and
// guards.
func (p *production) configure(b *box, undo, policy string) {
	p.t.Helper()
	b.write("secrets/kubeconfig", p.kubeconfig())
	breach, clear := "2s", "1s"
	if p.quick {
		breach, clear = "0s", "0s"
	}
	b.write("production.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q, timeout: 2s, unknown_after: 8s}
  cluster: {kind: kubernetes, kubeconfig: secrets/kubeconfig}
detectors:
  - name: reads-lag
    source: metrics
    query: max by (cluster, env) (reads_lag_seconds)
    unit: s
    interval: 1s
    breach: {above: 1s, for: %s}
    clear: {below: 500ms, for: %s}
    subject: "db/{{cluster}}"
    labels: [cluster, env]
    owner: backend
    unknown_after: 8s
  - name: replica-lag
    source: metrics
    query: max by (replica, cluster, env) (pg_replication_lag_seconds)
    unit: s
    interval: 1s
    breach: {above: 1s, for: 30m}
    clear: {below: 500ms}
    subject: "replica/{{replica}}"
    labels: [replica, cluster, env]
    owner: backend
    unknown_after: 8s
switches:
  read-endpoint:
    configmap: {source: cluster, namespace: core, name: core-env, key: %s}
    undo: %s
    positions: {a: %q, b: %q}
    health: {detector: replica-lag, subject: "replica/{{position}}"}
guards:
  budget: [1000/day]
  flapping: {window: 1ms, after: 99, stop: 100} # stories break the same thing again and again
policies:
%s`, p.metrics.URL, breach, clear, endpointKey, undo, replicaA, replicaB, policy))
}

func (p *production) kubeconfig() string {
	p.t.Helper()
	config, err := clientcmd.LoadFromFile(p.kube.KubeconfigFor(servers.Daemon, p.slow.URL))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, cluster := range config.Clusters {
		cluster.CertificateAuthorityData = p.slow.ca
	}
	text, err := clientcmd.Write(*config)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// failover is the policy of most stories.
const failover = `
  - name: replica-failover
    on: reads-lag
    match: {env: prod}
    when: value > duration("1s")
    autonomy: auto
    runbook:
      - {flip: read-endpoint, to: b, if: 'destination.value < duration("100ms")'}
    verify: {within: 10s}
    undo: {after_healthy: 3s}
    guards: {cooldown: 0s, budget: [1000/day]}
`

// patient is failover where nobody waits for what is not seen to help: on a busy
// machine that it helped is seen late.
var patient = strings.Replace(failover, "verify: {within: 10s}", "verify: {within: 5m}", 1)

// effects are the values that the daemon wrote to the endpoint, oldest first,
// as the API server's audit log has them: changes of the fence alone are none.
func (p *production) effects() []string { return p.effectsOf(endpointKey, replicaA) }

// effectsOf are the values that the daemon wrote to a key, which had one before.
func (p *production) effectsOf(key, was string) []string {
	p.t.Helper()
	var values []string
	for _, e := range p.kube.Audit(servers.Daemon) {
		if e.Verb == "get" || e.ObjectRef.Resource == "selfsubjectaccessreviews" || e.ResponseStatus.Code/100 != 2 {
			continue
		}
		if e.ObjectRef.Name != "core-env" || e.ObjectRef.Resource != "configmaps" {
			p.t.Errorf("the daemon wrote to %s %s/%s", e.ObjectRef.Resource, e.ObjectRef.Namespace, e.ObjectRef.Name)
		}
		var patch corev1.ConfigMap
		if err := json.Unmarshal(e.RequestObject, &patch); err != nil {
			p.t.Fatal(err)
		}
		if v, ok := patch.Data[key]; ok && v != was {
			values = append(values, v)
			was = v
		}
	}
	return values
}

// slowProxy stands before a server; it can hold the next write back, and
// delivers it even when its sender is gone, as a network does.
type slowProxy struct {
	URL  string
	ca   []byte        // PEM
	over chan struct{} // closed with the test: what is held back then goes nowhere
	mu   sync.Mutex
	hold *held
}

// held is one write that is held back.
type held struct {
	arrived chan struct{} // closed when the write has come in
	release chan struct{} // close it to let the write go on
	after   bool          // it is delivered at once, and its answer is held back
	done    chan int      // the status with which the server answered
	over    chan struct{} // closed: it is not waited for any more; nil: it is for ever
}

func newSlowProxy(t *testing.T, target string) *slowProxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &slowProxy{over: make(chan struct{})}
	proxy := httputil.NewSingleHostReverseProxy(u)
	// The API server's certificate is its own; this hop is the test's.
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // loopback, in a test
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		h := p.hold
		if h != nil && (r.Method == http.MethodPatch || r.Method == http.MethodPut) {
			p.hold = nil
		} else {
			h = nil
		}
		p.mu.Unlock()
		switch {
		case h != nil:
			h.pass(w, r, proxy)
		case r.Method == http.MethodGet:
			proxy.ServeHTTP(w, r)
		default: // else the server has the effect, and a request on record that failed
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), outlives)
			defer cancel()
			proxy.ServeHTTP(w, r.WithContext(ctx))
		}
	}))
	t.Cleanup(func() { close(p.over); server.Close() })
	p.URL = server.URL
	p.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return p
}

// outlives bounds how long a write lives on without its sender.
const outlives = 5 * time.Minute

// pass delivers the held write under a context of its own.
func (h *held) pass(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := httptest.NewRecorder()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), outlives)
	defer cancel()
	// The body is read first: with its sender gone it could not be.
	body := &bytesBody{}
	if err := body.fill(r); err != nil {
		return
	}
	if h.after {
		next.ServeHTTP(rec, body.request(ctx, r))
		close(h.arrived)
		h.wait()
	} else {
		close(h.arrived)
		if !h.wait() {
			return
		}
		next.ServeHTTP(rec, body.request(ctx, r))
	}
	h.done <- rec.Code
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// wait holds the write back; false: the test is over, and it is not delivered.
func (h *held) wait() bool {
	select {
	case <-h.release:
		return true
	case <-h.over:
		return false
	}
}

// answered waits for the status with which the server answered.
func (h *held) answered(t *testing.T) int {
	t.Helper()
	select {
	case code := <-h.done:
		return code
	case <-time.After(servers.Patience):
		t.Fatal("the server has not answered the write that was held back")
		return 0
	}
}

// holdNextWrite holds the next write back; with after its answer only.
func (p *slowProxy) holdNextWrite(after bool) *held {
	h := &held{arrived: make(chan struct{}), release: make(chan struct{}), after: after, done: make(chan int, 1), over: p.over}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = h
	return h
}
