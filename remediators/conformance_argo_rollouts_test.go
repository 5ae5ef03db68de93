package remediators_test

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
)

func argoRolloutEntries() []entry {
	const needs, name = "a real API server", "of Argo Rollouts"
	return []entry{
		{kind: "rollout", key: "rollout", move: "restarted", name: name, class: signalbox.ClassA, build: argoRollout, needs: needs, without: none("what was replaced is not brought back", "undo", "positions")},
		{kind: "rollout", key: "rollout", move: "aborted", name: name, class: signalbox.ClassC, build: argoRollout, needs: needs, without: none("it is one of two, and both are listed", "positions")},
	}
}

// argoRollout is a Rollout of two pods; moves plays its controller.
func argoRollout(b *bench) {
	type m = map[string]any
	p := b.inCluster()
	p.object(argoRollouts, "web", m{"spec": m{
		"replicas": int64(2), "selector": m{"matchLabels": m{"app": "web"}}, "strategy": m{"canary": m{}},
		"template": m{"metadata": m{"labels": m{"app": "web"}}, "spec": m{"containers": []any{m{"name": "app", "image": "registry.example/app:2"}}}},
	}})
	arrives := func() {
		o := p.get(argoRollouts, "web")
		status := m{
			"observedGeneration": fmt.Sprint(o.GetGeneration()), "phase": "Healthy",
			"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
		}
		if at, there, _ := unstructured.NestedString(o.Object, "spec", "restartAt"); there {
			status["restartedAt"] = at
		}
		body := text(m{"status": status})
		_, err := p.objects.Resource(argoRollouts.resource()).Namespace(p.namespace).Patch(b.t.Context(), "web", types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "rollouts-controller"}, "status")
		b.must(err)
	}
	arrives()
	if b.e.move != "aborted" { // which is brought about by nobody
		b.moves = arrives
	}
	b.blocks = fmt.Sprintf("tools: {web: {rollout: {source: cluster, namespace: %s, argo_rollout: web}, undo: auto}}", p.namespace)
	b.step = "{rollout: web}"
	b.effects = func() int {
		return p.carried("patch rollouts web", `"/spec/restartAt"`) + p.carried("patch rollouts web status", `"/status/abort"`)
	}
	b.value = func() string {
		aborted, _, _ := unstructured.NestedBool(p.get(argoRollouts, "web").Object, "status", "abort")
		return fmt.Sprint(aborted)
	}
}
