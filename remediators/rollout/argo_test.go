package rollout

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

type m = map[string]any

func (c *world) rollouts() dynamic.ResourceInterface {
	return c.Dynamic(servers.Admin).Resource(schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}).Namespace("core")
}

// defineArgo makes the definition, and a Rollout of two pods that is healthy.
func (c *world) defineArgo() {
	c.t.Helper()
	rollouts := c.ArgoRollouts().Namespace("core")
	object := &unstructured.Unstructured{Object: m{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": m{"name": "web", "namespace": "core"},
		"spec": m{
			"replicas": int64(2), "selector": m{"matchLabels": m{"app": "web"}}, "strategy": m{"canary": m{}},
			"template": m{"metadata": m{"labels": m{"app": "web"}}, "spec": m{"containers": []any{m{"name": "app", "image": "registry.example/app:2"}}}},
		},
	}}
	_, err := rollouts.Create(c.t.Context(), object, metav1.CreateOptions{})
	c.must(err)
	c.argoStatus(`{"phase":"Healthy"}`)
}

// argoRollout is what stands in a Rollout.
type argoRollout struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Paused    bool            `json:"paused"`
		RestartAt string          `json:"restartAt"`
		Template  json.RawMessage `json:"template"`
	} `json:"spec"`
	Status struct {
		Abort bool `json:"abort"`
	} `json:"status"`
}

func (c *world) argo() (o argoRollout) {
	c.t.Helper()
	u, err := c.rollouts().Get(c.t.Context(), "web", metav1.GetOptions{})
	c.must(err)
	raw, err := u.MarshalJSON()
	c.must(err)
	c.must(json.Unmarshal(raw, &o))
	return o
}

// kept is a ReplicaSet in which a controller keeps a revision of the app web.
func (c *world) kept(kind string, owner types.UID, revision int, image string) {
	c.t.Helper()
	yes, none := true, int32(0)
	hash := fmt.Sprint("h", revision)
	version, key, label := "apps/v1", "deployment.kubernetes.io/revision", "pod-template-hash"
	if kind == "Rollout" {
		version, key, label = "argoproj.io/v1alpha1", "rollout.argoproj.io/revision", "rollouts-pod-template-hash"
	}
	template := app(image)
	template.Labels = map[string]string{"app": "web", label: hash}
	_, err := c.admin.AppsV1().ReplicaSets("core").Create(c.t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "web-", Labels: template.Labels, Annotations: map[string]string{key: fmt.Sprint(revision)},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: "web", UID: owner, Controller: &yes}},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template},
	}, metav1.CreateOptions{})
	c.must(err)
}

// argoStatus writes the Rollout's status as its controller does, which has seen
// what is there.
func (c *world) argoStatus(body string) {
	c.t.Helper()
	seen := fmt.Sprintf(`{"status":{"observedGeneration":"%d","replicas":2,"updatedReplicas":2,"readyReplicas":2,"availableReplicas":2}}`, c.argo().Generation)
	for _, patch := range []string{seen, `{"status":` + body + `}`} {
		_, err := c.rollouts().Patch(c.t.Context(), "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "rollouts-controller"}, "status")
		c.must(err)
	}
}

func (c *world) argoMove(to string) signalbox.Step {
	c.t.Helper()
	return c.step(&Workload{Source: "cluster", Namespace: "core", ArgoRollout: "web", Timeout: defaultTimeout, Replicas: map[string]int32{"normal": 2, "more": 4}}, to)
}

// expect looks how far an action has come.
func (c *world) expect(a signalbox.Action, want signalbox.Phase, reason string) {
	c.t.Helper()
	if p := c.probe(a); p.Phase != want || !strings.Contains(p.Reason+p.Receipt.Detail, reason) {
		c.t.Errorf("%s: got %+v, want %s, %q", a.Step.To, p, want, reason)
	}
}

// TestRealArgo: a Rollout is paused, restarted, scaled, aborted and taken back
// through the fields that its controller reads, and followed by its status.
func TestRealArgo(t *testing.T) {
	t.Parallel()
	c := newServer(t)
	c.defineArgo()
	both := func(to, back string, is func() bool, token signalbox.Token) {
		t.Helper()
		a := c.claim(c.argoMove(to), signalbox.ActionID(to), token)
		c.start(a)
		c.start(a)
		c.expect(a, signalbox.Succeeded, "")
		if f := c.preview(c.argoMove(to)); !f.Already || f.Undo != nil || !is() {
			t.Errorf("%s again: %+v", to, f)
		}
		u := c.claim(*a.Forecast.Undo, signalbox.ActionID(back), token+1)
		u.Undoes = a.ID
		c.start(u)
		c.expect(u, signalbox.Succeeded, "")
		if is() || u.Step.To != back {
			t.Errorf("%s was taken back to %s: %+v", to, u.Step.To, c.argo())
		}
	}
	both(movePaused, moveRunning, func() bool { return c.argo().Spec.Paused }, 10)
	both(moveAborted, moveRetried, func() bool { return c.argo().Status.Abort }, 20)
	c.awaitWrites(4)

	restart := c.claim(c.argoMove(moveRestarted), "restart", 30)
	c.start(restart)
	c.start(restart)
	at := c.argo().Spec.RestartAt
	if when, err := time.Parse(time.RFC3339, at); err != nil || when.After(c.now) || restart.Forecast.Undo != nil {
		t.Errorf("restarted at %q, which its controller would wait for: %v", at, err)
	}
	c.expect(restart, signalbox.Running, "its controller has not seen it yet")
	c.argoStatus(`{"phase":"Progressing","message":"1 of 2 replaced"}`)
	c.expect(restart, signalbox.Running, "its pods are being replaced")
	c.argoStatus(`{"restartedAt":"` + at + `"}`)
	c.expect(restart, signalbox.Running, "its phase is Progressing 1 of 2 replaced")
	c.argoStatus(`{"phase":"Degraded","message":"pods crash"}`)
	c.expect(restart, signalbox.Fell, "Degraded pods crash")
	if p := c.probe(restart); p.Receipt.At.IsZero() {
		t.Errorf("its pods were replaced, and that is paid for: %+v", p)
	}
	c.argoStatus(`{"phase":"Healthy","message":null}`)
	c.expect(restart, signalbox.Succeeded, "restarted")

	scale := c.claim(c.argoMove("more"), "scale", 40)
	c.start(scale)
	c.argoStatus(`{"replicas":4,"availableReplicas":3}`)
	c.expect(scale, signalbox.Running, "3 of 4 pods are available")
	c.argoStatus(`{"replicas":4,"availableReplicas":4}`)
	c.expect(scale, signalbox.Succeeded, "more")
	c.awaitWrites(6)
}

// TestRealArgoPrevious: the ReplicaSets that its controller keeps are what a
// Rollout is taken back to.
func TestRealArgoPrevious(t *testing.T) {
	t.Parallel()
	c := newServer(t)
	c.defineArgo()
	for revision, image := range map[int]string{1: "0", 2: "1", 3: "2"} {
		c.kept("Rollout", c.argo().UID, revision, image)
	}
	if f := c.previewed(c.argoMove(movePrevious)); !strings.Contains(f.Refused, "its controller has not made its present revision yet") {
		t.Errorf("which one runs is not known: %q", f.Refused)
	}
	c.argoStatus(`{"currentPodHash":"h3"}`)
	a := c.claim(c.argoMove(movePrevious), "a1", 10)
	c.start(a)
	if got := string(c.argo().Spec.Template); !strings.Contains(got, "registry.example/app:1") || strings.Contains(got, "hash") {
		t.Errorf("taken back to %s", got)
	}
	c.argoStatus(`{"phase":"Progressing"}`)
	c.expect(a, signalbox.Running, "its phase is Progressing")
	c.argoStatus(`{"phase":"Healthy"}`)
	c.expect(a, signalbox.Succeeded, "previous")

	refused := func(to, body, want string) {
		t.Helper()
		_, err := c.rollouts().Patch(t.Context(), "web", types.MergePatchType, []byte(body), metav1.PatchOptions{})
		c.must(err)
		c.argoStatus(`{}`)
		if f := c.preview(c.argoMove(to)); !strings.Contains(f.Refused, want) {
			t.Errorf("%s after %s: refused for %q", to, body, f.Refused)
		}
	}
	refused(movePrevious, `{"spec":{"paused":true}}`, "it is paused, so that nothing would be replaced: resume it first")
	refused(movePrevious, `{"spec":{"paused":false,"template":null,"workloadRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"}}}`, "it has no pod template of its own (workloadRef)")
	refused("more", `{"spec":{"replicas":3}}`, "its replicas is 3, which is not one of the listed counts")
	c.awaitWrites(1)
}
