package kubernetes

import (
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// fromPod keeps what is needed of a pod.
func fromPod(from runtime.Object) *object {
	p, ok := from.(*corev1.Pod)
	if !ok {
		return nil
	}
	o := newObject(p)
	o.owner, o.node = podOwner(p), intern(p.Spec.NodeName)
	o.symptoms = podSymptoms(p, o.owner)
	return o
}

// Labels by which a pod tells whose ReplicaSet it is of: the name of the
// ReplicaSet is that of the Deployment, or Rollout, and the hash.
const (
	deploymentHash = "pod-template-hash"
	rolloutHash    = "rollouts-pod-template-hash"
)

// cronRun is the end of a Job's name that a CronJob gives it: its scheduled
// time in minutes.
var cronRun = regexp.MustCompile(`^(.+)-\d{8,}$`)

// podOwner is the workload that a person knows the pod by. It is told from
// the pod alone, so that no ReplicaSet need be watched.
func podOwner(p *corev1.Pod) owner {
	o, ok := controller(p)
	if !ok {
		return owner{"Pod", p.Name}
	}
	switch o.kind {
	case "ReplicaSet":
		for label, kind := range map[string]string{rolloutHash: "Rollout", deploymentHash: "Deployment"} {
			hash := p.Labels[label]
			if name, cut := strings.CutSuffix(o.name, "-"+hash); hash != "" && cut && name != "" {
				return owner{kind, intern(name)}
			}
		}
	case "Job":
		if m := cronRun.FindStringSubmatch(o.name); m != nil {
			return owner{"CronJob", intern(m[1])}
		}
	}
	return owner{o.kind, intern(o.name)}
}

// podSymptoms says what may be ill about a pod.
func podSymptoms(p *corev1.Pod, of owner) []symptom {
	if p.DeletionTimestamp != nil {
		// Its grace period is within the timestamp already. Whatever else is said of
		// a pod that goes away is no failure: it is what scale-downs, drains and
		// rollouts look like.
		return []symptom{{reason: terminating, at: p.DeletionTimestamp.Time}}
	}
	switch p.Status.Phase {
	case corev1.PodSucceeded:
		return nil
	case corev1.PodFailed:
		return failedPod(p, of)
	}
	if moving(p) {
		return nil
	}
	list := containerSymptoms(p)
	if len(list) > 0 && hasState(list) {
		return list
	}
	if s := waitingPod(p); s != nil {
		return append(list, *s)
	}
	if s := unreadyPod(p, of); s != nil {
		list = append(list, *s)
	}
	return list
}

// hasState reports whether a symptom says why the pod doesn't run: then
// that it is pending or unready is no news.
func hasState(list []symptom) bool {
	for _, s := range list {
		if s.reason != oomKilled {
			return true
		}
	}
	return false
}

// moving: the pod is about to be evicted, preempted or drained.
func moving(p *corev1.Pod) bool {
	c := podCondition(p, corev1.DisruptionTarget)
	return c != nil && c.Status == corev1.ConditionTrue
}

// failedPod is one that ended, and is left lying. A Job's is the Job's affair,
// and those that a node's shutdown ended were moved.
func failedPod(p *corev1.Pod, of owner) []symptom {
	why := failed
	switch p.Status.Reason {
	case "Evicted":
		why = evicted
	case "NodeShutdown", "Terminated", "Shutdown", "Preempting":
		return nil
	}
	if why == failed && (of.kind == "Job" || of.kind == "CronJob" || moving(p)) {
		return nil
	}
	return []symptom{{reason: why, at: endOf(p)}}
}

// endOf is the newest time that a pod which ended tells.
func endOf(p *corev1.Pod) time.Time {
	newest := p.CreationTimestamp.Time
	later := func(t time.Time) {
		if t.After(newest) {
			newest = t
		}
	}
	if p.Status.StartTime != nil {
		later(p.Status.StartTime.Time)
	}
	for _, c := range p.Status.Conditions {
		later(c.LastTransitionTime.Time)
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Terminated != nil {
			later(c.State.Terminated.FinishedAt.Time)
		}
	}
	return newest
}

// containerSymptoms are what the containers say themselves, one of a kind.
func containerSymptoms(p *corev1.Pod) []symptom {
	var list []symptom
	add := func(s symptom) {
		for _, other := range list {
			if other.reason == s.reason {
				return
			}
		}
		s.container = intern(s.container)
		list = append(list, s)
	}
	for _, all := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses} {
		for i := range all {
			if s, ok := waitingContainer(&all[i]); ok {
				add(s)
			}
			if s, ok := killedContainer(&all[i]); ok {
				add(s)
			}
		}
	}
	return list
}

// waitingContainer: a container that can't run. When it began to wait isn't
// told; a back-off has lasted since the last end.
func waitingContainer(c *corev1.ContainerStatus) (symptom, bool) {
	s := symptom{container: c.Name}
	if c.State.Waiting == nil {
		return s, false
	}
	switch r := canonical(c.State.Waiting.Reason); r {
	case crashLoop:
		s.reason = r
		if last := c.LastTerminationState.Terminated; last != nil {
			s.at = last.FinishedAt.Time
		}
	case imagePull, createError:
		s.reason = r
	default:
		return s, false
	}
	return s, true
}

// killedContainer: its last end was for want of memory.
func killedContainer(c *corev1.ContainerStatus) (symptom, bool) {
	for _, t := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
		if t != nil && t.Reason == oomKilled {
			return symptom{reason: oomKilled, container: c.Name, at: t.FinishedAt.Time}, true
		}
	}
	return symptom{}, false
}

// waitingPod: it is not on a node, or its containers have not begun.
func waitingPod(p *corev1.Pod) *symptom {
	if p.Status.Phase != corev1.PodPending && p.Status.Phase != "" {
		return nil
	}
	if c := podCondition(p, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		switch c.Reason {
		case corev1.PodReasonSchedulingGated: // held back on purpose
			return nil
		case corev1.PodReasonUnschedulable:
			return &symptom{reason: unschedulable, at: c.LastTransitionTime.Time}
		}
	}
	for _, c := range p.Status.InitContainerStatuses {
		if c.State.Running != nil || c.State.Terminated != nil {
			return &symptom{reason: notStarted, at: p.CreationTimestamp.Time}
		}
	}
	return &symptom{reason: pending, at: p.CreationTimestamp.Time}
}

// atStart is how far from the pod's start its first word on readiness comes.
const atStart = 10 * time.Second

// unreadyPod: it runs and is not ready. One that never was may take the time
// that a start takes; Jobs' pods serve nobody.
func unreadyPod(p *corev1.Pod, of owner) *symptom {
	c := podCondition(p, corev1.PodReady)
	if p.Status.Phase != corev1.PodRunning || of.kind == "Job" || of.kind == "CronJob" ||
		c == nil || c.Status == corev1.ConditionTrue || c.Reason == "PodCompleted" {
		return nil
	}
	began := p.CreationTimestamp.Time
	if p.Status.StartTime != nil {
		began = p.Status.StartTime.Time
	}
	if !c.LastTransitionTime.After(began.Add(atStart)) {
		return &symptom{reason: notStarted, at: p.CreationTimestamp.Time}
	}
	return &symptom{reason: notReady, at: c.LastTransitionTime.Time}
}

func podCondition(p *corev1.Pod, of corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == of {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}
