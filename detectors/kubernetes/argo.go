package kubernetes

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// text reads a field of an object that anybody may have written: what is not
// a text is none.
func text(u *unstructured.Unstructured, path ...string) string {
	s, _, err := unstructured.NestedString(u.Object, path...)
	if err != nil {
		return ""
	}
	return s
}

func moment(u *unstructured.Unstructured, path ...string) time.Time {
	t, err := time.Parse(time.RFC3339, text(u, path...))
	if err != nil {
		return time.Time{} // when it was seen first counts
	}
	return t
}

// number reads a whole number; ok is false where there is none.
func number(u *unstructured.Unstructured, path ...string) (n int64, ok bool) {
	n, found, err := unstructured.NestedInt64(u.Object, path...)
	return n, found && err == nil
}

func fromApplication(from runtime.Object) *object {
	u, ok := from.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	o := newObject(u)
	o.owner = owner{"Application", o.name}
	o.symptoms = applicationSymptoms(u)
	return o
}

// applicationSymptoms reads what Argo CD's own controller says
// (argoproj.io/v1alpha1 Application, status). While an operation runs, that an
// Application is not healthy is what it is about. That it is out of sync is
// counted on, so that an operation which starts again and again hides nothing.
func applicationSymptoms(u *unstructured.Unstructured) []symptom {
	if u.GetDeletionTimestamp() != nil {
		return nil
	}
	var list []symptom
	phase, sync := text(u, "status", "operationState", "phase"), text(u, "status", "sync", "status")
	running := phase == "Running" || phase == "Terminating"
	if (phase == "Failed" || phase == "Error") && sync != "Synced" { // what was put right since is over
		list = append(list, symptom{reason: syncFailed, at: moment(u, "status", "operationState", "finishedAt")})
	}
	switch health := text(u, "status", "health", "status"); {
	case health == progressing, running && health != "Healthy":
		list = append(list, symptom{reason: progressing})
	case health == degraded, health == missing:
		list = append(list, symptom{reason: health, at: moment(u, "status", "health", "lastTransitionTime")})
	}
	if sync == outOfSync {
		list = append(list, symptom{reason: outOfSync})
	}
	return list
}

func fromRollout(from runtime.Object) *object {
	u, ok := from.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	o := newObject(u)
	o.owner = owner{"Rollout", o.name}
	o.symptoms = rolloutSymptoms(u)
	return o
}

// rolloutSymptoms reads what Argo Rollouts' controller says
// (argoproj.io/v1alpha1 Rollout, status.phase): Progressing and Paused are a
// rollout under way, and Degraded one that was aborted or missed its deadline.
func rolloutSymptoms(u *unstructured.Unstructured) []symptom {
	if u.GetDeletionTimestamp() != nil {
		return nil
	}
	switch text(u, "status", "phase") {
	case degraded:
		return []symptom{{reason: degraded}}
	case progressing, "Paused":
		return []symptom{{reason: progressing}}
	case "Healthy":
		want, given := number(u, "spec", "replicas")
		if !given {
			want = 1
		}
		available, _ := number(u, "status", "availableReplicas")
		return short(available, want)
	}
	return nil
}
