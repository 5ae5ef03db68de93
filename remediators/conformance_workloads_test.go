package remediators_test

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
)

// deployment makes a Deployment that has come about, as its controller tells.
func (p *place) deployment(name string, template corev1.PodTemplateSpec, replicas int32) {
	p.b.t.Helper()
	labels := map[string]string{"app": name}
	template.Labels = labels
	if len(template.Spec.Containers) == 0 {
		template.Spec.Containers = []corev1.Container{{Name: "app", Image: "registry.example/app:1"}}
	}
	_, err := p.admin.AppsV1().Deployments(p.namespace).Create(p.b.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template},
	}, metav1.CreateOptions{FieldManager: "kubectl-create"})
	p.b.must(err)
	p.arrives(name)
}

func (p *place) readDeployment(name string) *appsv1.Deployment {
	p.b.t.Helper()
	d, err := p.admin.AppsV1().Deployments(p.namespace).Get(p.b.t.Context(), name, metav1.GetOptions{})
	p.b.must(err)
	return d
}

// arrives is the Deployment's controller, and the kubelets, at their end.
func (p *place) arrives(name string) {
	p.b.t.Helper()
	d := p.readDeployment(name)
	n := *d.Spec.Replicas
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n}
	_, err := p.admin.AppsV1().Deployments(p.namespace).UpdateStatus(p.b.t.Context(), d, metav1.UpdateOptions{FieldManager: "kube-controller-manager"})
	p.b.must(err)
}

func rolloutEntries() []entry {
	const needs = "a real API server"
	workload := func(b *bench) {
		p := b.inCluster()
		p.deployment("web", corev1.PodTemplateSpec{}, 3)
		b.blocks = fmt.Sprintf("tools: {web: {rollout: {source: cluster, namespace: %s, deployment: web, replicas: {normal: 3, reduced: 2}}, undo: auto}}", p.namespace)
		b.step = "{rollout: web}"
		b.effects = func() int { return p.carried("patch deployments", `"/spec/`) }
		b.value = func() string {
			d := p.readDeployment("web")
			return text([]any{d.Spec.Paused, d.Spec.Replicas, d.Spec.Template})
		}
		b.moves = func() { p.arrives("web") }
		b.strange = func() {
			_, err := p.admin.AppsV1().Deployments(p.namespace).Patch(b.t.Context(), "web", types.MergePatchType, []byte(`{"spec":{"replicas":7}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
			b.must(err)
		}
	}
	pods := func(b *bench) {
		p := b.inCluster()
		yes := true
		_, err := p.admin.CoreV1().Pods(p.namespace).Create(b.t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "fra", Labels: map[string]string{"app": "web"}, OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-1", UID: "1", Controller: &yes}}},
			Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:1"}}},
		}, metav1.CreateOptions{})
		b.must(err)
		b.blocks = fmt.Sprintf("tools: {pod: {evict: {source: cluster, namespace: %s, selector: app=web, label: pop}}}", p.namespace)
		b.step = "{rollout: pod}"
		b.effects = func() int { return min(1, p.carried("create pods fra eviction", "")) } // a pod ends once
		b.moves = func() {                                                                  // its kubelet ends it
			now := int64(0)
			_ = p.admin.CoreV1().Pods(p.namespace).Delete(b.t.Context(), "fra", metav1.DeleteOptions{GracePeriodSeconds: &now})
		}
	}
	node := func(b *bench) {
		p := b.inCluster()
		nodes := p.admin.CoreV1().Nodes()
		_, err := nodes.Create(b.t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: p.namespace, Labels: map[string]string{"suite": "yes"}}}, metav1.CreateOptions{})
		b.must(err)
		b.blocks = "tools: {node: {cordon: {source: cluster, selector: suite=yes, label: pop}, undo: auto}}"
		b.step = "{rollout: node}"
		b.labels = map[string]string{"pop": p.namespace}
		read := func() *corev1.Node {
			n, err := nodes.Get(b.t.Context(), p.namespace, metav1.GetOptions{})
			b.must(err)
			return n
		}
		b.value = func() string { return fmt.Sprint(read().Spec.Unschedulable) }
		b.effects = func() int { return p.carried("patch nodes", `"/spec/`) }
	}
	words := none("it is one of two, and both are listed", "positions")
	lost := none("what was replaced is not brought back", "undo", "positions")
	return []entry{
		{kind: "rollout", key: "rollout", move: "paused", class: signalbox.ClassA, build: workload, needs: needs, without: words},
		{kind: "rollout", key: "rollout", move: "restarted", class: signalbox.ClassA, build: workload, needs: needs, without: lost},
		{kind: "rollout", key: "rollout", move: "reduced", class: signalbox.ClassA, build: workload, needs: needs},
		{kind: "rollout", key: "evict", class: signalbox.ClassC, build: pods, needs: needs, without: lost},
		{kind: "rollout", key: "cordon", move: "cordoned", class: signalbox.ClassA, build: node, needs: needs, without: words},
	}
}

func jobEntries() []entry {
	build := func(b *bench) {
		p := b.inCluster()
		suspended := true
		pod := corev1.PodSpec{ServiceAccountName: "replay", RestartPolicy: corev1.RestartPolicyOnFailure, Containers: []corev1.Container{{Name: "replay", Image: "registry.example/replay:1", Command: []string{"/replay"}}}}
		_, err := p.admin.BatchV1().CronJobs(p.namespace).Create(b.t.Context(), &batchv1.CronJob{
			ObjectMeta: metav1.ObjectMeta{Name: "replay-webhooks"},
			Spec:       batchv1.CronJobSpec{Schedule: "0 0 * * *", Suspend: &suspended, JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: pod}}}},
		}, metav1.CreateOptions{})
		b.must(err)
		b.blocks = fmt.Sprintf("tools: {replay: {job: {source: cluster, namespace: %s, cronjob: replay-webhooks, service_account: replay, args: [--only-queued]}}}", p.namespace)
		b.step = "{job: replay}"
		jobs := p.admin.BatchV1().Jobs(p.namespace)
		list := func() []batchv1.Job {
			l, err := jobs.List(b.t.Context(), metav1.ListOptions{})
			b.must(err)
			return l.Items
		}
		b.effects = func() int { return len(list()) }
		b.moves = func() { // its controller, once its pod has ended
			for _, j := range list() {
				if j.Status.CompletionTime != nil {
					continue
				}
				at := metav1.NewTime(time.Now())
				condition := func(kind batchv1.JobConditionType) batchv1.JobCondition {
					return batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: at}
				}
				j.Status = batchv1.JobStatus{StartTime: &at, CompletionTime: &at, Succeeded: 1, Conditions: []batchv1.JobCondition{condition(batchv1.JobSuccessCriteriaMet), condition(batchv1.JobComplete)}}
				_, err := jobs.UpdateStatus(b.t.Context(), &j, metav1.UpdateOptions{})
				b.must(err)
			}
		}
	}
	return []entry{{
		kind: "job", key: "job", class: signalbox.ClassB, build: build, needs: "a real API server",
		without: none("what a job did is not taken back, and it has no positions", "undo", "positions"),
	}}
}
