package kubernetes

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/servers"
)

var definitions = gvr("apiextensions.k8s.io", "v1", "customresourcedefinitions")

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
	apps, rolls := k.ArgoApplications().Namespace("core"), k.ArgoRollouts().Namespace("core")
	type m = map[string]any
	create := func(x *unstructured.Unstructured) {
		t.Helper()
		if x.GetKind() == "Application" {
			if _, err := apps.Create(t.Context(), x, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			return
		}
		made, err := rolls.Create(t.Context(), x, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		made.Object["status"] = x.Object["status"] // its status is a subresource
		if _, err := rolls.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	spec := m{"project": "default", "destination": m{}}
	create(argo("Application", "shop", spec, m{"sync": m{"status": "Synced"}, "health": m{"status": "Degraded", "lastTransitionTime": time.Now().UTC().Format(time.RFC3339)}}))
	create(argo("Application", "drift", spec, m{"sync": m{"status": "OutOfSync"}, "health": m{"status": "Healthy"}}))
	create(argo("Application", "well", spec, m{"sync": m{"status": "Synced"}, "health": m{"status": "Healthy"}}))
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
	if err := k.Dynamic(servers.Admin).Resource(definitions).Delete(t.Context(), "rollouts.argoproj.io", metav1.DeleteOptions{}); err != nil {
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
