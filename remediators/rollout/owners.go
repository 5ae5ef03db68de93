package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/workload"
)

// lastApplied is what a client-side apply, Argo CD's default, put last.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// gitops says that a GitOps controller would put a move back; empty: none would.
// A restart adds an annotation that none of them owns.
func (m *moving) gitops(o *object) string {
	if m.aim.move == moveRestarted || m.aim.aspect == aspectAbort || m.spec.Workload != nil && slices.Contains(m.spec.Workload.GitOpsIgnores, m.aim.aspect) {
		return ""
	}
	owner := fieldOwner(o, m.aim.aspect)
	if owner == "" {
		owner = markedBy(o, m.aim.aspect)
	}
	if owner == "" {
		return ""
	}
	return fmt.Sprintf("%s owns its %s, and would put it back: change it there, or tell it to leave the field alone and give gitops_ignores: [%s]", owner, m.aim.aspect, m.aim.aspect)
}

// fieldOwner is the GitOps controller that managedFields names for an aspect.
func fieldOwner(o *object, aspect string) string {
	for _, e := range o.Owners("f:spec", "f:"+aspect) {
		if keeper := workload.Keeper(e.Manager); keeper != "" {
			return keeper
		}
	}
	return ""
}

// markedBy is the GitOps controller that an object is marked as of, where it
// would put the aspect back: a template always, other fields where what it
// applied has them, or where that can't be told.
func markedBy(o *object, aspect string) string {
	owner := o.MarkedBy()
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
	where := reach.Resource{Group: "autoscaling", Version: "v2", Plural: "horizontalpodautoscalers", Namespace: m.Resource.Namespace}
	var list struct {
		Items []struct {
			metav1.ObjectMeta `json:"metadata"`

			Spec struct {
				ScaleTargetRef struct{ Kind, Name string } `json:"scaleTargetRef"`
			} `json:"spec"`
		}
	}
	call := reach.Call{Target: string(m.Target()), Verb: "list " + where.Plural, Grant: m.Grant("list", where, ""), Missing: "autoscalers can't be listed"}
	if err := m.API.List(ctx, where, "", call, &list); err != nil {
		return refusal(err)
	}
	for _, h := range list.Items {
		if ref := h.Spec.ScaleTargetRef; strings.EqualFold(ref.Kind, m.Kind) && ref.Name == m.Name {
			return fmt.Sprintf("the HorizontalPodAutoscaler %s owns its replicas, and would put them back: change its minReplicas or maxReplicas", h.Name), nil
		}
	}
	return "", nil
}
