package kubernetes

import (
	"context"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/servers"
)

var definitions = gvr("apiextensions.k8s.io", "v1", "customresourcedefinitions")

func dynamicClient(t testing.TB, k *servers.KubeServer) dynamic.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig(servers.Admin))
	if err != nil {
		t.Fatal(err)
	}
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// definition is a CustomResourceDefinition of Argo's, with any content.
func definition(plural, kind string) *unstructured.Unstructured {
	type m = map[string]any
	return &unstructured.Unstructured{Object: m{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": m{"name": plural + ".argoproj.io"},
		"spec": m{
			"group": "argoproj.io", "scope": "Namespaced",
			"names": m{"plural": plural, "singular": plural[:len(plural)-1], "kind": kind, "listKind": kind + "List"},
			"versions": []any{m{"name": "v1alpha1", "served": true, "storage": true, "schema": m{
				"openAPIV3Schema": m{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
			}}},
		},
	}}
}

func argo(kind, name string, spec, status map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": "core"}, "spec": spec, "status": status,
	}}
}

// A cluster without Argo has nothing ill there; when the definitions come, they
// are noticed, and when they go, what was ill there is over.
func TestDefinitionsComeAndGo(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t, "--watch-cache=true")
	grant(t, k, "argoproj.io", "applications", "rollouts")
	newCast(t, k, "core")
	at0 := Scope{Filter: Filter{After: map[string]kind.Duration{"OutOfSync": 0, "Degraded": 0}}}
	at1 := Scope{Filter: Filter{After: map[string]kind.Duration{"Unavailable": 0}}}
	w := play(t, k, options{}, map[string]*DetectorSettings{"applications": {Applications: &at0}, "rollouts": {Rollouts: &at1}})
	w.settled("applications")
	w.settled("rollouts")
	custom := dynamicClient(t, k)
	for plural, kind := range map[string]string{"applications": "Application", "rollouts": "Rollout"} {
		if _, err := custom.Resource(definitions).Create(t.Context(), definition(plural, kind), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	type m = map[string]any
	create := func(x *unstructured.Unstructured) {
		t.Helper()
		in := custom.Resource(applications.gvr)
		if x.GetKind() == "Rollout" {
			in = custom.Resource(rollouts.gvr)
		}
		servers.Await(t, patience, "the definition is served", func(ctx context.Context) error {
			_, err := in.Namespace("core").Create(ctx, x, metav1.CreateOptions{})
			return err
		})
	}
	create(argo("Application", "shop", m{}, m{"sync": m{"status": "Synced"}, "health": m{"status": "Degraded", "lastTransitionTime": time.Now().UTC().Format(time.RFC3339)}}))
	create(argo("Application", "drift", m{}, m{"sync": m{"status": "OutOfSync"}, "health": m{"status": "Healthy"}}))
	create(argo("Application", "well", m{}, m{"sync": m{"status": "Synced"}, "health": m{"status": "Healthy"}}))
	create(argo("Rollout", "web", m{"replicas": int64(2)}, m{"phase": "Degraded", "availableReplicas": int64(2)}))
	create(argo("Rollout", "moving", m{"replicas": int64(2)}, m{"phase": "Progressing", "availableReplicas": int64(1)}))
	w.await("applications", "core/shop", signalbox.Breached, degraded)
	w.await("applications", "core/drift", signalbox.Breached, outOfSync)
	w.await("rollouts", "core/web", signalbox.Breached, degraded)
	for detector, want := range map[string][]string{"applications": {"core/drift", "core/shop"}, "rollouts": {"core/web"}} {
		if got := w.subjects(detector); !slices.Equal(got, want) {
			t.Errorf("%s: something was said of %q, want %q", detector, got, want)
		}
	}
	if err := custom.Resource(definitions).Delete(t.Context(), "rollouts.argoproj.io", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await("rollouts", "core/web", signalbox.Clear, "")
	if got := w.told("rollouts", "core/web"); got != "bc" {
		t.Errorf("told %q, want breached and then clear", got)
	}
}

// A 404 proves nothing where discovery doesn't say the same: an answer in the
// API server's place is no proof that there is nothing.
func TestAbsenceIsProved(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t)
	src := newWatching(t, k, options{account: servers.Admin}, nil).src
	for _, c := range []struct {
		r    resource
		want bool
	}{{applications, true}, {deployments, false}, {jobs, false}} {
		if got := src.clients.lacks(t.Context(), c.r); got != c.want {
			t.Errorf("%s: lacks is %v, want %v", c.r.kind, got, c.want)
		}
	}
	k.Kill()
	if src.clients.lacks(t.Context(), applications) {
		t.Error("a server that doesn't answer lacks nothing")
	}
}
