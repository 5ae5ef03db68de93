package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	signalbox "github.com/signalbox/signalbox"
	kube "github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/servers"
)

// world is a real API server with the job controller, as the daemon's account
// and as an admin see it. There are no kubelets: end stands for them.
type world struct {
	*servers.KubeServer

	t     *testing.T
	admin kubernetes.Interface
	r     *remediator
	now   time.Time
	conf  string
	dir   string // of the configuration
}

func newWorld(t *testing.T, controllers ...string) *world {
	t.Helper()
	w := newServer(t)
	servers.KubeControllers(t, w.KubeServer, controllers...)
	return w
}

// newServer is a world in which nothing happens by itself.
func newServer(t *testing.T) *world {
	t.Helper()
	k := servers.KubeAPI(t)
	w := &world{KubeServer: k, t: t, admin: k.Client(servers.Admin), now: time.Now(), conf: k.Kubeconfig(servers.Daemon), dir: t.TempDir()}
	opened, err := open(kind.Env{Now: func() time.Time { return w.now }, Agent: "signalbox/test"})
	w.must(err)
	w.r = opened.(*remediator)
	_, err = w.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "core"}}, metav1.CreateOptions{})
	w.must(err)
	w.grant()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// grant gives the daemon's account the Role of the documentation.
func (w *world) grant() {
	w.t.Helper()
	page, err := os.ReadFile("../../docs/remediators/job.md")
	w.must(err)
	for _, block := range strings.Split(string(page), "```") {
		text, ok := strings.CutPrefix(block, "yaml\n")
		if !ok || !strings.Contains(text, "\nkind: Role\n") {
			continue
		}
		var role rbacv1.Role
		w.must(yaml.UnmarshalStrict([]byte(text), &role))
		_, err := w.admin.RbacV1().Roles("core").Create(w.t.Context(), &role, metav1.CreateOptions{})
		w.must(err)
		_, err = w.admin.RbacV1().RoleBindings("core").Create(w.t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
			Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}},
		}, metav1.CreateOptions{})
		w.must(err)
		return
	}
	w.t.Fatal("the documentation has no Role")
}

// cronJob creates or replaces the suspended CronJob whose template is run.
func (w *world) cronJob(change func(p *corev1.PodSpec)) {
	w.t.Helper()
	suspended := true
	pod := corev1.PodSpec{ServiceAccountName: "replay", RestartPolicy: corev1.RestartPolicyOnFailure, Containers: []corev1.Container{{Name: "replay", Image: "registry.example/replay:1", Command: []string{"/replay"}}}}
	change(&pod)
	jobs := w.admin.BatchV1().CronJobs("core")
	_ = jobs.Delete(w.t.Context(), "replay-webhooks", metav1.DeleteOptions{})
	_, err := jobs.Create(w.t.Context(), &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "replay-webhooks"},
		Spec:       batchv1.CronJobSpec{Schedule: "0 0 * * *", Suspend: &suspended, JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: pod}}}},
	}, metav1.CreateOptions{})
	w.must(err)
}

func (w *world) step(items ...string) signalbox.Step {
	w.t.Helper()
	return w.stepOf(func(*Job) {}, items...)
}

// resolved is the spec of the tool with what change makes of its settings.
func (w *world) resolved(change func(j *Job)) (json.RawMessage, error) {
	j := replay()
	j.CronJob = "replay-webhooks"
	change(j)
	return resolve(kind.SpecInput{Name: "replay", Settings: j, ConfigDir: w.dir, Source: func(string) (string, kind.Settings, bool) {
		return "kubernetes", &kube.Settings{Kubeconfig: w.conf}, true
	}})
}

func (w *world) stepOf(change func(j *Job), items ...string) signalbox.Step {
	w.t.Helper()
	raw, err := w.resolved(change)
	w.must(err)
	return signalbox.Step{Kind: "job", Name: "replay", Spec: raw, Tool: true, Items: items, Flow: signalbox.Flow{Most: 100}}
}

func (w *world) claim(s signalbox.Step, id signalbox.ActionID) signalbox.Action {
	w.t.Helper()
	var f signalbox.Forecast
	servers.Await(w.t, servers.Patience, "the grant", func(ctx context.Context) (err error) { // the authorizer learns of it by a watch
		if f, err = w.r.Preview(ctx, s); err == nil && strings.Contains(f.Refused, "may not") {
			err = errors.New(f.Refused)
		}
		return err
	})
	if f.Refused != "" {
		w.t.Fatalf("refused: %s", f.Refused)
	}
	return signalbox.Action{ID: id, Step: s, Forecast: f, Stage: signalbox.Claimed, ClaimedAt: w.now}
}

func (w *world) jobs() []batchv1.Job {
	w.t.Helper()
	list, err := w.admin.BatchV1().Jobs("core").List(w.t.Context(), metav1.ListOptions{})
	w.must(err)
	return list.Items
}

// end lets a Job's pod end, as a kubelet would, and waits for what the
// controller makes of it.
func (w *world) end(a signalbox.Action, phase corev1.PodPhase, want signalbox.Phase) (p signalbox.Progress) {
	w.t.Helper()
	servers.Await(w.t, servers.Patience, "the end of "+string(a.ID), func(ctx context.Context) error {
		pods, err := w.admin.CoreV1().Pods("core").List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + nameOf(a.ID)})
		if err != nil {
			return err
		}
		for i := range pods.Items {
			if pod := &pods.Items[i]; pod.Status.Phase != phase {
				pod.Status.Phase = phase
				if _, err := w.admin.CoreV1().Pods("core").UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
					return err
				}
			}
		}
		if p, err = w.r.Probe(ctx, a); err == nil && p.Phase != want {
			err = fmt.Errorf("%+v", p)
		}
		return err
	})
	return p
}

// TestReal: one Job an action, by the rights that the documentation names,
// followed to its end; what it runs is what was previewed.
func TestReal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cronJob(func(*corev1.PodSpec) {})
	a := w.claim(w.step("evt_aaaa", "evt_bbbb"), "a1")
	if a.Forecast.NeedsApproval == "" || len(w.jobs()) != 0 || a.Forecast.Undo != nil {
		t.Errorf("forecast %+v, %d jobs", a.Forecast, len(w.jobs()))
	}
	held := a
	held.Gate = func() error { return errors.New("killed") }
	var failure *signalbox.Failure
	if _, err := w.r.Start(t.Context(), held); !errors.As(err, &failure) || len(w.jobs()) != 0 {
		t.Errorf("the gate: %v, %d jobs", err, len(w.jobs()))
	}
	late := a // another process sends between our look and our send
	late.Gate = func() error { _, err := w.r.Start(t.Context(), a); return err }
	for _, again := range []signalbox.Action{late, a, a} {
		if _, err := w.r.Start(t.Context(), again); err != nil {
			t.Error(err)
		}
	}
	jobs := w.jobs()
	if len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	s := jobs[0].Spec
	if got := strings.Join(s.Template.Spec.Containers[0].Args, " "); got != "--only-queued -- evt_aaaa evt_bbbb" || *s.BackoffLimit != 0 || s.Template.Spec.RestartPolicy != corev1.RestartPolicyNever || *s.TTLSecondsAfterFinished != 3600 {
		t.Errorf("runs %q, %+v", got, s)
	}
	if p, err := w.r.Probe(t.Context(), a); err != nil || p.Phase != signalbox.Running {
		t.Errorf("%+v, %v", p, err)
	}
	if p := w.end(a, corev1.PodSucceeded, signalbox.Succeeded); !strings.Contains(p.Receipt.Detail, "with 2 ids is complete") {
		t.Errorf("%+v", p)
	}
	b := w.claim(w.step("evt_cccc"), "a2")
	if _, err := w.r.Start(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if p := w.end(b, corev1.PodFailed, signalbox.Fell); p.Receipt.At.IsZero() || !strings.Contains(p.Reason, "BackoffLimitExceeded") {
		t.Errorf("a failed Job may have done some of its ids: %+v", p)
	}
}

// TestRealRefusals: what must not be run, and a Job that is not ours or long
// gone.
func TestRealRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cronJob(func(*corev1.PodSpec) {})
	a := w.claim(w.step("evt_aaaa"), "a1")
	for want, change := range map[string]func(p *corev1.PodSpec){
		"runs as service account admin": func(p *corev1.PodSpec) { p.ServiceAccountName = "admin" },
		"uses the host's network":       func(p *corev1.PodSpec) { p.HostNetwork = true },
		"mounts a path of the host": func(p *corev1.PodSpec) {
			p.Volumes = []corev1.Volume{{Name: "root", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		},
		"adds capabilities": func(p *corev1.PodSpec) {
			p.InitContainers = []corev1.Container{{Name: "init", Image: "x", SecurityContext: &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_ADMIN"}}}}}
		},
	} {
		w.cronJob(change)
		if f, err := w.r.Preview(t.Context(), w.step("evt_aaaa")); err != nil || !strings.Contains(f.Refused, want) {
			t.Errorf("got %q, %v; want %q", f.Refused, err, want)
		}
	}
	var failure *signalbox.Failure
	if _, err := w.r.Start(t.Context(), a); !errors.As(err, &failure) {
		t.Errorf("it changed since the preview: %v", err)
	}
	doubt := a
	doubt.Stage = signalbox.Doubt
	if _, err := w.r.Start(t.Context(), doubt); err == nil || errors.As(err, &failure) {
		t.Errorf("an earlier attempt may still come through: %v", err)
	}
	w.cronJob(func(*corev1.PodSpec) {})
	w.now = w.now.Add(2 * time.Hour)
	if _, err := w.r.Start(t.Context(), doubt); err == nil || errors.As(err, &failure) || !strings.Contains(err.Error(), "cleaned up") {
		t.Errorf("long after the claim: %v", err)
	}
	if len(w.jobs()) != 0 {
		t.Errorf("%d jobs", len(w.jobs()))
	}
	b := w.claim(w.step("evt_aaaa"), "a2")
	_, err := w.admin.BatchV1().Jobs("core").Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: nameOf("a2")},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "x", Image: "x"}}}}},
	}, metav1.CreateOptions{})
	w.must(err)
	if _, err := w.r.Start(t.Context(), b); !errors.As(err, &failure) || !strings.Contains(err.Error(), "not of this action") {
		t.Errorf("another's Job: %v", err)
	}
}
