package kubernetes

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func aDeployment(want int32, s appsv1.DeploymentStatus, change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Spec: appsv1.DeploymentSpec{Replicas: &want}, Status: s}
	d.Status.ObservedGeneration = 2
	for _, c := range change {
		c(d)
	}
	return d
}

func progress(s corev1.ConditionStatus, reason string) []appsv1.DeploymentCondition {
	return []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: s, Reason: reason, LastTransitionTime: ago(3 * time.Minute)}}
}

func TestDeploymentSymptoms(t *testing.T) {
	done := progress(corev1.ConditionTrue, "NewReplicaSetAvailable")
	under := progress(corev1.ConditionTrue, "ReplicaSetUpdated")
	late := progress(corev1.ConditionFalse, "ProgressDeadlineExceeded")
	quota := append(progress(corev1.ConditionTrue, "ReplicaSetUpdated"), appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, LastTransitionTime: ago(2 * time.Minute)})
	cases := []struct {
		name string
		d    *appsv1.Deployment
		want string
	}{
		{"well", aDeployment(3, appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, Conditions: done}), ""},
		{"short", aDeployment(3, appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 2, Conditions: done}), "Unavailable@?"},
		{"none", aDeployment(3, appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, Conditions: done}), "NoneAvailable@? Unavailable@?"},
		{"a rollout under way", aDeployment(3, appsv1.DeploymentStatus{Replicas: 4, UpdatedReplicas: 1, AvailableReplicas: 2, Conditions: under}), "Progressing@?"},
		{"a rollout past its deadline", aDeployment(3, appsv1.DeploymentStatus{Replicas: 4, UpdatedReplicas: 1, AvailableReplicas: 2, Conditions: late}), "ProgressDeadlineExceeded@3m0s"},
		{"past its deadline, and a newer spec that nobody has seen", aDeployment(3, appsv1.DeploymentStatus{Conditions: late}, func(d *appsv1.Deployment) { d.Generation = 3 }), "RolloutStuck@?"},
		{"pods can't be created", aDeployment(3, appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2, Conditions: quota}), "ReplicaFailure@2m0s"},
		{"no deadline, a rollout under way", aDeployment(3, appsv1.DeploymentStatus{Replicas: 4, UpdatedReplicas: 1, AvailableReplicas: 3}), "RolloutStuck@?"},
		{"no deadline, short", aDeployment(3, appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 1}), "Unavailable@?"},
		{"scaled to nothing", aDeployment(0, appsv1.DeploymentStatus{Conditions: done}), ""},
		{"scaled down, still above", aDeployment(1, appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, Conditions: done}), ""},
		{"paused, short", aDeployment(2, appsv1.DeploymentStatus{Replicas: 2, AvailableReplicas: 1}, func(d *appsv1.Deployment) { d.Spec.Paused = true }), "Unavailable@?"},
		{"being deleted", aDeployment(2, appsv1.DeploymentStatus{Conditions: done}, func(d *appsv1.Deployment) { t := ago(0); d.DeletionTimestamp = &t }), ""},
	}
	for _, c := range cases {
		if got := symptomsText(deploymentSymptoms(c.d)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestStatefulSetSymptoms(t *testing.T) {
	three, two := int32(3), int32(2)
	set := func(s appsv1.StatefulSetStatus, u appsv1.StatefulSetUpdateStrategy) *appsv1.StatefulSet {
		return &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: &three, UpdateStrategy: u}, Status: s}
	}
	rolling := appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType}
	canary := appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType, RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: &two}}
	byHand := appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	cases := []struct {
		name string
		s    *appsv1.StatefulSet
		want string
	}{
		{"well", set(appsv1.StatefulSetStatus{AvailableReplicas: 3, UpdatedReplicas: 3}, rolling), ""},
		{"short", set(appsv1.StatefulSetStatus{AvailableReplicas: 2, UpdatedReplicas: 3}, rolling), "Unavailable@?"},
		{"a rollout under way", set(appsv1.StatefulSetStatus{AvailableReplicas: 2, UpdatedReplicas: 1, CurrentRevision: "a", UpdateRevision: "b"}, rolling), "RolloutStuck@?"},
		{"a canary that is out", set(appsv1.StatefulSetStatus{AvailableReplicas: 3, UpdatedReplicas: 1, CurrentRevision: "a", UpdateRevision: "b"}, canary), ""},
		{"a canary that is out, short", set(appsv1.StatefulSetStatus{AvailableReplicas: 2, UpdatedReplicas: 1, CurrentRevision: "a", UpdateRevision: "b"}, canary), "Unavailable@?"},
		{"rolled out by hand", set(appsv1.StatefulSetStatus{AvailableReplicas: 3, CurrentRevision: "a", UpdateRevision: "b"}, byHand), ""},
	}
	for _, c := range cases {
		if got := symptomsText(statefulSetSymptoms(c.s)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDaemonSetSymptoms(t *testing.T) {
	set := func(want, updated, available int32, u appsv1.DaemonSetUpdateStrategyType) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{
			Spec:   appsv1.DaemonSetSpec{UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: u}},
			Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: want, UpdatedNumberScheduled: updated, NumberAvailable: available},
		}
	}
	unseen := set(3, 3, 3, appsv1.RollingUpdateDaemonSetStrategyType)
	unseen.Generation = 1
	cases := []struct {
		name string
		d    *appsv1.DaemonSet
		want string
	}{
		{"well", set(3, 3, 3, appsv1.RollingUpdateDaemonSetStrategyType), ""},
		{"short", set(3, 3, 2, appsv1.RollingUpdateDaemonSetStrategyType), "Unavailable@?"},
		{"a rollout under way", set(3, 1, 2, appsv1.RollingUpdateDaemonSetStrategyType), "RolloutStuck@?"},
		{"rolled out by hand", set(3, 1, 3, appsv1.OnDeleteDaemonSetStrategyType), ""},
		{"no node wants it", set(0, 0, 0, appsv1.RollingUpdateDaemonSetStrategyType), ""},
		{"nobody has seen its spec", unseen, "RolloutStuck@?"},
	}
	for _, c := range cases {
		if got := symptomsText(daemonSetSymptoms(c.d)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestJobSymptoms(t *testing.T) {
	limit := int32(6)
	job := func(of batchv1.JobConditionType, s corev1.ConditionStatus) *batchv1.Job {
		return &batchv1.Job{Spec: batchv1.JobSpec{BackoffLimit: &limit}, Status: batchv1.JobStatus{
			Failed: 2, Conditions: []batchv1.JobCondition{{Type: of, Status: s, LastTransitionTime: ago(time.Minute)}},
		}}
	}
	cases := []struct {
		name, of string
		j        *batchv1.Job
		want     string
	}{
		{"given up", "Job", job(batchv1.JobFailed, corev1.ConditionTrue), "Failed@1m0s"},
		{"a retry below the limit", "Job", &batchv1.Job{Spec: batchv1.JobSpec{BackoffLimit: &limit}, Status: batchv1.JobStatus{Failed: 3, Active: 1}}, ""},
		{"about to be given up", "Job", job(batchv1.JobFailureTarget, corev1.ConditionTrue), ""},
		{"not failed", "Job", job(batchv1.JobFailed, corev1.ConditionFalse), ""},
		{"suspended", "Job", job(batchv1.JobSuspended, corev1.ConditionTrue), ""},
		{"complete", "Job", job(batchv1.JobComplete, corev1.ConditionTrue), ""},
		{"a CronJob's run is complete", "CronJob", job(batchv1.JobComplete, corev1.ConditionTrue), "Complete@1m0s"},
	}
	for _, c := range cases {
		if got := symptomsText(jobSymptoms(c.j, owner{c.of, "x"})); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNodeSymptoms(t *testing.T) {
	node := func(unschedulable bool, conditions ...string) *corev1.Node {
		n := &corev1.Node{Spec: corev1.NodeSpec{Unschedulable: unschedulable}}
		for i := 0; i < len(conditions); i += 2 {
			n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{
				Type: corev1.NodeConditionType(conditions[i]), Status: corev1.ConditionStatus(conditions[i+1]), LastTransitionTime: ago(time.Minute),
			})
		}
		return n
	}
	cases := []struct {
		name string
		n    *corev1.Node
		want string
	}{
		{"well", node(false, "Ready", "True", "DiskPressure", "False", "NetworkUnavailable", "False"), ""},
		{"not ready", node(false, "Ready", "False"), "NotReady@1m0s"},
		{"silent", node(false, "Ready", "Unknown", "DiskPressure", "Unknown"), "Unreachable@1m0s"},
		{"under pressure", node(false, "MemoryPressure", "True", "Ready", "True"), "MemoryPressure@1m0s"},
		{"drained and restarted", node(true, "Ready", "Unknown", "DiskPressure", "Unknown"), "CordonedNotReady@1m0s"},
		{"drained", node(true, "Ready", "True"), ""},
	}
	for _, c := range cases {
		if got := symptomsText(nodeSymptoms(c.n)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestArgoSymptoms(t *testing.T) {
	minuteAgo := ago(time.Minute).Format(time.RFC3339)
	type m = map[string]any
	object := func(spec, status m) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: m{"spec": spec, "status": status}}
	}
	app := func(sync, health, phase string) *unstructured.Unstructured {
		return object(nil, m{
			"sync": m{"status": sync}, "health": m{"status": health, "lastTransitionTime": minuteAgo},
			"operationState": m{"phase": phase, "finishedAt": minuteAgo},
		})
	}
	cases := []struct {
		name string
		got  []symptom
		want string
	}{
		{"well", applicationSymptoms(app("Synced", "Healthy", "Succeeded")), ""},
		{"degraded", applicationSymptoms(app("Synced", "Degraded", "Succeeded")), "Degraded@1m0s"},
		{"missing", applicationSymptoms(app("OutOfSync", "Missing", "")), "Missing@1m0s OutOfSync@?"},
		{"out of sync", applicationSymptoms(app("OutOfSync", "Healthy", "Succeeded")), "OutOfSync@?"},
		{"a sync under way", applicationSymptoms(app("OutOfSync", "Degraded", "Running")), "Progressing@? OutOfSync@?"},
		{"a sync failed", applicationSymptoms(app("OutOfSync", "Healthy", "Failed")), "SyncFailed@1m0s OutOfSync@?"},
		{"a sync failed, and it was put right", applicationSymptoms(app("Synced", "Healthy", "Failed")), ""},
		{"it progresses", applicationSymptoms(app("Synced", "Progressing", "Succeeded")), "Progressing@?"},
		{"it is suspended", applicationSymptoms(app("Synced", "Suspended", "Succeeded")), ""},
		{"no status", applicationSymptoms(&unstructured.Unstructured{Object: m{}}), ""},
		{"a status of another shape", applicationSymptoms(&unstructured.Unstructured{Object: m{"status": "x"}}), ""},
		{"rollout well", rolloutSymptoms(object(m{"replicas": int64(2)}, m{"phase": "Healthy", "availableReplicas": int64(2)})), ""},
		{"rollout short", rolloutSymptoms(object(m{"replicas": int64(2)}, m{"phase": "Healthy", "availableReplicas": int64(1)})), "Unavailable@?"},
		{"rollout without any", rolloutSymptoms(object(nil, m{"phase": "Healthy"})), "NoneAvailable@? Unavailable@?"},
		{"rollout under way", rolloutSymptoms(object(nil, m{"phase": "Progressing"})), "Progressing@?"},
		{"rollout held", rolloutSymptoms(object(nil, m{"phase": "Paused"})), "Progressing@?"},
		{"rollout degraded", rolloutSymptoms(object(nil, m{"phase": "Degraded"})), "Degraded@?"},
	}
	for _, c := range cases {
		if got := symptomsText(c.got); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
