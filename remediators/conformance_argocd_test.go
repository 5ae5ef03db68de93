package remediators_test

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
)

func argocdEntries() []entry {
	var list []entry
	for move, without := range map[string]map[string]string{
		"synced":     none("a sync is taken back by the next one", "undo", "positions"),
		"previous":   none("a history has no positions", "positions"),
		"terminated": none("what was ended is begun anew by hand", "undo", "positions"),
	} {
		list = append(list, entry{kind: "argocd", key: "argocd", move: move, class: signalbox.ClassA, build: application, needs: "a real API server", without: without})
	}
	return list
}

// application is an Application with a history; moves plays Argo CD.
func application(b *bench) {
	type m = map[string]any
	p := b.inCluster()
	ago := func(hours int) string {
		return b.clock().Add(-time.Duration(hours) * time.Hour).UTC().Format(time.RFC3339)
	}
	source := func(revision string) m {
		return m{"repoURL": "https://charts.example/helm", "chart": "shop", "targetRevision": revision}
	}
	status := m{
		"sync": m{"status": "OutOfSync", "revision": "3"}, "health": m{"status": "Degraded"},
		"history": []any{
			m{"id": int64(4), "revision": "1", "deployedAt": ago(90), "source": source("1")},
			m{"id": int64(5), "revision": "2", "deployedAt": ago(50), "source": source("2")},
			m{"id": int64(6), "revision": "3", "deployedAt": ago(1), "source": source("3")},
		},
	}
	content := m{
		"spec":   m{"project": "default", "source": source("3"), "destination": m{"server": "https://kubernetes.default.svc", "namespace": "shop"}, "syncPolicy": m{"automated": m{"prune": true}}},
		"status": status,
	}
	if b.e.move == "terminated" {
		status["operationState"] = m{"phase": "Running", "startedAt": ago(0), "operation": m{"sync": m{"revision": "3"}}}
		content["operation"] = m{"sync": m{"revision": "3"}}
	}
	p.object(applications, "shop", content)
	patch := func(body string) {
		_, err := p.objects.Resource(applications.resource()).Namespace(p.namespace).Patch(b.t.Context(), "shop", types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "argocd-controller"})
		b.must(err)
	}
	b.blocks = fmt.Sprintf("tools: {shop: {argocd: {source: cluster, namespace: %s, application: shop}, undo: auto}}", p.namespace)
	b.step = "{argocd: shop}"
	b.effects = func() int { return p.carried("patch applications shop", `"operation`) }
	b.value = func() string {
		policy, _, _ := unstructured.NestedFieldNoCopy(p.get(applications, "shop").Object, "spec", "syncPolicy")
		return text(policy)
	}
	b.moves = func() {
		o := p.get(applications, "shop").Object
		switch op, waits := o["operation"]; {
		case b.e.move == "terminated":
			patch(`{"operation":null,"status":{"operationState":{"phase":"Failed","message":"terminated"}}}`)
		case waits:
			patch(`{"operation":null,"status":{"operationState":{"phase":"Succeeded","message":"","operation":` + text(op) + `,"startedAt":"` + ago(0) + `"}}}`)
		}
	}
}
