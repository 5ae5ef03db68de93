package workload

import (
	"encoding/json"
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/signalbox/signalbox/internal/reach"
)

// The kinds of objects, as targets name them.
const (
	Deployment  = "deployment"
	StatefulSet = "statefulset"
	DaemonSet   = "daemonset"
	ArgoRollout = "rollout"
	Node        = "node"
)

// Resources are where the kinds of objects are kept.
var Resources = map[string]reach.Resource{
	Deployment:  {Group: "apps", Version: "v1", Plural: "deployments"},
	StatefulSet: {Group: "apps", Version: "v1", Plural: "statefulsets"},
	DaemonSet:   {Group: "apps", Version: "v1", Plural: "daemonsets"},
	ArgoRollout: {Group: "argoproj.io", Version: "v1alpha1", Plural: "rollouts"},
	Node:        {Version: "v1", Plural: "nodes"},
}

// Object is a workload or node, as far as what is done with it needs it.
type Object struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec   Spec   `json:"spec"`
	Status Status `json:"status"`

	Kind string `json:"-"` // as targets name it
}

// Spec is what is wanted of an object.
type Spec struct {
	Paused         bool                  `json:"paused"`
	Unschedulable  bool                  `json:"unschedulable"`
	Replicas       *int32                `json:"replicas"`
	RestartAt      string                `json:"restartAt"`
	Selector       *metav1.LabelSelector `json:"selector"`
	Template       Template              `json:"template"`
	WorkloadRef    json.RawMessage       `json:"workloadRef"`
	Strategy       Strategy              `json:"strategy"`       // of a Deployment
	UpdateStrategy Strategy              `json:"updateStrategy"` // of the others
}

// Strategy is how pods are replaced.
type Strategy struct {
	Type          string `json:"type"`
	RollingUpdate struct {
		Partition      int32               `json:"partition"`
		MaxUnavailable *intstr.IntOrString `json:"maxUnavailable"`
		MaxSurge       *intstr.IntOrString `json:"maxSurge"`
	} `json:"rollingUpdate"`
}

// Status is how far the object's controller has come.
type Status struct {
	ObservedGeneration Generation `json:"observedGeneration"`
	Replicas           int32      `json:"replicas"`
	UpdatedReplicas    int32      `json:"updatedReplicas"`
	AvailableReplicas  int32      `json:"availableReplicas"`
	CurrentRevision    string     `json:"currentRevision"`
	UpdateRevision     string     `json:"updateRevision"`
	CurrentPodHash     string     `json:"currentPodHash"`
	Desired            int32      `json:"desiredNumberScheduled"`
	Updated            int32      `json:"updatedNumberScheduled"`
	Available          int32      `json:"numberAvailable"`
	Abort              bool       `json:"abort"`
	Phase              string     `json:"phase"`
	Message            string     `json:"message"`
	RestartedAt        string     `json:"restartedAt"`
	Conditions         []struct {
		Type, Status, Reason, Message string
	} `json:"conditions"`
}

// Generation is a number, which Argo Rollouts writes as a string.
type Generation int64

// UnmarshalJSON reads either.
func (g *Generation) UnmarshalJSON(b []byte) error {
	if len(b) > 1 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	if len(b) == 0 {
		*g = 0
		return nil
	}
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		return nil //nolint:nilerr // an old Rollout has a hash here: it never equals a generation
	}
	*g = Generation(n)
	return nil
}

// Template is a pod template, whole: it is written back as it was.
type Template map[string]any

// Clone is a copy whose metadata can be replaced.
func (t Template) Clone() Template { return maps.Clone(t) }

// Meta replaces the template's metadata by a copy, and returns it.
func (t Template) Meta() map[string]any {
	old, _ := t["metadata"].(map[string]any)
	m := maps.Clone(old)
	if m == nil {
		m = map[string]any{}
	}
	t["metadata"] = m
	return m
}

// Replicas is how many pods are wanted.
func (o *Object) Replicas() int32 {
	switch {
	case o.Kind == DaemonSet:
		return o.Status.Desired
	case o.Spec.Replicas == nil:
		return 1
	}
	return *o.Spec.Replicas
}

// Unfit says why a new template would not replace all pods; empty: it would.
func (o *Object) Unfit() string {
	u := o.Spec.UpdateStrategy
	switch {
	case o.Spec.Template == nil:
		return "it has no pod template of its own (workloadRef): name the workload that has"
	case o.Spec.Paused:
		return "it is paused, so that nothing would be replaced: resume it first"
	case u.Type == "OnDelete":
		return "its updateStrategy is OnDelete, so that nothing would be replaced"
	case o.Kind == StatefulSet && u.RollingUpdate.Partition > 0:
		return fmt.Sprintf("its updateStrategy has partition %d, so that not all would be replaced", u.RollingUpdate.Partition)
	}
	return ""
}
