package kubernetes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// now is the moment of the tables; ago is a time before it.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// aPod is one that was created and started an hour ago, and is well.
func aPod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := podOf("core", "api", "api-0")
	p.CreationTimestamp = ago(time.Hour)
	began := ago(time.Hour)
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: &began,
		Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(59 * time.Minute)}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: began}}}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func phase(p corev1.PodPhase) func(*corev1.Pod) {
	return func(x *corev1.Pod) {
		x.Status.Phase = p
		if p == corev1.PodPending {
			x.Status.ContainerStatuses, x.Status.Conditions, x.Status.StartTime = nil, nil, nil
		}
	}
}

func why(reason string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.Reason = reason } }

func condition(of corev1.PodConditionType, s corev1.ConditionStatus, reason string, since time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		c := corev1.PodCondition{Type: of, Status: s, Reason: reason, LastTransitionTime: ago(since)}
		if old := podCondition(p, of); old != nil {
			*old = c
			return
		}
		p.Status.Conditions = append(p.Status.Conditions, c)
	}
}

func waits(reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
	}
}

func ended(reason string, code int32, since time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, FinishedAt: ago(since)}
	}
}

func initWaits(reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
	}
}

func initRuns(p *corev1.Pod) {
	p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
}

func deleted(since time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) { t := ago(since); p.DeletionTimestamp = &t }
}

func ownedBy(kind, name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name, Controller: &yes}}
	}
}

// symptomsText is "reason(container)@age …"; an age that the object doesn't tell is
// "?".
func symptomsText(list []symptom) string {
	var out []string
	for _, s := range list {
		text := s.reason
		if s.container != "" {
			text += "(" + s.container + ")"
		}
		at := "?"
		if !s.at.IsZero() {
			at = now.Sub(s.at).String()
		}
		out = append(out, text+"@"+at)
	}
	return strings.Join(out, " ")
}

func TestPodSymptoms(t *testing.T) {
	type change = func(*corev1.Pod)
	unready := condition(corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", time.Minute)
	cases := []struct {
		name   string
		change []change
		want   string
	}{
		{"well", nil, ""},
		{"crash loop", []change{waits("CrashLoopBackOff"), ended("Error", 1, 20*time.Second), unready}, "CrashLoopBackOff(app)@20s"},
		{"crash loop of which the last end isn't told", []change{waits("CrashLoopBackOff")}, "CrashLoopBackOff(app)@?"},
		{"crash loop for want of memory", []change{waits("CrashLoopBackOff"), ended("OOMKilled", 137, 20*time.Second)}, "CrashLoopBackOff(app)@20s OOMKilled(app)@20s"},
		{"killed for want of memory, and up again", []change{ended("OOMKilled", 137, 20*time.Second)}, "OOMKilled(app)@20s"},
		{"image", []change{phase(corev1.PodPending), waits("ImagePullBackOff")}, "ImagePullBackOff(app)@?"},
		{"image, first try", []change{phase(corev1.PodPending), waits("ErrImagePull")}, "ImagePullBackOff(app)@?"},
		{"image's name", []change{phase(corev1.PodPending), waits("InvalidImageName")}, "ImagePullBackOff(app)@?"},
		{"configuration", []change{phase(corev1.PodPending), waits("CreateContainerConfigError")}, "CreateContainerError(app)@?"},
		{"init container", []change{phase(corev1.PodPending), initWaits("CrashLoopBackOff")}, "CrashLoopBackOff(migrate)@?"},
		{"starting", []change{phase(corev1.PodPending), waits("ContainerCreating")}, "Pending@1h0m0s"},
		{"init container runs", []change{phase(corev1.PodPending), initRuns}, "NotStarted@1h0m0s"},
		{"not on a node", []change{phase(corev1.PodPending), condition(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", 7*time.Minute)}, "Unschedulable@7m0s"},
		{"held back by a gate", []change{phase(corev1.PodPending), condition(corev1.PodScheduled, corev1.ConditionFalse, "SchedulingGated", 7*time.Minute)}, ""},
		{"readiness fails", []change{unready}, "NotReady@1m0s"},
		{"was never ready", []change{condition(corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", time.Hour)}, "NotStarted@1h0m0s"},
		{"a Job's pod isn't ready", []change{unready, ownedBy("Job", "mig")}, ""},
		{"has completed", []change{phase(corev1.PodSucceeded), condition(corev1.PodReady, corev1.ConditionFalse, "PodCompleted", time.Minute)}, ""},
		{"deleted within its grace", []change{deleted(-30 * time.Second), waits("CrashLoopBackOff"), unready}, "Terminating@-30s"},
		{"deleted and stuck", []change{deleted(time.Hour)}, "Terminating@1h0m0s"},
		{"evicted by the kubelet", []change{phase(corev1.PodFailed), why("Evicted"), condition(corev1.DisruptionTarget, corev1.ConditionTrue, "TerminationByKubelet", 3*time.Minute)}, "Evicted@3m0s"},
		{"evicted by the API", []change{condition(corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", time.Minute), unready}, ""},
		{"no longer about to be evicted", []change{condition(corev1.DisruptionTarget, corev1.ConditionFalse, "", time.Minute), unready}, "NotReady@1m0s"},
		{"its node was shut down", []change{phase(corev1.PodFailed), why("NodeShutdown")}, ""},
		{"failed by itself", []change{phase(corev1.PodFailed), condition(corev1.PodReady, corev1.ConditionFalse, "PodFailed", 4*time.Minute)}, "Failed@4m0s"},
		{"a Job's pod failed", []change{phase(corev1.PodFailed), ownedBy("Job", "mig")}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := aPod(c.change...)
			if got := symptomsText(podSymptoms(p, podOwner(p))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestPodOwner(t *testing.T) {
	labels := func(l map[string]string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Labels = l } }
	cases := []struct {
		change []func(*corev1.Pod)
		want   string
	}{
		{nil, "Deployment api"},
		{[]func(*corev1.Pod){ownedBy("ReplicaSet", "a-b-c-7f"), labels(map[string]string{"pod-template-hash": "7f"})}, "Deployment a-b-c"},
		{[]func(*corev1.Pod){ownedBy("ReplicaSet", "web-7f"), labels(map[string]string{"rollouts-pod-template-hash": "7f"})}, "Rollout web"},
		{[]func(*corev1.Pod){ownedBy("ReplicaSet", "by-hand"), labels(nil)}, "ReplicaSet by-hand"},
		{[]func(*corev1.Pod){ownedBy("ReplicaSet", "-7f"), labels(map[string]string{"pod-template-hash": "7f"})}, "ReplicaSet -7f"},
		{[]func(*corev1.Pod){ownedBy("StatefulSet", "db")}, "StatefulSet db"},
		{[]func(*corev1.Pod){ownedBy("DaemonSet", "log")}, "DaemonSet log"},
		{[]func(*corev1.Pod){ownedBy("Job", "migrate")}, "Job migrate"},
		{[]func(*corev1.Pod){ownedBy("Job", "report-29104560")}, "CronJob report"},
		{[]func(*corev1.Pod){func(p *corev1.Pod) { p.OwnerReferences = nil }}, "Pod api-0"},
		{[]func(*corev1.Pod){func(p *corev1.Pod) { p.OwnerReferences[0].Controller = nil }}, "Pod api-0"},
	}
	for _, c := range cases {
		if o := podOwner(aPod(c.change...)); fmt.Sprint(o.kind, " ", o.name) != c.want {
			t.Errorf("got %s %s, want %s", o.kind, o.name, c.want)
		}
	}
}
