package rollout

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// budget puts a PodDisruptionBudget on the app web, and waits until its
// controller has counted.
func (c *world) budget(name string, least int32, always bool) {
	c.t.Helper()
	budgets := c.admin.PolicyV1().PodDisruptionBudgets("core")
	_ = budgets.Delete(c.t.Context(), name, metav1.DeleteOptions{})
	n := intstr.FromInt32(least)
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &n, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}
	if always {
		policy := policyv1.AlwaysAllow
		b.Spec.UnhealthyPodEvictionPolicy = &policy
	}
	_, err := budgets.Create(c.t.Context(), b, metav1.CreateOptions{})
	c.must(err)
	c.counted(name, 3)
}

// counted waits until a budget knows how many of the pods are healthy.
func (c *world) counted(name string, healthy int32) {
	c.t.Helper()
	servers.Await(c.t, servers.Patience, "the budget "+name, func(ctx context.Context) error {
		if err := servers.RunPods(ctx, c.admin, "core"); err != nil {
			return err
		}
		b, err := c.admin.PolicyV1().PodDisruptionBudgets("core").Get(ctx, name, metav1.GetOptions{})
		if err == nil && (b.Status.ObservedGeneration < b.Generation || b.Status.ExpectedPods != 3 || b.Status.CurrentHealthy != healthy) {
			err = fmt.Errorf("status %+v", b.Status)
		}
		return err
	})
}

// living are the pods of the app web that run, and that nobody has ended.
func (c *world) living() (pods []corev1.Pod) {
	c.t.Helper()
	list, err := c.admin.CoreV1().Pods("core").List(c.t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	c.must(err)
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning {
			pods = append(pods, p)
		}
	}
	return pods
}

// ill makes a pod not ready.
func (c *world) ill(name string) {
	c.t.Helper()
	p, err := c.admin.CoreV1().Pods("core").Get(c.t.Context(), name, metav1.GetOptions{})
	c.must(err)
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.Now()}}
	_, err = c.admin.CoreV1().Pods("core").UpdateStatus(c.t.Context(), p, metav1.UpdateOptions{})
	c.must(err)
}

// TestRealBudget: what a PodDisruptionBudget forbids is not now, and told; it is
// never forced, and goes once the budget allows it.
func TestRealBudget(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "disruption-controller")
	c.deploy("web", 3)
	c.budget("tight", 2, false)
	first := c.living()[0]
	a := c.claim(c.evict("web", first.Name), "a1", 10)
	c.budget("tight", 3, false) // between the preview and the write
	_, err := c.r.Start(t.Context(), a)
	if !isFailure(err) || !strings.Contains(err.Error(), "not now: a PodDisruptionBudget allows no disruption") || !strings.Contains(err.Error(), "429") {
		t.Errorf("got %v", err)
	}
	if f := c.preview(a.Step); !strings.Contains(f.Refused, "not now: PodDisruptionBudget tight allows no disruption (3 healthy, 3 must be)") || f.Undo != nil {
		t.Errorf("got %+v", f)
	}
	c.now = c.now.Add(time.Hour)
	if p := c.probe(a); p.Phase != signalbox.NotStarted {
		t.Errorf("got %+v", p)
	}
	if living := c.living(); len(living) != 3 {
		t.Errorf("%d pods live", len(living))
	}
	c.awaitWrites(0)

	c.budget("tight", 2, false)
	a = c.claim(a.Step, "a2", 20)
	c.start(a)
	if p := c.probe(a); p.Phase != signalbox.Succeeded {
		t.Errorf("got %+v", p)
	}
	if _, err := c.r.Start(t.Context(), a); !isFailure(err) {
		t.Errorf("evicted again: %v", err)
	}
	if f := c.preview(c.evict("web", c.living()[0].Name)); !strings.Contains(f.Refused, "not now") {
		t.Errorf("a second one, while the first is not replaced: %q", f.Refused)
	}
	c.settle("web")
	c.awaitWrites(1)
}

// TestRealBudgetOfAnIllPod: a pod that is not ready may be evicted when the
// others are enough, or its budget says so: what the preview tells is what the
// API server does.
func TestRealBudgetOfAnIllPod(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "disruption-controller")
	c.deploy("web", 3)
	for i, b := range []struct {
		least, ill int32 // pods that must be healthy, and that are not
		always     bool
		want       string
	}{
		{2, 1, false, ""},
		{3, 1, false, "not now: PodDisruptionBudget web allows no disruption (2 healthy, 3 must be)"},
		{3, 1, true, ""},
		{3, 3, true, ""},
	} {
		c.settle("web")
		c.budget("web", b.least, b.always)
		living := c.living()
		for _, p := range living[:b.ill] {
			c.ill(p.Name)
		}
		c.counted("web", 3-b.ill)
		s := c.evict("web", living[0].Name)
		if b.want == "" {
			a := c.claim(s, signalbox.ActionID(fmt.Sprint("a", i)), 10)
			c.start(a)
			if p := c.probe(a); p.Phase != signalbox.Succeeded {
				t.Errorf("%+v: got %+v", b, p)
			}
		} else if f := c.preview(s); f.Refused != b.want {
			t.Errorf("%+v: refused for %q", b, f.Refused)
		} else {
			f.Refused = ""
			a := signalbox.Action{ID: "x", Step: s, Forecast: f, Stage: signalbox.Claimed, ClaimedAt: c.now}
			if _, err := c.r.Start(t.Context(), a); !isFailure(err) || !strings.Contains(err.Error(), "429") {
				t.Errorf("%+v: the API server says %v", b, err)
			}
		}
		for _, p := range c.living() { // the ill ones are replaced
			c.must(c.admin.CoreV1().Pods("core").Delete(t.Context(), p.Name, metav1.DeleteOptions{}))
		}
	}
	c.settle("web")
	c.budget("one", 1, false)
	c.budget("two", 1, false)
	c.must(c.admin.PolicyV1().PodDisruptionBudgets("core").Delete(t.Context(), "web", metav1.DeleteOptions{}))
	if f := c.preview(c.evict("web", c.living()[0].Name)); !strings.Contains(f.Refused, "PodDisruptionBudgets one and two select it") {
		t.Errorf("two budgets: refused for %q", f.Refused)
	}
}

// TestRealPodsOutside: only a pod of the selector that its controller replaces,
// and that nobody has ended, is evicted.
func TestRealPodsOutside(t *testing.T) {
	t.Parallel()
	c := newServer(t)
	c.bare("web-1")
	pods := c.admin.CoreV1().Pods("core")
	a := c.claim(c.evict("web", "web-1"), "a1", 10)
	if f := c.preview(c.evict("queue", "web-1")); !strings.Contains(f.Refused, "the selector is app=queue") {
		t.Errorf("refused for %q", f.Refused)
	}
	lone := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "lone", Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "app", Image: "x"}}}}
	_, err := pods.Create(t.Context(), lone, metav1.CreateOptions{})
	c.must(err)
	for pod, want := range map[string]string{"lone": "has no controller that would replace it", "../x": "is not the name of a pod", "": `has no label "pod"`, "web-9": "there must be a pod web-9"} {
		if f := c.preview(c.evict("web", pod)); !strings.Contains(f.Refused, want) {
			t.Errorf("%q: refused for %q", pod, f.Refused)
		}
	}
	// A pod on a node ends only when its kubelet says so.
	c.must(pods.Delete(t.Context(), "web-1", metav1.DeleteOptions{}))
	c.bare("web-1")
	c.must(pods.Bind(t.Context(), &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n1"}}, metav1.CreateOptions{}))
	if _, err := c.r.Start(t.Context(), a); !isFailure(err) {
		t.Errorf("another of its name: %v", err)
	}
	b := c.claim(a.Step, "b1", 20)
	c.start(b)
	if p := c.probe(b); p.Phase != signalbox.Running {
		t.Errorf("it is ending: %+v", p)
	}
	if f := c.preview(b.Step); !strings.Contains(f.Refused, "is ending already") {
		t.Errorf("refused for %q", f.Refused)
	}
	c.now = c.now.Add(defaultTimeout.Std() + time.Second)
	if p := c.probe(b); p.Phase != signalbox.Fell || p.Receipt.At.IsZero() || !strings.Contains(p.Reason, "has not ended after 10m") {
		t.Errorf("after its time: %+v", p)
	}
	now := int64(0)
	c.must(pods.Delete(t.Context(), "web-1", metav1.DeleteOptions{GracePeriodSeconds: &now}))
	if p := c.probe(b); p.Phase != signalbox.Succeeded {
		t.Errorf("it is gone: %+v", p)
	}
	c.awaitWrites(1)
}
