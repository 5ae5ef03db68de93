package workload

import (
	"encoding/json"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func object(t *testing.T, kind, text string) *Object {
	t.Helper()
	o := &Object{Kind: kind}
	if err := json.Unmarshal([]byte(text), o); err != nil {
		t.Fatal(err)
	}
	return o
}

// Pods may be gone all at once as the controllers round it.
func TestOutage(t *testing.T) {
	for _, c := range []struct {
		kind, object string
		want         bool
	}{
		{Deployment, `{"spec":{"replicas":3}}`, false},
		{Deployment, `{"spec":{"replicas":1}}`, false}, // 25 % rounds down to none, and one comes first
		{Deployment, `{}`, false},                      // one, as the API server has it
		{Deployment, `{"spec":{"replicas":3,"strategy":{"type":"Recreate"}}}`, true},
		{Deployment, `{"spec":{"replicas":0,"strategy":{"type":"Recreate"}}}`, false},
		{Deployment, `{"spec":{"replicas":3,"strategy":{"rollingUpdate":{"maxUnavailable":"100%"}}}}`, true},
		{Deployment, `{"spec":{"replicas":3,"strategy":{"rollingUpdate":{"maxUnavailable":3}}}}`, true},
		{Deployment, `{"spec":{"replicas":3,"strategy":{"rollingUpdate":{"maxUnavailable":2}}}}`, false},
		{Deployment, `{"spec":{"replicas":1,"strategy":{"rollingUpdate":{"maxUnavailable":"50%","maxSurge":0}}}}`, true}, // both none: one
		{Deployment, `{"spec":{"replicas":2,"strategy":{"rollingUpdate":{"maxUnavailable":"99%","maxSurge":0}}}}`, false},
		{Deployment, `{"spec":{"replicas":3,"strategy":{"rollingUpdate":{"maxUnavailable":"many"}}}}`, true},
		{StatefulSet, `{"spec":{"replicas":2}}`, false},
		{StatefulSet, `{"spec":{"replicas":1}}`, true},
		{DaemonSet, `{"status":{"desiredNumberScheduled":5}}`, false},
		{DaemonSet, `{"status":{"desiredNumberScheduled":1}}`, true},
		{DaemonSet, `{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":0,"maxSurge":1}}},"status":{"desiredNumberScheduled":1}}`, false},
		{DaemonSet, `{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":"67%"}}},"status":{"desiredNumberScheduled":3}}`, true}, // rounded up
	} {
		if got := object(t, c.kind, c.object).Outage(); (got != "") != c.want {
			t.Errorf("%s %s: %q, want one: %t", c.kind, c.object, got, c.want)
		}
	}
}

// A rollout under way is told apart from pods that are ill.
func TestLeftAndRolling(t *testing.T) {
	for _, c := range []struct{ kind, object, rolling, left, failed string }{
		{Deployment, `{"metadata":{"generation":2},"status":{"observedGeneration":1}}`, "its controller has not seen it yet", "its controller has not seen it yet", ""},
		{Deployment, `{"spec":{"replicas":3},"status":{"replicas":4,"updatedReplicas":2,"availableReplicas":4}}`, "2 old pods are still there", "2 old pods are still there", ""},
		{Deployment, `{"spec":{"replicas":3},"status":{"replicas":2,"updatedReplicas":2,"availableReplicas":2}}`, "2 of 3 pods are updated", "2 of 3 pods are updated", ""},
		{Deployment, `{"spec":{"replicas":3},"status":{"replicas":3,"updatedReplicas":3,"availableReplicas":1}}`, "", "1 of 3 pods are available", ""},
		{Deployment, `{"spec":{"replicas":3},"status":{"replicas":3,"updatedReplicas":3,"availableReplicas":3}}`, "", "", ""},
		{Deployment, `{"spec":{"replicas":1},"status":{"replicas":2,"updatedReplicas":1,"conditions":[{"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded"}]}}`, "1 old pods are still there", "", "ProgressDeadlineExceeded"},
		{StatefulSet, `{"spec":{"replicas":2},"status":{"currentRevision":"a","updateRevision":"b","updatedReplicas":1}}`, "1 of 2 pods are updated (its rolling update goes on)", "1 of 2 pods are updated (its rolling update goes on)", ""},
		{StatefulSet, `{"spec":{"replicas":2},"status":{"currentRevision":"b","updateRevision":"b","availableReplicas":1}}`, "", "1 of 2 pods are available", ""},
		{DaemonSet, `{"status":{"desiredNumberScheduled":3,"updatedNumberScheduled":2,"numberAvailable":3}}`, "2 of 3 pods are updated", "2 of 3 pods are updated", ""},
		{DaemonSet, `{"status":{"desiredNumberScheduled":3,"updatedNumberScheduled":3,"numberAvailable":2}}`, "", "2 of 3 pods are available", ""},
	} {
		o := object(t, c.kind, c.object)
		left, failed := o.Left()
		if rolling := o.Rolling(); rolling != c.rolling || left != c.left || failed != c.failed {
			t.Errorf("%s %s: rolling %q, left %q, failed %q", c.kind, c.object, rolling, left, failed)
		}
	}
}

func TestOwners(t *testing.T) {
	o := &Object{}
	for manager, fields := range map[string]string{
		"argocd-controller": `{"f:spec":{"f:replicas":{}}}`,
		"kubectl":           `{"f:spec":{"f:paused":{}}}`,
		"unreadable":        `[]`,
	} {
		o.ManagedFields = append(o.ManagedFields, metav1.ManagedFieldsEntry{Manager: manager, FieldsV1: metav1.NewFieldsV1(fields)})
	}
	o.ManagedFields = append(o.ManagedFields, metav1.ManagedFieldsEntry{Manager: "scaler", Subresource: "scale", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)})
	found := map[string]bool{}
	for _, e := range o.Owners("f:spec", "f:replicas") {
		found[e.Manager] = true
	}
	if len(found) != 2 || !found["argocd-controller"] || !found["unreadable"] {
		t.Errorf("got %v", found)
	}
	for manager, want := range map[string]string{"argocd-controller": "Argo CD", "kustomize-controller": "Flux", "helm": "Helm", "kubectl-edit": "", "signalbox": ""} {
		if got := Keeper(manager); got != want {
			t.Errorf("%s: %q", manager, got)
		}
	}
	o.Labels = map[string]string{"app.kubernetes.io/managed-by": "somebody"}
	if got := o.MarkedBy(); got != "" {
		t.Errorf("got %q", got)
	}
	if o.Labels["app.kubernetes.io/managed-by"] = "Helm"; o.MarkedBy() != "Helm" {
		t.Error("a mark was not seen")
	}
	for manager, want := range map[string]bool{"signalbox": true, "signalbox/app/X": true, "signalbox-other": false} {
		if Ours(manager) != want {
			t.Errorf("%s is ours: %t", manager, !want)
		}
	}
}
