package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// object is a workload or node, as far as moves and their end need it.
type object struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec   objectSpec   `json:"spec"`
	Status objectStatus `json:"status"`

	kind string
}

type objectSpec struct {
	Paused         bool                  `json:"paused"`
	Unschedulable  bool                  `json:"unschedulable"`
	Replicas       *int32                `json:"replicas"`
	RestartAt      string                `json:"restartAt"`
	Selector       *metav1.LabelSelector `json:"selector"`
	Template       template              `json:"template"`
	WorkloadRef    json.RawMessage       `json:"workloadRef"`
	UpdateStrategy struct {
		Type          string `json:"type"`
		RollingUpdate struct {
			Partition int32 `json:"partition"`
		} `json:"rollingUpdate"`
	} `json:"updateStrategy"`
}

type objectStatus struct {
	ObservedGeneration generation `json:"observedGeneration"`
	Replicas           int32      `json:"replicas"`
	UpdatedReplicas    int32      `json:"updatedReplicas"`
	ReadyReplicas      int32      `json:"readyReplicas"`
	AvailableReplicas  int32      `json:"availableReplicas"`
	CurrentRevision    string     `json:"currentRevision"`
	UpdateRevision     string     `json:"updateRevision"`
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

// generation is a number, which Argo Rollouts writes as a string.
type generation int64

// UnmarshalJSON reads either.
func (g *generation) UnmarshalJSON(b []byte) error {
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
	*g = generation(n)
	return nil
}

// template is a pod template, whole: it is written back as it was.
type template map[string]any

// clone is a copy whose metadata can be replaced.
func (t template) clone() template { return maps.Clone(t) }

// meta replaces the template's metadata by a copy, and returns it.
func (t template) meta() map[string]any {
	old, _ := t["metadata"].(map[string]any)
	m := maps.Clone(old)
	if m == nil {
		m = map[string]any{}
	}
	t["metadata"] = m
	return m
}

func (o *object) replicas() int32 {
	if o.Spec.Replicas == nil {
		return 1
	}
	return *o.Spec.Replicas
}

// resources are where the kinds of objects are kept.
var resources = map[string]reach.Resource{
	kindDeployment:  {Group: "apps", Version: "v1", Plural: "deployments"},
	kindStatefulSet: {Group: "apps", Version: "v1", Plural: "statefulsets"},
	kindDaemonSet:   {Group: "apps", Version: "v1", Plural: "daemonsets"},
	kindArgo:        {Group: "argoproj.io", Version: "v1alpha1", Plural: "rollouts"},
	kindNode:        {Version: "v1", Plural: "nodes"},
}

// place is an object's place in a cluster, and how it is reached.
type place struct {
	api      *reach.Objects
	resource reach.Resource
	kind     string
	name     string
}

func (p place) target() signalbox.Target {
	if p.resource.Namespace == "" {
		return signalbox.Target(p.kind + " " + p.name)
	}
	return signalbox.Target(p.kind + " " + p.resource.Namespace + "/" + p.name)
}

// in is where the object is, for people.
func (p place) in() string {
	if p.resource.Namespace == "" {
		return "in the cluster"
	}
	return "in namespace " + p.resource.Namespace
}

// kubectl is how a command for a person begins.
func (p place) kubectl() string {
	if p.resource.Namespace == "" {
		return "kubectl"
	}
	return "kubectl -n " + reach.Quote(p.resource.Namespace)
}

func (p place) call(verb string) reach.Call {
	return reach.Call{
		Target: string(p.target()), Verb: verb, Grant: p.grant(verb, p.resource, ""),
		Missing: fmt.Sprintf("there must be a %s %s %s", p.kind, p.name, p.in()),
	}
}

// grant says which permission to give.
func (p place) grant(verb string, r reach.Resource, sub string) string {
	what := r.Plural
	if r.Group != "" {
		what += "." + r.Group
	}
	if sub != "" {
		what += "/" + sub
	}
	role := "a Role in namespace " + r.Namespace
	if r.Namespace == "" {
		role = "a ClusterRole"
	}
	return fmt.Sprintf("%s: the daemon's account may not %s %s: grant it by %s", p.target(), verb, what, role)
}

func (p place) read(ctx context.Context) (*object, error) {
	o := &object{kind: p.kind}
	if err := p.api.Get(ctx, p.resource, p.name, p.call("get"), o); err != nil {
		return nil, err
	}
	return o, nil
}

// annotation is where the fence of an aspect is kept.
func annotation(aspect string) string { return "signalbox.io/fence." + aspect }

// fence reads the fence of an aspect; blocked says why it can't be written over.
func (p place) fence(o *object, aspect string) (f fence.Fence, blocked string) {
	return fence.In(o.Annotations, annotation(aspect), p.handBack(aspect))
}

func (p place) handBack(aspect string) string {
	return fmt.Sprintf("%s annotate %s %s %s-", p.kubectl(), p.word(), reach.Quote(p.name), annotation(aspect))
}

// word is the kind as kubectl has it.
func (p place) word() string {
	if p.kind == kindArgo {
		return "rollouts.argoproj.io"
	}
	return p.kind
}

// write patches the object as it was read, and puts a fence with it.
func (p place) write(ctx context.Context, o *object, aspect string, f fence.Fence, ops []reach.Op, gate func() error) (version string, err error) {
	encoded, err := f.Encode()
	if err != nil {
		return "", &signalbox.Failure{Reason: "the fence can't be written", Err: err}
	}
	annotations := maps.Clone(o.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[annotation(aspect)] = string(encoded)
	ops = append([]reach.Op{{Op: "add", Path: "/metadata/annotations", Value: annotations}}, ops...)
	next := &object{kind: p.kind}
	if err := p.api.Patch(ctx, p.resource, p.name, "", o.ResourceVersion, ops, p.call("patch"), gate, next); err != nil {
		return "", err
	}
	if next.Annotations[annotation(aspect)] != string(encoded) {
		return "", fmt.Errorf("%s: the API server accepted the patch, and answered with another fence than ours", p.target())
	}
	return next.ResourceVersion, nil
}
