package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/internal/reach"
)

// managers are the field managers of GitOps controllers, by what they begin with.
var managers = []struct{ prefix, name string }{
	{"argocd", "Argo CD"},
	{"kustomize-controller", "Flux"},
	{"helm-controller", "Flux"},
	{"flux", "Flux"},
	{"helm", "Helm"},
}

// tracks are the labels and annotations by which they know what is theirs.
var tracks = []struct{ key, value, name string }{
	{"argocd.argoproj.io/tracking-id", "", "Argo CD"},
	{"argocd.argoproj.io/instance", "", "Argo CD"},
	{"kustomize.toolkit.fluxcd.io/name", "", "Flux"},
	{"helm.toolkit.fluxcd.io/name", "", "Flux"},
	{"meta.helm.sh/release-name", "", "Helm"},
	{"app.kubernetes.io/managed-by", "Helm", "Helm"},
}

// lastApplied is what a client-side apply, Argo CD's default, put last.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// gitops says that a GitOps controller would put a move back; empty: none would.
// A restart adds an annotation that none of them owns.
func (m *moving) gitops(o *object) string {
	if m.aim.move == moveRestarted || m.aim.aspect == aspectAbort || m.spec.Workload != nil && slices.Contains(m.spec.Workload.GitOpsIgnores, m.aim.aspect) {
		return ""
	}
	owner := o.fieldOwner(m.aim.aspect)
	if owner == "" {
		owner = o.trackedBy(m.aim.aspect)
	}
	if owner == "" {
		return ""
	}
	return fmt.Sprintf("%s owns its %s, and would put it back: change it there, or tell it to leave the field alone and give gitops_ignores: [%s]", owner, m.aim.aspect, m.aim.aspect)
}

// fieldOwner is the GitOps controller that managedFields names for an aspect.
func (o *object) fieldOwner(aspect string) string {
	for _, f := range o.ManagedFields {
		if f.FieldsV1 == nil || f.Subresource != "" || !owns(f.FieldsV1.GetRawBytes(), aspect) {
			continue
		}
		for _, m := range managers {
			if strings.HasPrefix(f.Manager, m.prefix) {
				return m.name
			}
		}
	}
	return ""
}

// owns reports whether a set of fields has spec.ASPECT. One that can't be read
// has.
func owns(fields []byte, aspect string) bool {
	var top struct {
		Spec map[string]json.RawMessage `json:"f:spec"`
	}
	if json.Unmarshal(fields, &top) != nil {
		return true
	}
	_, there := top.Spec["f:"+aspect]
	return there
}

// trackedBy is the GitOps controller that an object is marked as of, where it
// would put the aspect back: a template always, other fields where what it
// applied has them, or where that can't be told.
func (o *object) trackedBy(aspect string) string {
	owner := ""
	for _, t := range tracks {
		for _, marks := range []map[string]string{o.Labels, o.Annotations} {
			if v, ok := marks[t.key]; ok && owner == "" && (t.value == "" || v == t.value) {
				owner = t.name
			}
		}
	}
	if owner == "" || aspect == aspectTemplate {
		return owner
	}
	if applied, ok := o.Annotations[lastApplied]; ok {
		var was struct {
			Spec map[string]json.RawMessage `json:"spec"`
		}
		if json.Unmarshal([]byte(applied), &was) == nil && was.Spec[aspect] == nil {
			return ""
		}
		return owner
	}
	if len(o.ManagedFields) > 0 {
		return "" // and none of them is the owner's
	}
	return owner
}

// autoscaled says that an autoscaler owns the count of replicas.
func (m *moving) autoscaled(ctx context.Context) (string, error) {
	where := reach.Resource{Group: "autoscaling", Version: "v2", Plural: "horizontalpodautoscalers", Namespace: m.resource.Namespace}
	var list struct {
		Items []struct {
			metav1.ObjectMeta `json:"metadata"`

			Spec struct {
				ScaleTargetRef struct{ Kind, Name string } `json:"scaleTargetRef"`
			} `json:"spec"`
		}
	}
	call := reach.Call{Target: string(m.target()), Verb: "list " + where.Plural, Grant: m.grant("list", where, ""), Missing: "autoscalers can't be listed"}
	if err := m.api.List(ctx, where, "", call, &list); err != nil {
		return refusal(err)
	}
	for _, h := range list.Items {
		if ref := h.Spec.ScaleTargetRef; strings.EqualFold(ref.Kind, m.kind) && ref.Name == m.name {
			return fmt.Sprintf("the HorizontalPodAutoscaler %s owns its replicas, and would put them back: change its minReplicas or maxReplicas", h.Name), nil
		}
	}
	return "", nil
}
