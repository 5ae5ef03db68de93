package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/workload"
	"github.com/signalbox/signalbox/test/servers"
)

// TestReal works on one Deployment, with the rights that the documentation
// names: each move is followed to its end and done once, whoever asks again.
func TestReal(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.deploy("web", 3)
	a := c.claim(c.step(web(), movePaused), "a1", 10)
	if n := c.writes(); n != 0 {
		t.Errorf("a preview wrote %d times", n)
	}
	c.start(a)
	c.start(a)
	if p := c.probe(a); p.Phase != signalbox.Succeeded || !c.deployment("web").Spec.Paused {
		t.Errorf("paused: %+v", p)
	}
	if f := c.preview(c.step(web(), moveRestarted)); !strings.Contains(f.Refused, "is paused") {
		t.Errorf("restart of what is paused: %q", f.Refused)
	}
	u := c.claim(*a.Forecast.Undo, "u1", 20)
	u.Undoes = a.ID
	c.start(u)
	if p := c.probe(u); p.Phase != signalbox.Succeeded || c.deployment("web").Spec.Paused || u.Step.To != moveRunning {
		t.Errorf("resumed: %+v", p)
	}
	c.awaitWrites(2)

	restart := c.claim(c.step(web(), moveRestarted), "a2", 30)
	c.start(restart)
	c.start(restart)
	if p := c.probe(restart); p.Phase != signalbox.Running || restart.Forecast.Undo != nil {
		t.Errorf("a restart is not done when it is written: %+v", p)
	}
	if by := c.deployment("web").Spec.Template.Annotations[workload.RestartedBy]; by != "a2" {
		t.Errorf("restarted by %q", by)
	}
	c.awaitDone(restart)
	c.awaitWrites(3)

	scale := c.claim(c.step(web(), "reduced"), "a3", 40)
	c.start(scale)
	c.awaitDone(scale)
	back := c.claim(*scale.Forecast.Undo, "u3", 50)
	back.Undoes = scale.ID
	c.start(back)
	c.awaitDone(back)
	if n := *c.deployment("web").Spec.Replicas; n != 3 || back.Step.To != "normal" {
		t.Errorf("restored to %d, %s", n, back.Step.To)
	}
}

// TestRealPrevious: the way back goes to what ran before, and never to what
// runs, though a restart made a revision of its own.
func TestRealPrevious(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.deploy("web", 2)
	servers.Await(t, servers.Patience, "the grant", func(ctx context.Context) error {
		f, err := c.r.Preview(ctx, c.step(web(), movePrevious))
		if err == nil && !strings.Contains(f.Refused, "no earlier revision") {
			err = errors.New(f.Refused)
		}
		return err
	})
	image := func(v string) {
		c.patch("web", "kubectl", fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.example/app:%s"}]}}}}`, v))
		c.settle("web")
	}
	image("2")
	restart := c.claim(c.step(web(), moveRestarted), "a1", 10)
	c.start(restart)
	c.awaitDone(restart)
	a := c.claim(c.step(web(), movePrevious), "a2", 20)
	c.start(a)
	c.awaitDone(a)
	if got := c.deployment("web").Spec.Template; got.Spec.Containers[0].Image != "registry.example/app:1" || len(got.Annotations) != 0 {
		t.Errorf("went back to %s %v", got.Spec.Containers[0].Image, got.Annotations)
	}
	next := c.claim(c.step(web(), movePrevious), "a3", 30)
	image("3") // a release between look and write
	if _, err := c.r.Start(t.Context(), next); !isFailure(err) || !strings.Contains(err.Error(), "changed since the preview") {
		t.Errorf("over a release: %v", err)
	}
	w := web()
	w.Revision = 99
	if f := c.preview(c.step(w, movePrevious)); !strings.Contains(f.Refused, "revision 99 is not kept") {
		t.Errorf("got %q", f.Refused)
	}
	w = web()
	w.Timeout = defaultTimeout
	stuck := c.claim(c.step(w, movePrevious), "a4", 40)
	c.start(stuck)
	c.now = c.now.Add(time.Hour) // and no kubelet runs the new pods
	if p := c.probe(stuck); p.Phase != signalbox.Fell || !strings.Contains(p.Reason, "is not done after 10m") {
		t.Errorf("after its time: %+v", p)
	}
}

// TestRealSeal: a process that was stopped between its last check and its send
// goes on after its successor has sealed.
func TestRealSeal(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.deploy("web", 1)
	w := web()
	w.Replicas = map[string]int32{"one": 1, "two": 2}
	for i, move := range []string{movePaused, moveRestarted, "two"} {
		token := signalbox.Token(100 * (i + 1))
		id := signalbox.ActionID("a" + move)
		if move == moveRestarted {
			c.patch("web", "kubectl", `{"spec":{"paused":false},"metadata":{"annotations":{"signalbox.io/fence.paused":null}}}`)
			c.settle("web")
		}
		a := c.claim(c.step(w, move), id, token)
		late := a
		late.Gate = func() error {
			if p := c.probe(a); p.Phase != signalbox.InDoubt {
				t.Errorf("%s before the seal: %+v", move, p)
			}
			if err := c.r.Seal(t.Context(), a, token+5); err != nil {
				t.Error(err)
			}
			if p := c.probe(a); p.Phase != signalbox.NotStarted {
				t.Errorf("%s after the seal: %+v", move, p)
			}
			late.Gate = nil
			return nil
		}
		if _, err := c.r.Start(t.Context(), late); !isFailure(err) || !strings.Contains(err.Error(), "sealed by a successor") {
			t.Errorf("%s: late write: %v", move, err)
		}
		a.Sealed = token + 5
		c.start(a)
		c.awaitDone(a)
		if err := c.r.Seal(t.Context(), a, token+9); err != nil {
			t.Errorf("%s: seal of what is done: %v", move, err)
		}
	}
}

// TestRealOwners: what somebody else owns is refused, with what to change.
func TestRealOwners(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.deploy("web", 3)
	c.claim(c.step(web(), "reduced"), "a1", 10)
	refused := func(to, want string) {
		t.Helper()
		if f := c.preview(c.step(web(), to)); !strings.Contains(f.Refused, want) || f.Undo != nil {
			t.Errorf("%s: got %q, want %q", to, f.Refused, want)
		}
	}
	_, err := c.admin.AutoscalingV2().HorizontalPodAutoscalers("core").Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web-hpa"},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 9, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}},
	}, metav1.CreateOptions{})
	c.must(err)
	refused("reduced", "HorizontalPodAutoscaler web-hpa owns its replicas")
	c.must(c.admin.AutoscalingV2().HorizontalPodAutoscalers("core").Delete(t.Context(), "web-hpa", metav1.DeleteOptions{}))
	c.patch("web", "kustomize-controller", `{"spec":{"replicas":2}}`)
	c.patch("web", "kustomize-controller", `{"spec":{"replicas":3}}`)
	refused("reduced", "Flux owns its replicas")
	if f := c.preview(c.step(web(), movePaused)); f.Refused != "" {
		t.Errorf("a field that it does not own: %q", f.Refused)
	}
	w := web()
	w.GitOpsIgnores = []string{aspectReplicas}
	if f := c.preview(c.step(w, "reduced")); f.Refused != "" {
		t.Errorf("a field that it leaves alone: %q", f.Refused)
	}
	c.patch("web", "kubectl", `{"spec":{"replicas":5}}`)
	refused("reduced", "its replicas is 5, which is not one of the listed counts")
	gone := web()
	gone.Deployment = "queue"
	if f := c.preview(c.step(gone, movePaused)); !strings.Contains(f.Refused, "there must be a deployment queue in namespace core") {
		t.Errorf("got %q", f.Refused)
	}
	gone.Deployment = "other"
	if f := c.preview(c.step(gone, movePaused)); !strings.Contains(f.Refused, "may not get deployments.apps") {
		t.Errorf("got %q", f.Refused)
	}
	c.awaitWrites(0)
}

// TestRealNode cordons the node that a label names, if it is one of those that
// may be.
func TestRealNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for _, name := range []string{"worker-1", "control-1"} {
		role := strings.Split(name, "-")[0]
		_, err := c.admin.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"role": role}}}, metav1.CreateOptions{})
		c.must(err)
	}
	about := func(node string) signalbox.Step {
		s := c.step(&Cordon{Source: "cluster", Selector: "role=worker", Label: "node"}, moveCordoned)
		s.About = &signalbox.About{Labels: map[string]string{"node": node}}
		return s
	}
	a := c.claim(about("worker-1"), "a1", 10)
	for node, want := range map[string]string{"control-1": "is not one of those that may be cordoned", "../x": "is not the name of a node", "": "has no label", "worker-9": "there must be a node worker-9"} {
		if f := c.preview(about(node)); !strings.Contains(f.Refused, want) {
			t.Errorf("%q: got %q", node, f.Refused)
		}
	}
	c.start(a)
	node, err := c.admin.CoreV1().Nodes().Get(t.Context(), "worker-1", metav1.GetOptions{})
	c.must(err)
	if !node.Spec.Unschedulable || specOf(t, *a.Forecast.Undo).Cordon.Name != "worker-1" {
		t.Errorf("got %+v", node.Spec)
	}
	u := c.claim(*a.Forecast.Undo, "u1", 20)
	u.Undoes = a.ID
	c.start(u)
	if p := c.probe(u); p.Phase != signalbox.Succeeded || u.Step.To != moveUncordoned {
		t.Errorf("got %+v", p)
	}
	c.awaitWrites(2)
}
