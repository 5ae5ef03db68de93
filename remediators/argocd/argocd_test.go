package argocd

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	corev1 "k8s.io/api/core/v1"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/servers"
)

// argo is a real API server that knows Argo CD's Applications, with one of them;
// the test plays the part of Argo CD's controller.
type argo struct {
	*servers.KubeServer

	t          *testing.T
	apps       dynamic.ResourceInterface // of namespace argocd, as an administrator
	r          *remediator
	kubeconfig string
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newArgo(t *testing.T) *argo {
	t.Helper()
	k := servers.KubeAPI(t)
	a := &argo{KubeServer: k, t: t, apps: k.ArgoApplications().Namespace("argocd"), kubeconfig: k.Kubeconfig(servers.Daemon)}
	client := k.Client(servers.Admin)
	_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "argocd"}}, metav1.CreateOptions{})
	must(t, err)
	a.create("shop")
	role := documentedRole(t)
	_, err = client.RbacV1().Roles("argocd").Create(t.Context(), &role, metav1.CreateOptions{})
	must(t, err)
	_, err = client.RbacV1().RoleBindings("argocd").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}},
	}, metav1.CreateOptions{})
	must(t, err)
	opened, err := Kind().Open(kind.Env{Now: time.Now, Agent: "signalbox/test"})
	must(t, err)
	a.r = opened.(*remediator)
	servers.Await(t, servers.Patience, "the grant", func(ctx context.Context) error {
		_, err := a.target().read(ctx)
		return err
	})
	return a
}

// documentedRole is the Role that the documentation gives.
func documentedRole(t *testing.T) rbacv1.Role {
	t.Helper()
	page, err := os.ReadFile("../../docs/remediators/argocd.md")
	must(t, err)
	for _, block := range strings.Split(string(page), "```") {
		if text, ok := strings.CutPrefix(block, "yaml\n"); ok && strings.Contains(text, "\nkind: Role\n") {
			var role rbacv1.Role
			must(t, yaml.UnmarshalStrict([]byte(text), &role))
			return role
		}
	}
	t.Fatal("the documentation has no Role")
	return rbacv1.Role{}
}

// part is an Application that an app of apps made: with auto-sync, and values of
// its chart.
const part = `
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  namespace: argocd
  annotations: {"argocd.argoproj.io/tracking-id": "app-of-apps:argoproj.io/Application:argocd/argo-workflows"}
spec:
  project: default
  destination: {name: in-cluster, namespace: argo-workflows}
  revisionHistoryLimit: 10
  source:
    repoURL: https://argoproj.github.io/argo-helm
    chart: argo-workflows
    targetRevision: 0.45.27
    helm: {valuesObject: {controller: {resources: {requests: {cpu: 12m}}}, server: {extraArgs: [--auth-mode=server]}}}
  syncPolicy: {automated: {allowEmpty: true, prune: true}}
`

// recorded is an Application as a cluster holds it, where SIGNALBOX_CONTRACTS has
// it, and else part.
func recorded(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	const contract = "recorded/argocd/live-child-application.yaml"
	application := part
	if theirs := servers.Contract(t, contract); theirs != "" {
		application = theirs
	} else {
		t.Logf("NOT tried with an Application of a real cluster: SIGNALBOX_CONTRACTS has no %s", contract)
	}
	u := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal([]byte(application), &u.Object))
	return u
}

// create makes an Application with a history.
func (a *argo) create(name string) {
	a.t.Helper()
	u := recorded(a.t)
	u.SetName(name)
	ago := func(hours int) string {
		return time.Now().Add(-time.Duration(hours) * time.Hour).UTC().Format(time.RFC3339)
	}
	source := func(revision string) map[string]any {
		return map[string]any{"repoURL": "https://argoproj.github.io/argo-helm", "chart": "argo-workflows", "targetRevision": revision}
	}
	u.Object["status"] = map[string]any{
		"sync": map[string]any{"status": "OutOfSync", "revision": "0.45.27"}, "health": map[string]any{"status": "Degraded"},
		"history": []any{
			map[string]any{"id": int64(4), "revision": "0.45.25", "deployedAt": ago(90), "source": source("0.45.25")},
			map[string]any{"id": int64(5), "revision": "0.45.26", "deployedAt": ago(50), "source": source("0.45.26")},
			map[string]any{"id": int64(6), "revision": "0.45.27", "deployedAt": ago(1), "source": source("0.45.27")},
		},
	}
	_, err := a.apps.Create(a.t.Context(), u, metav1.CreateOptions{})
	must(a.t, err)
}

func (a *argo) patch(body string) {
	a.t.Helper()
	_, err := a.apps.Patch(a.t.Context(), "shop", types.MergePatchType, []byte(body), metav1.PatchOptions{})
	must(a.t, err)
}

func (a *argo) get() *unstructured.Unstructured {
	a.t.Helper()
	u, err := a.apps.Get(a.t.Context(), "shop", metav1.GetOptions{})
	must(a.t, err)
	return u
}

// begins is Argo CD's controller taking the operation that waits.
func (a *argo) begins() {
	a.t.Helper()
	op, ok := a.get().Object["operation"]
	if !ok {
		a.t.Fatal("no operation waits")
	}
	raw, err := json.Marshal(map[string]any{"status": map[string]any{"operationState": map[string]any{
		"operation": op, "phase": "Running", "startedAt": time.Now().UTC().Format(time.RFC3339),
	}}})
	must(a.t, err)
	a.patch(string(raw))
}

// ends is Argo CD's controller ending the operation.
func (a *argo) ends(phase string) {
	a.t.Helper()
	a.patch(`{"operation":null,"status":{"operationState":{"phase":"` + phase + `","message":"one or more objects"}}}`)
}

func (a *argo) step(to string) signalbox.Step {
	a.t.Helper()
	s := newSettings()
	s.Source, s.Application = "cluster", "shop"
	s.Validate(func(path, rule string, value any) { a.t.Errorf("%s: %s, got %v", path, rule, value) })
	raw, err := Kind().Spec(kind.SpecInput{
		Name: "shop", Backend: "argocd", Settings: s,
		Source: func(string) (string, kind.Settings, bool) {
			return cluster.Kind, &cluster.Settings{Kubeconfig: a.kubeconfig}, true
		},
	})
	must(a.t, err)
	return signalbox.Step{Kind: "argocd", Name: "shop", To: to, Spec: raw, Tool: true}
}

func (a *argo) target() *target {
	a.t.Helper()
	t, err := a.r.open(a.step(moveSynced))
	must(a.t, err)
	return t
}

func (a *argo) preview(step signalbox.Step) signalbox.Forecast {
	a.t.Helper()
	f, err := a.r.Preview(a.t.Context(), step)
	must(a.t, err)
	return f
}

// action is one that was claimed with a token.
func (a *argo) action(id signalbox.ActionID, token signalbox.Token, step signalbox.Step) signalbox.Action {
	a.t.Helper()
	f := a.preview(step)
	if f.Refused != "" {
		a.t.Fatalf("refused: %s", f.Refused)
	}
	return signalbox.Action{ID: id, Token: token, Step: step, Forecast: f, Stage: signalbox.Claimed, ClaimedAt: time.Now(), Gate: func() error { return nil }}
}

func (a *argo) probe(of signalbox.Action, want signalbox.Phase, with string) {
	a.t.Helper()
	p, err := a.r.Probe(a.t.Context(), of)
	if err != nil || p.Phase != want || !strings.Contains(p.Reason+p.Receipt.Detail, with) {
		a.t.Fatalf("got %+v, %v; want %s with %q", p, err, want, with)
	}
	if of.Step.To != moveRestored && p.Phase == signalbox.Fell && p.Receipt.At.IsZero() {
		a.t.Fatalf("it ran, and its end must say so: %+v", p)
	}
}
