package remediators_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
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

// onVariable is an environment variable of a Deployment, whose pods are replaced.
func onVariable(b *bench, l limit) string {
	p := b.inCluster()
	variables := func(value string) []corev1.EnvVar {
		return []corev1.EnvVar{{Name: "FIRST", Value: "1"}, {Name: "READS", Value: value}}
	}
	p.deployment("web", corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:1", Env: variables(l.before)}}}}, 3)
	b.effects = func() int { return p.carried("patch deployments web", `"name":"READS"`) }
	b.value = func() string { return text(p.readDeployment("web").Spec) }
	b.moves = func() { p.arrives("web") }
	b.strange = func() {
		d := p.readDeployment("web")
		d.Spec.Template.Spec.Containers[0].Env = variables(l.strange)
		_, err := p.admin.AppsV1().Deployments(p.namespace).Update(b.t.Context(), d, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
		b.must(err)
		p.arrives("web")
	}
	return fmt.Sprintf("env: {source: cluster, namespace: %s, deployment: web, container: app, name: READS}", p.namespace)
}

func rolloutEntries() []entry {
	const needs = "a real API server"
	workload := func(b *bench) {
		p := b.inCluster()
		p.deployment("web", corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:2"}}}}, 3)
		b.blocks = fmt.Sprintf("tools: {web: {rollout: {source: cluster, namespace: %s, deployment: web, replicas: {normal: 3, reduced: 2}}, undo: auto}}", p.namespace)
		b.step = "{rollout: web}"
		b.effects = func() int { return p.carried("patch deployments", `"/spec/`) }
		b.value = func() string {
			d := p.readDeployment("web")
			return text([]any{d.Spec.Paused, d.Spec.Replicas, d.Spec.Template})
		}
		if b.e.move != "paused" { // which is brought about by nobody
			b.moves = func() { p.arrives("web") }
		}
		b.strange = func() {
			_, err := p.admin.AppsV1().Deployments(p.namespace).Patch(b.t.Context(), "web", types.MergePatchType, []byte(`{"spec":{"replicas":7}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
			b.must(err)
		}
	}
	earlier := func(b *bench) { // its controller has kept the template before
		workload(b)
		p := b.place
		p.keeps("web", 1, "registry.example/app:0")
		p.keeps("web", 2, "registry.example/app:1")
		p.keeps("web", 3, "registry.example/app:2")
		b.effects = func() int { return p.carried("patch deployments web", "registry.example/app:1") }
		b.sees = func() { p.arrives("web") }
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
		{kind: "rollout", key: "rollout", move: "previous", class: signalbox.ClassA, build: earlier, needs: needs, without: lost},
		{kind: "rollout", key: "rollout", move: "previous", name: "of a StatefulSet", class: signalbox.ClassA, build: statefulSet, needs: needs, without: lost},
		{kind: "rollout", key: "rollout", move: "reduced", class: signalbox.ClassA, build: workload, needs: needs},
		{kind: "rollout", key: "evict", class: signalbox.ClassC, build: pods, needs: needs, without: lost},
		{kind: "rollout", key: "cordon", move: "cordoned", class: signalbox.ClassA, build: node, needs: needs, without: words},
	}
}

// statefulSet is a StatefulSet whose controller has kept its revisions.
func statefulSet(b *bench) {
	p := b.inCluster()
	sets := p.admin.AppsV1().StatefulSets(p.namespace)
	n, labels := int32(3), map[string]string{"app": "queue"}
	image := func(version int) string { return fmt.Sprint("registry.example/app:", version) }
	s, err := sets.Create(b.t.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "queue"},
		Spec: appsv1.StatefulSetSpec{Replicas: &n, ServiceName: "queue", Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image(2)}}},
		}},
	}, metav1.CreateOptions{FieldManager: "kubectl-create"})
	b.must(err)
	yes := true
	for revision := range 3 {
		template := *s.Spec.Template.DeepCopy()
		template.Spec.Containers[0].Image = image(revision)
		raw := text(map[string]any{"spec": map[string]any{"template": template}})
		raw = strings.Replace(raw, `{"template":{`, `{"template":{"$patch":"replace",`, 1)
		_, err := p.admin.AppsV1().ControllerRevisions(p.namespace).Create(b.t.Context(), &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprint("queue-", revision), Labels: labels,
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "queue", UID: s.UID, Controller: &yes}},
			},
			Revision: int64(revision) + 1, Data: runtime.RawExtension{Raw: []byte(raw)},
		}, metav1.CreateOptions{FieldManager: "kube-controller-manager"})
		b.must(err)
	}
	b.moves = func() {
		s, err := sets.Get(b.t.Context(), "queue", metav1.GetOptions{})
		b.must(err)
		s.Status = appsv1.StatefulSetStatus{
			ObservedGeneration: s.Generation, Replicas: n, UpdatedReplicas: n, CurrentReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
			CurrentRevision: "queue-1", UpdateRevision: "queue-1",
		}
		_, err = sets.UpdateStatus(b.t.Context(), s, metav1.UpdateOptions{FieldManager: "kube-controller-manager"})
		b.must(err)
	}
	b.moves()
	b.sees = b.moves
	b.blocks = fmt.Sprintf("tools: {queue: {rollout: {source: cluster, namespace: %s, statefulset: queue}}}", p.namespace)
	b.step = "{rollout: queue}"
	b.effects = func() int { return p.carried("patch statefulsets queue", image(1)) }
}

// keeps is the Deployment's controller, which keeps a revision of its pods.
func (p *place) keeps(name string, revision int, image string) {
	p.b.t.Helper()
	d := p.readDeployment(name)
	yes, none := true, int32(0)
	hash := fmt.Sprint("h", revision)
	template := *d.Spec.Template.DeepCopy()
	template.Labels["pod-template-hash"] = hash
	template.Spec.Containers[0].Image = image
	_, err := p.admin.AppsV1().ReplicaSets(p.namespace).Create(p.b.t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: name + "-" + hash, Labels: template.Labels, Annotations: map[string]string{"deployment.kubernetes.io/revision": fmt.Sprint(revision)},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: name, UID: d.UID, Controller: &yes}},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template},
	}, metav1.CreateOptions{FieldManager: "kube-controller-manager"})
	p.b.must(err)
}

func jobEntries() []entry {
	suspended := true
	spec := batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		ServiceAccountName: "replay", RestartPolicy: corev1.RestartPolicyOnFailure, Containers: []corev1.Container{{Name: "replay", Image: "registry.example/replay:1", Command: []string{"/replay"}}},
	}}}
	run := func(b *bench, from, args string, want ...string) {
		p := b.inCluster()
		_, err := p.admin.BatchV1().CronJobs(p.namespace).Create(b.t.Context(), &batchv1.CronJob{
			ObjectMeta: metav1.ObjectMeta{Name: "replay-webhooks"},
			Spec:       batchv1.CronJobSpec{Schedule: "0 0 * * *", Suspend: &suspended, JobTemplate: batchv1.JobTemplateSpec{Spec: spec}},
		}, metav1.CreateOptions{})
		b.must(err)
		b.blocks = fmt.Sprintf("tools: {replay: {job: {source: cluster, namespace: %s, %s, service_account: replay, args: [%s]}}}", p.namespace, from, args)
		b.step = "{job: replay}"
		jobs := p.admin.BatchV1().Jobs(p.namespace)
		list := func() []batchv1.Job {
			l, err := jobs.List(b.t.Context(), metav1.ListOptions{})
			b.must(err)
			return l.Items
		}
		b.effects = func() int {
			for _, j := range list() {
				if got := j.Spec.Template.Spec.Containers[0].Args; !slices.Equal(got, want) {
					b.fail("it runs with %q, want %q", got, want)
				}
			}
			return len(list())
		}
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
	const cronJob = "cronjob: replay-webhooks"
	var list []entry
	for name, build := range map[string]func(b *bench){
		"": func(b *bench) { run(b, cronJob, "--only-queued", "--only-queued") },
		"with ids": func(b *bench) {
			b.items = []string{"evt_00000001", "evt_00000002"}
			run(b, cronJob+`, item_pattern: "evt_[0-9a-z]{8}"`, `"--event-id={{item}}", --, "{{item}}"`, "--event-id=evt_00000001", "--event-id=evt_00000002", "--", "evt_00000001", "evt_00000002")
			b.step = "{job: replay, items: {most: 2, pace: 100/hour}}"
		},
		"from a file": func(b *bench) {
			b.file("replay.yaml", text(batchv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, Spec: spec}))
			run(b, "template: replay.yaml", "--only-queued", "--only-queued")
		},
	} {
		without := none("what a job did is not taken back, and it has no positions", "undo", "positions")
		if name == "from a file" {
			without["reads"] = "what it runs stands in the configuration: there is nothing to be seen before"
		}
		list = append(list, entry{kind: "job", key: "job", name: name, class: signalbox.ClassB, build: build, needs: "a real API server", without: without})
	}
	return list
}
