package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/signalbox/signalbox/test/servers"
)

// A degraded Application goes back to the previous revision of its history, with
// auto-sync turned off; once it has been well for long enough the undo turns
// auto-sync on again, exactly as it was found. The test plays Argo CD's controller
// in a real API server.
func TestArgoRollbackRestoresAutoSync(t *testing.T) {
	t.Parallel()
	a := newArgoStory(t)
	a.configure("auto")
	a.start()
	a.seen()
	a.patch(map[string]any{"status": map[string]any{"health": map[string]any{"status": "Degraded"}}})
	a.eventually("the rollback to be asked of Argo CD", a.asked)
	a.rolledBack()
	a.eventually("auto-sync to be as it was found", a.restored)
	a.eventually("the incident to end", a.allEnded)
	a.steadily(2*time.Second, "it was written twice", a.wrote(2))
}

// In shadow it is recorded what would be done, and the Application is only read.
func TestArgoRollbackInShadow(t *testing.T) {
	t.Parallel()
	a := newArgoStory(t)
	a.configure("shadow")
	a.start()
	a.seen()
	a.patch(map[string]any{"status": map[string]any{"health": map[string]any{"status": "Degraded"}}})
	a.eventually("the record of what would be done", func() error {
		if said := a.deployExplained("shop-health"); !strings.Contains(said, "policy shop-is-degraded only watches; it would say act") {
			return fmt.Errorf("explain says %s", said)
		}
		if len(a.pages("application/shop")) == 0 {
			return fmt.Errorf("nobody is paged")
		}
		return nil
	})
	a.steadily(4*time.Second, "nothing is written", a.wrote(0))
}

// The daemon is killed when the API server has taken the rollback, and again when
// it has taken what turns auto-sync on, each time before it knows: each is found
// there, and neither is written twice.
func TestArgoRollbackKilledAtEachWrite(t *testing.T) {
	t.Parallel()
	a := newArgoStory(t)
	a.configure("auto")
	a.start()
	a.seen()
	h := a.door.holdNextAnswer()
	a.patch(map[string]any{"status": map[string]any{"health": map[string]any{"status": "Degraded"}}})
	a.killedAt("the rollback", h)
	if err := a.asked(); err != nil {
		t.Fatal(err)
	}
	h = a.door.holdNextAnswer()
	a.rolledBack()
	a.killedAt("what restores auto-sync", h)
	a.eventually("the incident to end", a.allEnded)
	a.steadily(2*time.Second, "auto-sync is as it was found", a.restored)
	a.steadily(2*time.Second, "it was written twice", a.wrote(2))
}

// argoStory is an Application in a real API server, which the daemon reaches
// through a door.
type argoStory struct {
	*box
	kube *servers.KubeServer
	apps dynamic.ResourceInterface
	door *deployDoor
	url  string // of the door
}

func newArgoStory(t *testing.T) *argoStory {
	t.Helper()
	a := &argoStory{box: newBox(t), kube: servers.KubeAPI(t)}
	a.apps = deployArgo(t, a.kube, "get", "list", "watch", "patch")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := a.apps.Create(t.Context(), argoShop(), metav1.CreateOptions{})
	must(err)
	config, err := clientcmd.BuildConfigFromFlags("", a.kube.Kubeconfig(servers.Admin))
	must(err)
	trust, err := rest.TLSConfigFor(config)
	must(err)
	to, err := url.Parse(a.kube.URL)
	must(err)
	a.door = &deployDoor{to: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: &http.Transport{TLSClientConfig: trust}}}
	server := httptest.NewUnstartedServer(a.door)
	server.TLS = a.kube.TLS()
	server.StartTLS()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	a.url = server.URL
	return a
}

// seen waits until the Application was read, and is well.
func (a *argoStory) seen() {
	a.t.Helper()
	a.eventually("the Application to be read", func() error {
		if !strings.Contains(auditLine(a.kube, "list"), "applications") {
			return fmt.Errorf("no list yet")
		}
		return nil
	})
	a.steadily(3*time.Second, "all is well", a.allEnded)
}

// asked reports whether the rollback to v2 waits, with auto-sync turned off.
func (a *argoStory) asked() error {
	app := a.read()
	revision, _, _ := unstructured.NestedString(app, "operation", "sync", "revision")
	enabled, there, _ := unstructured.NestedBool(app, "spec", "syncPolicy", "automated", "enabled")
	if revision != "v2" || !there || enabled {
		return fmt.Errorf("the operation is %v, auto-sync %v (%v)", app["operation"], enabled, there)
	}
	return nil
}

// rolledBack is Argo CD carrying out the operation that waits: the Application is
// well.
func (a *argoStory) rolledBack() {
	a.t.Helper()
	a.patch(map[string]any{"operation": nil, "status": map[string]any{
		"operationState": map[string]any{"operation": a.read()["operation"], "phase": "Succeeded", "message": "synced", "startedAt": time.Now().UTC().Format(time.RFC3339)},
		"sync":           map[string]any{"status": "OutOfSync", "revision": "v2"}, "health": map[string]any{"status": "Healthy"},
	}})
}

// restored reports whether auto-sync is as argoShop has it.
func (a *argoStory) restored() error {
	automated, _, _ := unstructured.NestedMap(a.read(), "spec", "syncPolicy", "automated")
	if _, there := automated["enabled"]; there || automated["prune"] != true {
		return fmt.Errorf("automated is %v", automated)
	}
	return nil
}

// wrote reports whether the daemon wrote so often, by the API server's own log.
func (a *argoStory) wrote(want int) func() error {
	return func() error {
		if n := strings.Count(auditLine(a.kube, "patch"), "applications"); n != want {
			return fmt.Errorf("writes: got %d, want %d", n, want)
		}
		return nil
	}
}

func (a *argoStory) read() map[string]any {
	a.t.Helper()
	u, err := a.apps.Get(a.t.Context(), "shop", metav1.GetOptions{})
	if err != nil {
		a.t.Fatal(err)
	}
	return u.Object
}

func (a *argoStory) patch(change map[string]any) {
	a.t.Helper()
	body, err := json.Marshal(change)
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := a.apps.Patch(a.t.Context(), "shop", types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		a.t.Fatal(err)
	}
}

// auditLine are the resources of the daemon's requests with a verb, without dry
// runs.
func auditLine(kube *servers.KubeServer, verb string) string {
	var said []string
	for _, e := range kube.Audit(servers.Daemon) {
		if e.Verb == verb && e.ResponseStatus.Code/100 == 2 && !strings.Contains(e.URI, "dryRun") {
			said = append(said, e.ObjectRef.Resource)
		}
	}
	return strings.Join(said, " ")
}

// argoShop is an Application with auto-sync, whose revision v2 was deployed for
// days.
func argoShop() *unstructured.Unstructured {
	source := func(revision string) map[string]any {
		return map[string]any{"repoURL": "https://github.com/acme/shop", "path": "deploy", "targetRevision": revision}
	}
	deployed := func(id int64, revision string, ago time.Duration) any {
		return map[string]any{"id": id, "revision": revision, "deployedAt": time.Now().Add(-ago).UTC().Format(time.RFC3339), "source": source(revision)}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": map[string]any{"name": "shop", "namespace": "argocd"},
		"spec": map[string]any{
			"project": "default", "destination": map[string]any{"namespace": "core", "server": "https://kubernetes.default.svc"}, "source": source("v3"),
			"syncPolicy": map[string]any{"automated": map[string]any{"prune": true}},
		},
		"status": map[string]any{
			"sync": map[string]any{"status": "Synced", "revision": "v3"}, "health": map[string]any{"status": "Healthy"},
			"history": []any{deployed(1, "v1", 200*time.Hour), deployed(2, "v2", 100*time.Hour), deployed(3, "v3", time.Hour)},
		},
	}}
}

func (a *argoStory) configure(autonomy string) {
	a.t.Helper()
	config, err := os.ReadFile(a.kube.KubeconfigFor(servers.Daemon, a.url))
	if err != nil {
		a.t.Fatal(err)
	}
	a.write("secrets/kubeconfig", string(config))
	a.write("argocd.yaml", fmt.Sprintf(`
sources:
  cluster: {kind: kubernetes, kubeconfig: secrets/kubeconfig, namespaces: [argocd]}
detectors:
  - name: shop-health
    source: cluster
    interval: 1s
    applications: {namespaces: [argocd], reasons: [Degraded], after: {Degraded: 1s}}
    clear: {for: 1s}
    subject: "application/{{workload}}"
    owner: devops
tools:
  shop:
    argocd: {source: cluster, namespace: argocd, application: shop, deployed_for: 24h}
    undo: auto
policies:
  - name: shop-is-degraded
    on: shop-health
    autonomy: %s
    runbook:
      - {argocd: shop, to: previous}
    verify: {within: 30s}
    undo: {after_healthy: 3s}
`, autonomy))
}
