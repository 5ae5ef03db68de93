package kubernetes

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func fromJob(from runtime.Object) *object {
	j, ok := from.(*batchv1.Job)
	if !ok {
		return nil
	}
	o := newObject(j)
	o.owner = owner{"Job", o.name}
	if c, controlled := controller(j); controlled {
		o.owner = owner{c.kind, intern(c.name)}
	}
	o.symptoms = jobSymptoms(j, o.owner)
	return o
}

// jobSymptoms: a Job has failed when its controller has given it up. Complete
// is kept of a CronJob's runs alone: it ends what a run before it left.
func jobSymptoms(j *batchv1.Job, of owner) []symptom {
	if j.DeletionTimestamp != nil {
		return nil
	}
	for _, c := range j.Status.Conditions {
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == batchv1.JobFailed:
			return []symptom{{reason: failed, at: c.LastTransitionTime.Time}}
		case c.Type == batchv1.JobComplete && of.kind != "Job":
			return []symptom{{reason: complete, at: c.LastTransitionTime.Time}}
		}
	}
	return nil
}
