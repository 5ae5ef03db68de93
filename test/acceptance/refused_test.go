package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/test/servers"
)

// refusal is a target with which something is wrong, what throws it, and what
// its owner is told to change.
type refusal struct {
	name   string
	blocks string // of the configuration
	step   string
	told   []string
}

func refusals() []refusal {
	flip := func(name, configMap, key string, told ...string) refusal {
		return refusal{name, fmt.Sprintf(`
switches:
  %s: {configmap: {source: cluster, namespace: core, name: %s, key: %s}, positions: {a: %q, b: %q}, health: {detector: replica-lag, subject: "replica/{{position}}"}}
`, name, configMap, key, replicaA, replicaB), fmt.Sprintf("{flip: %s, to: b}", name), told}
	}
	return []refusal{
		flip("no-configmap", "gone-env", endpointKey, "there must be a ConfigMap gone-env in namespace core"),
		flip("no-key", "core-env", "NOT_THERE", "has no key NOT_THERE", "add it with the value of one of the positions"),
		flip("not-listed", "odd-env", endpointKey, "pg-odd.data-plane:5432"),
		flip("no-permission", "other-env", endpointKey, "configmaps", "other-env", "get"),
		{"gitops", "\ntools:\n  web: {rollout: {source: cluster, namespace: core, deployment: web, replicas: {normal: 3, reduced: 2}}}\n", "{rollout: web, to: reduced}", []string{"Argo CD owns its replicas", "gitops_ignores: [replicas]"}},
		{"account", "\ntools:\n  replay: {job: {source: cluster, namespace: core, cronjob: replay, service_account: replay}}\n", "{job: replay}", []string{"runs as service account root, and service_account is replay"}},
	}
}

// What is wrong with a target is found before anything is done to it: nothing is
// written, the owner is told what to change, and the incident stays.
func TestRefusedBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.oddities()
	b.write("ill.yaml", `
detectors:
  - {name: ill, source: metrics, query: ill, interval: 1s, breach: {above: 0, for: 1s}, subject: "case/{{case}}", labels: [case], owner: backend, unknown_after: 8s}
`)
	policies := ""
	for i, r := range refusals() {
		p.exporter.Set("ill", 0, "case", r.name)
		b.write(fmt.Sprintf("case-%d.yaml", i), r.blocks)
		policies += fmt.Sprintf("\n  - {name: %s, on: ill, match: {case: %s}, autonomy: auto, runbook: [%s], verify: {within: 10s}, guards: {cooldown: 0s, budget: [1000/day]}}", r.name, r.name, r.step)
	}
	p.configure(b, "ask", policies+"\n")
	b.start()
	b.watched()
	for _, r := range refusals() {
		p.exporter.Set("ill", 1, "case", r.name)
	}
	for _, r := range refusals() {
		b.eventually("the page about "+r.name, func() error { return b.tells("case/"+r.name, r.told) })
	}
	b.steadily(2*time.Second, "nothing is written", p.untouched)
	open := b.status().Incidents
	for _, r := range refusals() {
		i := slices.IndexFunc(open, func(inc engine.IncidentStatus) bool { return inc.Reading.Subject == "case/"+r.name })
		if i < 0 {
			t.Errorf("%s: its incident is gone", r.name)
			continue
		}
		if said := b.must("explain", string(open[i].ID)); !strings.Contains(said, r.told[0]) {
			t.Errorf("%s: explain must tell %q:\n%s", r.name, r.told[0], said)
		}
	}
}

// tells says whether the owner of a subject was paged, once, with these words.
func (b *box) tells(subject string, words []string) error {
	found := b.pages(subject)
	if len(found) != 1 || found[0].RoutingKey != backendKey {
		return fmt.Errorf("pages about %s: got %d, want 1 to its owner", subject, len(found))
	}
	text := ""
	for _, e := range found[0].Events {
		text += string(e.Raw)
	}
	for _, n := range found[0].Notes {
		text += n.Text
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			return fmt.Errorf("the page about %s does not say %q: %s", subject, w, text)
		}
	}
	return nil
}

// untouched says whether the daemon wrote anything.
func (p *production) untouched() error {
	for _, e := range p.kube.Audit(servers.Daemon) {
		if !slices.Contains([]string{"get", "list", "watch"}, e.Verb) && !strings.HasPrefix(e.ObjectRef.Resource, "selfsubject") {
			return fmt.Errorf("the daemon wrote: %s %s/%s, %d", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name, e.ResponseStatus.Code)
		}
	}
	return nil
}

// oddities are targets with which something is wrong.
func (p *production) oddities() {
	p.t.Helper()
	admin, ctx := p.kube.Client(servers.Admin), p.t.Context()
	must := func(err error) {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
	}
	_, err := admin.CoreV1().ConfigMaps("core").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "odd-env"}, Data: map[string]string{endpointKey: "pg-odd.data-plane:5432"}}, metav1.CreateOptions{})
	must(err)
	labels := map[string]string{"app": "web"}
	pod := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:1"}}}}
	three := int32(3)
	_, err = admin.AppsV1().Deployments("core").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:core/web"}},
		Spec:       appsv1.DeploymentSpec{Replicas: &three, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: pod},
	}, metav1.CreateOptions{FieldManager: "argocd-controller"})
	must(err)
	pod.Spec.ServiceAccountName, pod.Spec.RestartPolicy = "root", corev1.RestartPolicyNever
	_, err = admin.BatchV1().CronJobs("core").Create(ctx, &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "replay"}, Spec: batchv1.CronJobSpec{Schedule: "0 0 1 1 *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: pod}}},
	}, metav1.CreateOptions{})
	must(err)
	role, err := admin.RbacV1().Roles("core").Get(ctx, "signalbox", metav1.GetOptions{})
	must(err)
	role.Rules = append(
		role.Rules,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"gone-env", "odd-env"}, Verbs: []string{"get", "patch"}},
		rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: []string{"web"}, Verbs: []string{"get", "patch"}},
		rbacv1.PolicyRule{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: []string{"list"}},
		rbacv1.PolicyRule{APIGroups: []string{"batch"}, Resources: []string{"cronjobs"}, ResourceNames: []string{"replay"}, Verbs: []string{"get"}},
		rbacv1.PolicyRule{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"get", "create"}},
	)
	_, err = admin.RbacV1().Roles("core").Update(ctx, role, metav1.UpdateOptions{})
	must(err)
}
