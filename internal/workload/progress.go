package workload

import (
	"fmt"
	"strconv"
)

// Unseen says that the controller has not looked at what is wanted yet.
func (o *Object) Unseen() string {
	if o.Status.ObservedGeneration < Generation(o.Generation) {
		return "its controller has not seen it yet"
	}
	return ""
}

// Stuck says that the workload gave its rollout up; empty: it did not.
func (o *Object) Stuck() string {
	for _, c := range o.Status.Conditions {
		if c.Type == "Progressing" && c.Status == "False" && c.Reason == "ProgressDeadlineExceeded" {
			return c.Reason
		}
	}
	return ""
}

// Left says what is awaited until every pod is of the present template, and
// available; failed, that this won't come about by itself.
func (o *Object) Left() (left, failed string) {
	if left := o.Unseen(); left != "" {
		return left, ""
	}
	if failed := o.Stuck(); failed != "" {
		return "", failed
	}
	if o.Kind == ArgoRollout {
		return o.argo()
	}
	if left := o.Rolling(); left != "" {
		return left, ""
	}
	return o.unavailable(), ""
}

// Rolling says that pods of an earlier template are still to be replaced. Pods of
// the present one that are not available are no rollout: they may be what is ill.
func (o *Object) Rolling() string {
	if left := o.Unseen(); left != "" {
		return left
	}
	switch o.Kind {
	case DaemonSet:
		return short(o.Status.Updated, o.Status.Desired, "updated")
	case StatefulSet:
		if o.Status.CurrentRevision == o.Status.UpdateRevision {
			return ""
		}
		if left := short(o.Status.UpdatedReplicas, o.Replicas(), "updated"); left != "" {
			return left + " (its rolling update goes on)"
		}
		return "its rolling update goes on"
	}
	if old := o.Status.Replicas - o.Status.UpdatedReplicas; old > 0 {
		return strconv.Itoa(int(old)) + " old pods are still there"
	}
	return short(o.Status.UpdatedReplicas, o.Replicas(), "updated")
}

func (o *Object) unavailable() string {
	if o.Kind == DaemonSet {
		return short(o.Status.Available, o.Status.Desired, "available")
	}
	return short(o.Status.AvailableReplicas, o.Replicas(), "available")
}

// Scaled says what is awaited until as many pods as wanted are there, and no more.
func (o *Object) Scaled() string {
	want := o.Replicas()
	if o.Status.Replicas > want {
		return strconv.Itoa(int(o.Status.Replicas-want)) + " pods are still to go"
	}
	if left := short(o.Status.Replicas, want, "updated"); left != "" {
		return left
	}
	return short(o.Status.AvailableReplicas, want, "available")
}

func (o *Object) argo() (left, failed string) {
	switch o.Status.Phase {
	case "Healthy":
		return "", ""
	case "Degraded":
		return "", "Degraded " + o.Status.Message
	}
	return "its phase is " + o.Status.Phase + " " + o.Status.Message, ""
}

// short says how many of the pods wanted are not what they should be.
func short(are, want int32, what string) string {
	if are < want {
		return fmt.Sprintf("%d of %d pods are %s", are, want, what)
	}
	return ""
}
