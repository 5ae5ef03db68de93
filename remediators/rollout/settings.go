package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/signalbox/signalbox/internal/kind"
)

// Kind is the remediator that works on workloads, pods and nodes.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:    "rollout",
		Keyword: "rollout",
		Tools: map[string]kind.Tool{
			"rollout": {
				Settings: func() kind.Settings { return &Workload{Timeout: defaultTimeout} },
				Moves:    func(s kind.Settings) []string { return s.(*Workload).moves() },
			},
			"evict": {
				Settings: func() kind.Settings { return &Evict{Label: "pod", Timeout: defaultTimeout} },
				About:    true,
			},
			"cordon": {
				Settings: func() kind.Settings { return &Cordon{Label: "node"} },
				Moves:    func(kind.Settings) []string { return []string{moveCordoned, moveUncordoned} },
				About:    true,
			},
		},
		Spec: resolve,
		Open: open,
	}
}

const (
	defaultTimeout = kind.Duration(10 * time.Minute)
	leastTimeout   = time.Minute
	mostTimeout    = 2 * time.Hour
	mostReplicas   = 10000
)

// Workload is a tool that works on one workload.
type Workload struct {
	// Source is the name of the source of kind kubernetes: the cluster.
	Source string `yaml:"source" json:"source" jsonschema:"required,minLength=1"`
	// Namespace is where the workload is.
	Namespace string `yaml:"namespace" json:"namespace" jsonschema:"required,maxLength=63"`
	// Deployment is the name of the Deployment; exactly one kind of workload is given.
	Deployment string `yaml:"deployment" json:"deployment,omitempty"`
	// StatefulSet is the name of the StatefulSet.
	StatefulSet string `yaml:"statefulset" json:"statefulset,omitempty"`
	// DaemonSet is the name of the DaemonSet.
	DaemonSet string `yaml:"daemonset" json:"daemonset,omitempty"`
	// ArgoRollout is the name of the Rollout of Argo Rollouts.
	ArgoRollout string `yaml:"argo_rollout" json:"argo_rollout,omitempty"`
	// Replicas are the counts that it may be scaled to, by name; each name is a move.
	Replicas map[string]int32 `yaml:"replicas" json:"replicas,omitempty"`
	// Revision is what the move previous goes back to; absent: the last one whose pods differ from the present.
	Revision int64 `yaml:"revision" json:"revision,omitempty"`
	// Timeout is how long the workload may take until a move is done.
	Timeout kind.Duration `yaml:"timeout" json:"timeout,omitzero" jsonschema:"default=10m"`
	// GitOpsIgnores are the fields that the GitOps controller that owns the workload is set to leave alone: paused, replicas, template.
	GitOpsIgnores []string `yaml:"gitops_ignores" json:"gitops_ignores,omitempty"`
}

// Evict is a tool that evicts one pod, through the Eviction API.
type Evict struct {
	// Source is the name of the source of kind kubernetes: the cluster.
	Source string `yaml:"source" json:"source" jsonschema:"required,minLength=1"`
	// Namespace is where the pods are.
	Namespace string `yaml:"namespace" json:"namespace" jsonschema:"required,maxLength=63"`
	// Selector chooses the pods of which one may be evicted, as kubectl's -l does.
	Selector string `yaml:"selector" json:"selector" jsonschema:"required,minLength=1"`
	// Label is the label of the incident that names the pod.
	Label string `yaml:"label" json:"label,omitempty" jsonschema:"default=pod"`
	// Timeout is how long the pod may take to end.
	Timeout kind.Duration `yaml:"timeout" json:"timeout,omitzero" jsonschema:"default=10m"`
}

// Cordon is a tool that takes a node from scheduling, and gives it back.
type Cordon struct {
	// Source is the name of the source of kind kubernetes: the cluster.
	Source string `yaml:"source" json:"source" jsonschema:"required,minLength=1"`
	// Selector chooses the nodes of which one may be cordoned, as kubectl's -l does.
	Selector string `yaml:"selector" json:"selector" jsonschema:"required,minLength=1"`
	// Label is the label of the incident that names the node.
	Label string `yaml:"label" json:"label,omitempty" jsonschema:"default=node"`
}

// workload is the kind that is given, and its name.
func (w *Workload) workload() (kindName, name string, given int) {
	for k, n := range map[string]string{kindDeployment: w.Deployment, kindStatefulSet: w.StatefulSet, kindDaemonSet: w.DaemonSet, kindArgo: w.ArgoRollout} {
		if n != "" {
			kindName, name = k, n
			given++
		}
	}
	return kindName, name, given
}

func (w *Workload) moves() []string {
	kindName, _, _ := w.workload()
	return slices.Concat(ownMoves[kindName], slices.Sorted(maps.Keys(w.Replicas)))
}

// Validate reports every rule that the settings break.
func (w *Workload) Validate(fail kind.Fail) {
	checkPlace(fail, w.Source, w.Namespace)
	kindName, name, given := w.workload()
	if given != 1 {
		fail("", "must have exactly one of deployment, statefulset, daemonset and argo_rollout", given)
	} else if len(validation.IsDNS1123Subdomain(name)) > 0 {
		fail(settingOf[kindName], "must be the name of a workload (lower-case letters, digits, '-' and '.', at most 253)", name)
	}
	checkTimeout(fail, w.Timeout)
	if len(w.Replicas) > 0 && kindName == kindDaemonSet {
		fail("replicas", "must not be given for a DaemonSet: it runs one pod on each node", len(w.Replicas))
	}
	counts := map[int32]string{}
	for _, n := range slices.Sorted(maps.Keys(w.Replicas)) {
		count, at := w.Replicas[n], "replicas."+n
		if _, reserved := allMoves[n]; reserved || len(validation.IsDNS1123Label(n)) > 0 {
			fail(at, "must have a name of lower-case letters, digits and '-' that no other move has", n)
		}
		if count < 0 || count > mostReplicas {
			fail(at, fmt.Sprintf("must be between 0 and %d", mostReplicas), count)
		}
		if other, twice := counts[count]; twice {
			fail(at, "must be another count than that of "+other, count)
		}
		counts[count] = n
	}
	if len(w.Replicas) == 1 {
		fail("replicas", "must list at least two counts: what is found must be one of them, so that it can be restored", len(w.Replicas))
	}
	if w.Revision < 0 || w.Revision > 0 && !slices.Contains(ownMoves[kindName], movePrevious) {
		fail("revision", "must be a revision of a workload that keeps them", w.Revision)
	}
	for i, f := range w.GitOpsIgnores {
		if f != aspectPaused && f != aspectReplicas && f != aspectTemplate {
			fail(fmt.Sprintf("gitops_ignores[%d]", i), "must be paused, replicas or template", f)
		}
	}
}

// Validate reports every rule that the settings break.
func (e *Evict) Validate(fail kind.Fail) {
	checkPlace(fail, e.Source, e.Namespace)
	checkSelector(fail, e.Selector)
	checkLabel(fail, e.Label)
	checkTimeout(fail, e.Timeout)
}

// Validate reports every rule that the settings break.
func (c *Cordon) Validate(fail kind.Fail) {
	if c.Source == "" {
		fail("source", "must name a source of kind kubernetes", c.Source)
	}
	checkSelector(fail, c.Selector)
	checkLabel(fail, c.Label)
}

func checkPlace(fail kind.Fail, source, namespace string) {
	if source == "" {
		fail("source", "must name a source of kind kubernetes", source)
	}
	if len(validation.IsDNS1123Label(namespace)) > 0 {
		fail("namespace", "must be the name of a namespace (lower-case letters, digits and '-', at most 63)", namespace)
	}
}

// checkSelector refuses one that chooses everything.
func checkSelector(fail kind.Fail, text string) {
	if s, err := labels.Parse(text); err != nil {
		fail("selector", "must be a label selector, like app=web,tier!=test", text)
	} else if s.Empty() {
		fail("selector", "must choose by a label: an empty one would choose everything", text)
	}
}

func checkLabel(fail kind.Fail, name string) {
	if strings.TrimSpace(name) == "" {
		fail("label", "must name a label of the incident", name)
	}
}

func checkTimeout(fail kind.Fail, d kind.Duration) {
	if d.Std() < leastTimeout || d.Std() > mostTimeout {
		fail("timeout", fmt.Sprintf("must be between %s and %s", leastTimeout, mostTimeout), d.String())
	}
}
