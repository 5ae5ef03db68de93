package kubernetes

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/servers"
)

func TestPodFailsAndRecovers(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"streamed lists":              {"--watch-cache=true"},
		"streamed lists out of etcd":  {"--watch-cache=false"},
		"lists in pages":              {"--watch-cache=true", "--feature-gates=WatchList=false"},
		"lists in pages, out of etcd": {"--watch-cache=false", "--feature-gates=WatchList=false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := servers.KubeAPI(t, flags...)
			grant(t, k, "", "pods")
			c := newCast(t, k, "core")
			pod := c.pod("core", "api", "api-0")
			c.pod("core", "web", "web-0")
			w := play(t, k, options{}, map[string]*DetectorSettings{"pods": {Pods: &Scope{}}})
			w.settled("pods")
			c.status(pod, waiting("CrashLoopBackOff"))
			r := w.await("pods", "core/api", signalbox.Breached, "CrashLoopBackOff (container app)")
			if r.Labels["workload_kind"] != "Deployment" || r.Labels["reason"] != crashLoop || r.Value != 1 || r.Origin != "kubernetes:cluster" {
				t.Errorf("got %+v", r)
			}
			c.status(pod, running())
			w.await("pods", "core/api", signalbox.Clear, "")
			if got := w.told("pods", "core/api"); got != "bc" {
				t.Errorf("told %q, want breached and then clear", got)
			}
			if got := w.subjects("pods"); !slices.Equal(got, []string{"core/api"}) {
				t.Errorf("something was said of %q", got)
			}
			if _, known := w.src.Skew(); !known {
				t.Error("the API server's clock was not measured")
			}
		})
	}
}

// since sets when all of a status began.
func since(s corev1.PodStatus, age time.Duration) corev1.PodStatus {
	at := metav1.NewTime(time.Now().Add(-age))
	for i := range s.Conditions {
		s.Conditions[i].LastTransitionTime = at
	}
	return s
}

func unready() corev1.PodStatus {
	s := running()
	s.StartTime.Time = s.StartTime.Add(-time.Hour)
	s.Conditions[0].Status = corev1.ConditionFalse
	return s
}

func over(phase corev1.PodPhase, reason string) corev1.PodStatus {
	return corev1.PodStatus{Phase: phase, Reason: reason, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}}
}

func unscheduled() corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable"}}}
}

func outOfMemory() corev1.PodStatus {
	s := running()
	s.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137, FinishedAt: metav1.Now()}
	s.ContainerStatuses[0].RestartCount = 1
	return s
}

// Each way to fail, as a kubelet and a scheduler write it, through the real
// status subresource.
func TestEachFailureOfAPod(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t, "--watch-cache=true")
	grant(t, k, "", "pods")
	c := newCast(t, k, "core")
	ill := map[string]struct {
		status corev1.PodStatus
		reason string
	}{
		"crash":    {waiting("CrashLoopBackOff"), crashLoop},
		"pull":     {waiting("ErrImagePull"), imagePull},
		"backoff":  {waiting("ImagePullBackOff"), imagePull},
		"name":     {waiting("InvalidImageName"), imagePull},
		"config":   {waiting("CreateContainerConfigError"), createError},
		"memory":   {outOfMemory(), oomKilled},
		"unready":  {since(unready(), 3*time.Minute), notReady},
		"nowhere":  {since(unscheduled(), 6*time.Minute), unschedulable},
		"evicted":  {since(over(corev1.PodFailed, "Evicted"), time.Minute), evicted},
		"failed":   {since(over(corev1.PodFailed, ""), time.Minute), failed},
		"pending":  {corev1.PodStatus{Phase: corev1.PodPending}, pending},
		"leaving":  {running(), terminating},
		"neverwas": {corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}}, notStarted},
	}
	well := map[string]corev1.PodStatus{
		"a-while-unready": since(unready(), time.Minute),
		"a-while-nowhere": since(unscheduled(), time.Minute),
		"shut-down":       since(over(corev1.PodFailed, "NodeShutdown"), time.Minute),
		"done":            over(corev1.PodSucceeded, ""),
	}
	for name, x := range ill {
		p := c.pod("core", name, name+"-0")
		c.status(p, x.status)
	}
	for name, s := range well {
		c.status(c.pod("core", name, name+"-0"), s)
	}
	c.stuck("core", "leaving-0")
	// What began with the pod can't be backdated: the grace is set to nothing.
	at0 := map[string]kind.Duration{"Pending": 0, "NotStarted": 0, "Terminating": 0}
	w := play(t, k, options{}, map[string]*DetectorSettings{"pods": {Pods: &Scope{Filter: Filter{After: at0}}}})
	for name, x := range ill {
		if r := w.await("pods", "core/"+name, signalbox.Breached, x.reason); r.Labels["reason"] != x.reason {
			t.Errorf("%s: got reason %s, want %s", name, r.Labels["reason"], x.reason)
		}
	}
	w.settled("pods")
	for name := range well {
		if got := w.told("pods", "core/"+name); got != "" {
			t.Errorf("%s: told %q, though it is no failure", name, got)
		}
	}
	for name := range ill {
		if err := c.admin.CoreV1().Pods("core").Delete(t.Context(), name+"-0", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil && name != "leaving" {
			t.Fatal(err)
		}
		if name != "leaving" { // a finalizer holds it
			w.await("pods", "core/"+name, signalbox.Clear, "")
		}
	}
	c.release("core", "leaving-0")
	w.await("pods", "core/leaving", signalbox.Clear, "")
}

// stuck deletes a pod that a finalizer holds.
func (c *cast) stuck(namespace, name string) {
	c.t.Helper()
	c.finalizers(namespace, name, []string{"test.example/hold"})
	if err := c.admin.CoreV1().Pods(namespace).Delete(c.t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cast) release(namespace, name string) {
	c.t.Helper()
	c.finalizers(namespace, name, nil)
}

func (c *cast) finalizers(namespace, name string, list []string) {
	c.t.Helper()
	p, err := c.admin.CoreV1().Pods(namespace).Get(c.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	p.Finalizers = list
	if _, err := c.admin.CoreV1().Pods(namespace).Update(c.t.Context(), p, metav1.UpdateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}
