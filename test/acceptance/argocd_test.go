package acceptance

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/signalbox/signalbox/test/servers"
)

// A degraded Application goes back to the previous revision of its history, with
// auto-sync turned off; once it has been well for long enough the undo turns
// auto-sync on again, exactly as it was found. The test plays Argo CD's controller
// in a real API server.
func TestArgoRollbackRestoresAutoSync(t *testing.T) {
	t.Parallel()
	b, kube := newBox(t), servers.KubeAPI(t)
	apps := deployArgo(t, kube, "get", "list", "watch", "patch")
	b.eventually("the definition to be served", func() error {
		_, err := apps.Create(t.Context(), argoShop(), metav1.CreateOptions{})
		return err
	})
	b.argoConfigure(kube)
	b.start()
	b.eventually("the Application to be read", func() error {
		if !strings.Contains(auditLine(kube, "list"), "applications") {
			return fmt.Errorf("no list yet")
		}
		return nil
	})
	b.steadily(3*time.Second, "all is well", b.allEnded)
	argoPatch(t, apps, map[string]any{"status": map[string]any{"health": map[string]any{"status": "Degraded"}}})
	var app map[string]any
	b.eventually("the rollback to be asked of Argo CD", func() error {
		app = argoRead(t, apps)
		if app["operation"] == nil {
			return fmt.Errorf("no operation")
		}
		return nil
	})
	revision, _, _ := unstructured.NestedString(app, "operation", "sync", "revision")
	enabled, there, _ := unstructured.NestedBool(app, "spec", "syncPolicy", "automated", "enabled")
	if revision != "v2" || !there || enabled {
		t.Fatalf("the operation is %v, auto-sync %v (%v)", app["operation"], enabled, there)
	}
	argoPatch(t, apps, map[string]any{"operation": nil, "status": map[string]any{
		"operationState": map[string]any{"operation": app["operation"], "phase": "Succeeded", "message": "synced", "startedAt": time.Now().UTC().Format(time.RFC3339)},
		"sync":           map[string]any{"status": "OutOfSync", "revision": "v2"}, "health": map[string]any{"status": "Healthy"},
	}})
	b.eventually("auto-sync to be as it was found", func() error {
		automated, _, _ := unstructured.NestedMap(argoRead(t, apps), "spec", "syncPolicy", "automated")
		if _, there := automated["enabled"]; there || automated["prune"] != true {
			return fmt.Errorf("automated is %v", automated)
		}
		return nil
	})
	b.eventually("the incident to end", b.allEnded)
	b.steadily(2*time.Second, "it was written twice", func() error {
		if n := strings.Count(auditLine(kube, "patch"), "applications"); n != 2 {
			return fmt.Errorf("writes: got %d, want 2", n)
		}
		return nil
	})
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

func argoRead(t *testing.T, apps dynamic.ResourceInterface) map[string]any {
	t.Helper()
	u, err := apps.Get(t.Context(), "shop", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u.Object
}

func argoPatch(t *testing.T, apps dynamic.ResourceInterface, change map[string]any) {
	t.Helper()
	body, err := json.Marshal(change)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apps.Patch(t.Context(), "shop", types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (b *box) argoConfigure(kube *servers.KubeServer) {
	b.t.Helper()
	config, err := os.ReadFile(kube.Kubeconfig(servers.Daemon))
	if err != nil {
		b.t.Fatal(err)
	}
	b.write("secrets/kubeconfig", string(config))
	b.write("argocd.yaml", `
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
    autonomy: auto
    runbook:
      - {argocd: shop, to: previous}
    verify: {within: 30s}
    undo: {after_healthy: 3s}
`)
}
