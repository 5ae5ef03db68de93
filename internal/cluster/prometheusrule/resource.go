package prometheusrule

import (
	"errors"
	"fmt"
	"maps"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GVR is the resource.
func GVR() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "monitoring.coreos.com", Version: "v1", Resource: "prometheusrules"}
}

// Resource is one PrometheusRule.
type Resource struct {
	Namespace, Name string
	// Version changes whenever the resource does, also when it is deleted and
	// made anew.
	Version string
	spec    map[string]any
}

// Key names the resource within its cluster.
func (r Resource) Key() string { return r.Namespace + "/" + r.Name }

// ofThanos is the one key of a group that Prometheus does not know: the
// operator leaves it out of Prometheus' files too.
const ofThanos = "partial_response_strategy"

var errNoGroups = errors.New("spec.groups must be a list of groups")

// File is the rule file that the resource holds, as the operator would write it.
func (r Resource) File() ([]byte, error) {
	groups := []any{}
	if given, there := r.spec["groups"]; there && given != nil {
		list, ok := given.([]any)
		if !ok {
			return nil, errNoGroups
		}
		for i, g := range list {
			group, ok := g.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("spec.groups[%d] must be a group", i)
			}
			group = maps.Clone(group)
			delete(group, ofThanos)
			groups = append(groups, group)
		}
	}
	return yaml.Marshal(map[string]any{"groups": groups})
}

// read takes what is needed of an object; it shares its spec, which nobody
// changes.
func read(u *unstructured.Unstructured) Resource {
	spec, _ := u.Object["spec"].(map[string]any)
	return Resource{
		Namespace: u.GetNamespace(), Name: u.GetName(), Version: string(u.GetUID()) + "/" + u.GetResourceVersion(), spec: spec,
	}
}

// slim keeps of an object what read takes.
func slim(obj any) (any, error) {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return obj, nil
	}
	kept := &unstructured.Unstructured{Object: map[string]any{}}
	kept.SetGroupVersionKind(u.GroupVersionKind())
	kept.SetNamespace(u.GetNamespace())
	kept.SetName(u.GetName())
	kept.SetUID(u.GetUID())
	kept.SetResourceVersion(u.GetResourceVersion())
	if spec, there := u.Object["spec"]; there {
		kept.Object["spec"] = spec
	}
	return kept, nil
}
