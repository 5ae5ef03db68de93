package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/servers"
)

// template is a pod's, of an image.
func template(app, image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
	}
}

// kubelet plays the kubelets of a namespace once: each pod that is on no node
// is started, and is ready when its image is good.
func (c *cast) kubelet(namespace string, good ...string) {
	pods, err := c.admin.CoreV1().Pods(namespace).List(c.t.Context(), metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.DeletionTimestamp != nil {
			_ = c.admin.CoreV1().Pods(namespace).Delete(c.t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
			continue
		}
		s := waiting("ContainerCreating")
		s.Phase = corev1.PodPending
		if slices.Contains(good, p.Spec.Containers[0].Image) {
			s = running()
		}
		if p.Status.Phase == s.Phase {
			continue
		}
		p.Status = s
		_, _ = c.admin.CoreV1().Pods(namespace).UpdateStatus(c.t.Context(), p, metav1.UpdateOptions{}) // what a controller changed meanwhile is tried again
	}
}

// until plays the kubelets until check holds.
func (c *cast) until(what, namespace string, good []string, check func() error) {
	c.t.Helper()
	servers.Await(c.t, patience, what, func(context.Context) error {
		c.kubelet(namespace, good...)
		return check()
	})
}

func (c *cast) deployment(namespace, name string) *appsv1.Deployment {
	c.t.Helper()
	d, err := c.admin.AppsV1().Deployments(namespace).Get(c.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return d
}

func (c *cast) patch(namespace, name, patch string) {
	c.t.Helper()
	if _, err := c.admin.AppsV1().Deployments(namespace).Patch(c.t.Context(), name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// complete reports whether a Deployment's rollout is done, by its controller.
func (c *cast) complete(namespace, name string, want int32) func() error {
	return func() error {
		s := c.deployment(namespace, name)
		if s.Status.ObservedGeneration < s.Generation || s.Status.AvailableReplicas != want || s.Status.UpdatedReplicas != want || s.Status.Replicas != want {
			return fmt.Errorf("status %+v", s.Status)
		}
		return nil
	}
}

// A Deployment under the real controller: its rollouts, and its scaling up and
// down, are no failures; one that doesn't come to its end within its deadline
// is, and a pod that is lost.
func TestDeploymentUnderItsController(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t, "--watch-cache=true")
	servers.KubeControllers(t, k)
	grant(t, k, "apps", "deployments", "statefulsets", "daemonsets")
	c := newCast(t, k, "core")
	none := map[string]kind.Duration{"Unavailable": 0, "NoneAvailable": 0} // what is short is told at once
	w := play(t, k, options{}, map[string]*DetectorSettings{"workloads": {Workloads: &WorkloadScope{Scope: Scope{Filter: Filter{After: none}}}}})
	three := int32(3)
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "api"}, Spec: appsv1.DeploymentSpec{
		Replicas: &three, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "api"}}, Template: template("api", "v1"),
	}}
	if _, err := c.admin.AppsV1().Deployments("core").Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	good := []string{"v1", "v2"}
	c.until("v1 is out", "core", good, c.complete("core", "api", 3))
	c.patch("core", "api", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"v2"}]}}}}`)
	c.until("v2 is out", "core", good, c.complete("core", "api", 3))
	c.patch("core", "api", `{"spec":{"replicas":1}}`)
	c.until("scaled down", "core", good, c.complete("core", "api", 1))
	w.settled("workloads")
	if got := w.told("workloads", "core/api"); got != "" {
		t.Fatalf("told %q of rollouts and a scale-down", got)
	}

	c.patch("core", "api", `{"spec":{"progressDeadlineSeconds":2,"template":{"spec":{"containers":[{"name":"app","image":"bad"}]}}}}`)
	c.until("the deadline is missed", "core", good, func() error {
		if r, _ := w.reading("workloads", "core/api"); r.Condition != signalbox.Breached {
			return fmt.Errorf("%s %q", r.Condition, r.Summary)
		}
		return nil
	})
	if r := w.await("workloads", "core/api", signalbox.Breached, deadline); r.Labels["workload_kind"] != "Deployment" {
		t.Errorf("got %+v", r)
	}
	c.patch("core", "api", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"v2"}]}}}}`)
	c.until("v2 is out again", "core", good, c.complete("core", "api", 1))
	w.await("workloads", "core/api", signalbox.Clear, "")

	c.lose("core")
	w.await("workloads", "core/api", signalbox.Breached, noneAvailable)
	if err := c.admin.AppsV1().Deployments("core").Delete(t.Context(), "api", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await("workloads", "workloads", signalbox.Unknown, "0 workloads are there, and at least 1 are expected")
}

// lose makes the pods of a namespace unready.
func (c *cast) lose(namespace string) {
	c.t.Helper()
	pods, err := c.admin.CoreV1().Pods(namespace).List(c.t.Context(), metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range pods.Items {
		s := running()
		s.Conditions[0].Status, s.Conditions[0].LastTransitionTime = corev1.ConditionFalse, metav1.Now()
		s.ContainerStatuses[0].Ready = false
		c.status(&pods.Items[i], s)
	}
}

// A Job under the real controller: a pod that fails is tried again, and is no
// failure; when the limit is passed, the Job has failed.
func TestJobUnderItsController(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t, "--watch-cache=true")
	servers.KubeControllers(t, k)
	grant(t, k, "batch", "jobs")
	grant(t, k, "", "pods")
	c := newCast(t, k, "core")
	zero := 0
	w := play(t, k, options{}, map[string]*DetectorSettings{
		"jobs": {Jobs: &Scope{}}, "pods": {Pods: &Scope{Filter: Filter{Expect: &zero}}},
	})
	one := int32(1)
	spec := template("migrate", "v1")
	spec.Spec.RestartPolicy = corev1.RestartPolicyNever
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "migrate"}, Spec: batchv1.JobSpec{BackoffLimit: &one, Template: spec}}
	if _, err := c.admin.BatchV1().Jobs("core").Create(t.Context(), j, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.failed("core", 1)
	servers.Await(t, patience, "it is tried again", func(ctx context.Context) error {
		j, err := c.admin.BatchV1().Jobs("core").Get(ctx, "migrate", metav1.GetOptions{})
		if err == nil && (j.Status.Failed != 1 || j.Status.Active != 1) {
			err = fmt.Errorf("status %+v", j.Status)
		}
		return err
	})
	w.settled("jobs")
	w.settled("pods")
	for _, detector := range []string{"jobs", "pods"} {
		if got := w.told(detector, "core/migrate"); got != "" {
			t.Errorf("%s: told %q of a retry below its limit", detector, got)
		}
	}
	c.failed("core", 2)
	r := w.await("jobs", "core/migrate", signalbox.Breached, failed)
	if r.Labels["workload_kind"] != "Job" {
		t.Errorf("got %+v", r)
	}
	background := metav1.DeletePropagationBackground
	if err := c.admin.BatchV1().Jobs("core").Delete(t.Context(), "migrate", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Fatal(err)
	}
	w.await("jobs", "core/migrate", signalbox.Clear, "")
}

// failed lets the pods of a namespace fail, as they come, until so many have.
func (c *cast) failed(namespace string, count int) {
	c.t.Helper()
	servers.Await(c.t, patience, fmt.Sprintf("%d pods have failed", count), func(ctx context.Context) error {
		pods, err := c.admin.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		n := 0
		for i := range pods.Items {
			p := &pods.Items[i]
			if p.Status.Phase == corev1.PodFailed {
				n++
				continue
			}
			if n < count {
				p.Status = over(corev1.PodFailed, "")
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, FinishedAt: metav1.Now()}}}}
				_, _ = c.admin.CoreV1().Pods(namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{}) // seen next time
			}
		}
		if n < count {
			return fmt.Errorf("%d pods, %d of them have failed", len(pods.Items), n)
		}
		return nil
	})
}

// A node that isn't ready; and one that is cordoned is being worked on.
func TestNodes(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t, "--watch-cache=true")
	grant(t, k, "", "nodes")
	c := newCast(t, k)
	node := func(name string, ready corev1.ConditionStatus) {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		n, err := c.admin.CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n.Spec.Taints = nil
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, LastTransitionTime: metav1.NewTime(time.Now().Add(-2 * time.Minute))}}
		if _, err := c.admin.CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	node("well", corev1.ConditionTrue)
	node("silent", corev1.ConditionUnknown)
	node("ill", corev1.ConditionFalse)
	w := play(t, k, options{namespaces: []string{"core"}}, map[string]*DetectorSettings{"nodes": {Nodes: &NodeScope{}}})
	w.await("nodes", "silent", signalbox.Breached, unreachable)
	w.await("nodes", "ill", signalbox.Breached, notReady)
	cordon := []byte(`{"spec":{"unschedulable":true}}`)
	if _, err := c.admin.CoreV1().Nodes().Patch(t.Context(), "ill", types.MergePatchType, cordon, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await("nodes", "ill", signalbox.Clear, "")
	if got := strings.Join(w.subjects("nodes"), " "); got != "ill silent" {
		t.Errorf("something was said of %s", got)
	}
}
