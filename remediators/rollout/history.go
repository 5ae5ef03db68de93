package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/workload"
)

// revision is a pod template that a workload had.
type revision struct {
	number   int64
	template template
	hash     string // of an Argo Rollout: by which its controller names it
}

// kept is a ReplicaSet or ControllerRevision, in which a workload's controller
// keeps a revision.
type kept struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Template template `json:"template"`
	} `json:"spec"`
	Revision int64 `json:"revision"`
	Data     struct {
		Spec struct {
			Template template `json:"template"`
		} `json:"spec"`
	} `json:"data"`
}

// argoHash is the label by which Argo Rollouts tells its ReplicaSets apart.
const argoHash = "rollouts-pod-template-hash"

// hashLabels are what controllers add to the template that they keep.
var hashLabels = []string{"pod-template-hash", argoHash, "controller-revision-hash", "pod-template-generation"}

// previous is the revision that the move goes back to.
func (m *moving) previous(ctx context.Context, o *object) (*revision, error) {
	if o.Status.ObservedGeneration < workload.Generation(o.Generation) {
		return nil, reach.Refused("its controller has not seen its present template yet")
	}
	all, err := m.history(ctx, o)
	if err != nil {
		return nil, err
	}
	present, err := m.present(o, all)
	if err != nil {
		return nil, err
	}
	var best *revision
	for i := range all {
		r := &all[i]
		switch {
		case m.spec.Workload.Revision != 0 && r.number != m.spec.Workload.Revision:
		case same(r.template) == present:
			if m.spec.Workload.Revision != 0 {
				return nil, reach.Refused("revision %d is what runs: there is nothing to take back", r.number)
			}
		case best == nil || r.number > best.number:
			best = r
		}
	}
	if best == nil && m.spec.Workload.Revision != 0 {
		return nil, reach.Refused("revision %d is not kept (revisionHistoryLimit)", m.spec.Workload.Revision)
	}
	if best == nil {
		return nil, reach.Refused("no earlier revision whose pods differ from the present ones is kept (revisionHistoryLimit)")
	}
	return best, nil
}

// present identifies the pods that are wanted now. An Argo Rollout's template is
// kept by the API server as it was sent, and its ReplicaSets' with all defaults:
// there the controller says which of them is the present one.
func (m *moving) present(o *object, all []revision) (string, error) {
	if m.Kind != kindArgo {
		return same(o.Spec.Template), nil
	}
	for i := range all {
		if all[i].hash != "" && all[i].hash == o.Status.CurrentPodHash {
			return same(all[i].template), nil
		}
	}
	return "", reach.Refused("its controller has not made its present revision yet")
}

// history lists the revisions that are kept of a workload.
func (m *moving) history(ctx context.Context, o *object) ([]revision, error) {
	where := reach.Resource{Group: "apps", Version: "v1", Plural: "controllerrevisions", Namespace: m.Resource.Namespace}
	annotation := ""
	switch m.Kind {
	case kindDeployment:
		where.Plural, annotation = "replicasets", "deployment.kubernetes.io/revision"
	case kindArgo:
		where.Plural, annotation = "replicasets", "rollout.argoproj.io/revision"
	}
	selector, err := metav1.LabelSelectorAsSelector(o.Spec.Selector)
	if err != nil || selector.Empty() {
		return nil, reach.Refused("its selector can't be read")
	}
	var list struct{ Items []kept }
	call := reach.Call{Target: string(m.Target()), Verb: "list " + where.Plural, Grant: m.Grant("list", where, ""), Missing: "its revisions can't be listed"}
	if err := m.API.List(ctx, where, selector.String(), call, &list); err != nil {
		return nil, err
	}
	var all []revision
	for i := range list.Items {
		k := &list.Items[i]
		if c := metav1.GetControllerOf(&k.ObjectMeta); c == nil || c.UID != o.UID {
			continue
		}
		r := revision{number: k.Revision, template: k.Data.Spec.Template}
		if annotation != "" {
			n, err := strconv.ParseInt(k.Annotations[annotation], 10, 64)
			if err != nil {
				continue // not numbered by the controller yet
			}
			r = revision{n, k.Spec.Template, k.Labels[argoHash]}
		}
		if r.template != nil {
			r.template = bare(r.template)
			all = append(all, r)
		}
	}
	return all, nil
}

// bare is a template without what its controller added.
func bare(t template) template {
	t = t.Clone()
	delete(t, "$patch")
	meta := t.Meta()
	if labels, ok := meta["labels"].(map[string]any); ok {
		labels = maps.Clone(labels)
		for _, l := range hashLabels {
			delete(labels, l)
		}
		meta["labels"] = labels
	}
	if meta["creationTimestamp"] == nil {
		delete(meta, "creationTimestamp")
	}
	return t
}

// same identifies the pods that a template makes: two that differ only by when
// they were restarted are the same.
func same(t template) string {
	t = bare(t)
	meta := t.Meta()
	if annotations, ok := meta["annotations"].(map[string]any); ok {
		annotations = maps.Clone(annotations)
		delete(annotations, workload.RestartedAt)
		delete(annotations, workload.RestartedBy)
		delete(meta, "annotations")
		if len(annotations) > 0 {
			meta["annotations"] = annotations
		}
	}
	b, err := json.Marshal(t)
	if err != nil { // it came from JSON
		return fmt.Sprint(t)
	}
	return string(b)
}
