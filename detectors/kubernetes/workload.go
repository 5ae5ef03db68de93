package kubernetes

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func fromDeployment(from runtime.Object) *object {
	d, ok := from.(*appsv1.Deployment)
	if !ok {
		return nil
	}
	o := newObject(d)
	o.owner = owner{"Deployment", o.name}
	o.symptoms = deploymentSymptoms(d)
	return o
}

// deploymentSymptoms: a rollout that is under way has until its progress
// deadline, which the Deployment's controller keeps; where none is set, as long
// as it makes steps. Beside a rollout all replicas have to be available.
func deploymentSymptoms(d *appsv1.Deployment) []symptom {
	want := replicas(d.Spec.Replicas)
	if d.DeletionTimestamp != nil || want == 0 {
		return nil
	}
	if d.Status.ObservedGeneration < d.Generation {
		return []symptom{unseen(d.Generation)}
	}
	progress := deploymentCondition(d, appsv1.DeploymentProgressing)
	if progress != nil && progress.Status == corev1.ConditionFalse && progress.Reason == deadline {
		return []symptom{{reason: deadline, at: progress.LastTransitionTime.Time}}
	}
	if c := deploymentCondition(d, appsv1.DeploymentReplicaFailure); c != nil && c.Status == corev1.ConditionTrue {
		return []symptom{{reason: replicaFailure, at: c.LastTransitionTime.Time}}
	}
	switch {
	case d.Spec.Paused: // a person holds it; what is there still has to be available
	case progress == nil && (d.Status.UpdatedReplicas < want || d.Status.Replicas > d.Status.UpdatedReplicas):
		return []symptom{step(d.Generation, d.Status.UpdatedReplicas)}
	case progress != nil && progress.Status == corev1.ConditionTrue && progress.Reason != "NewReplicaSetAvailable":
		return []symptom{{reason: progressing}}
	}
	return short(d.Status.AvailableReplicas, want)
}

func fromStatefulSet(from runtime.Object) *object {
	s, ok := from.(*appsv1.StatefulSet)
	if !ok {
		return nil
	}
	o := newObject(s)
	o.owner = owner{"StatefulSet", o.name}
	o.symptoms = statefulSetSymptoms(s)
	return o
}

// statefulSetSymptoms: there is no progress deadline, so a rollout may take as
// long as it makes steps. Pods below the partition stay as they are.
func statefulSetSymptoms(s *appsv1.StatefulSet) []symptom {
	want := replicas(s.Spec.Replicas)
	if s.DeletionTimestamp != nil || want == 0 {
		return nil
	}
	if s.Status.ObservedGeneration < s.Generation {
		return []symptom{unseen(s.Generation)}
	}
	update := want
	if u := s.Spec.UpdateStrategy.RollingUpdate; u != nil && u.Partition != nil {
		update = max(0, want-*u.Partition)
	}
	rolling := s.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType &&
		s.Status.CurrentRevision != s.Status.UpdateRevision && s.Status.UpdatedReplicas < update
	if rolling {
		return []symptom{step(s.Generation, s.Status.UpdatedReplicas)}
	}
	return short(s.Status.AvailableReplicas, want)
}

func fromDaemonSet(from runtime.Object) *object {
	d, ok := from.(*appsv1.DaemonSet)
	if !ok {
		return nil
	}
	o := newObject(d)
	o.owner = owner{"DaemonSet", o.name}
	o.symptoms = daemonSetSymptoms(d)
	return o
}

// daemonSetSymptoms: a node that joins makes it short for as long as its pod
// takes to start, which is within the grace.
func daemonSetSymptoms(d *appsv1.DaemonSet) []symptom {
	want := d.Status.DesiredNumberScheduled
	if d.DeletionTimestamp != nil {
		return nil
	}
	if d.Status.ObservedGeneration < d.Generation {
		return []symptom{unseen(d.Generation)}
	}
	if want == 0 {
		return nil
	}
	if d.Spec.UpdateStrategy.Type != appsv1.OnDeleteDaemonSetStrategyType && d.Status.UpdatedNumberScheduled < want {
		return []symptom{step(d.Generation, d.Status.UpdatedNumberScheduled)}
	}
	return short(d.Status.NumberAvailable, want)
}

// replicas is spec.replicas, which is 1 where it isn't given.
func replicas(given *int32) int32 {
	if given == nil {
		return 1
	}
	return *given
}

// unseen: the controller has not yet looked at the newest spec, and its
// status is of an older one. When it never looks, the rollout is stuck.
func unseen(generation int64) symptom {
	return symptom{reason: stuckRollout, mark: fmt.Sprintf("%d unseen", generation)}
}

// step is a rollout that has come so far: each further pod is a new step.
func step(generation int64, updated int32) symptom {
	return symptom{reason: stuckRollout, mark: fmt.Sprintf("%d at %d", generation, updated)}
}

// short: that none is available is worse than that some are not, and counts sooner.
func short[N int32 | int64](available, want N) []symptom {
	switch {
	case available >= want:
		return nil
	case available == 0:
		return []symptom{{reason: noneAvailable}, {reason: unavailable}}
	}
	return []symptom{{reason: unavailable}}
}

func deploymentCondition(d *appsv1.Deployment, of appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range d.Status.Conditions {
		if d.Status.Conditions[i].Type == of {
			return &d.Status.Conditions[i]
		}
	}
	return nil
}
