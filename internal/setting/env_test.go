package setting_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/setting"
	"github.com/signalbox/signalbox/test/servers"
)

func refused(err error) bool {
	var failure *signalbox.Failure
	return errors.As(err, &failure)
}

// TestRealEnv: a variable is set once, with the rights that the documentation
// names, its rollout followed to its end, and taken back to exactly what was
// found.
func TestRealEnv(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "signalbox-switch-env")
	f.deploy(nil)
	found := f.web().Spec
	a := f.claim(f.step("spare"), "a1", 10)
	if n := len(a.Forecast.Targets); n != 2 || a.Forecast.Targets[1] != "deployment core/web" || a.Forecast.Class != signalbox.ClassA {
		t.Errorf("forecast: %+v", a.Forecast)
	}
	f.awaitWrites(0)
	f.start(a)
	f.start(a)
	if p := f.probe(a); p.Phase != signalbox.Running || !strings.Contains(p.Reason, "its pods are being replaced") {
		t.Errorf("written is not done: %+v", p)
	}
	d := f.web()
	if f.of(variable) != valueSpare || !strings.Contains(d.Annotations[envFence], `"action":"a1"`) {
		t.Errorf("got %s, %v", f.of(variable), d.Annotations)
	}
	if got := f.preview(f.step("main")); !strings.Contains(got.Refused, "a rollout of it is under way") && !strings.Contains(got.Refused, "its last change is too new") {
		t.Errorf("over a rollout: %q", got.Refused)
	}
	f.awaitPhase(a, signalbox.Succeeded, true)
	if got := f.preview(f.step("spare")); !got.Already || got.Refused != "" {
		t.Errorf("it is there: %+v", got)
	}
	u := f.claim(*a.Forecast.Undo, "u1", 20)
	u.Undoes = a.ID
	f.start(u)
	f.awaitPhase(u, signalbox.Succeeded, true)
	if now := f.web().Spec; !reflect.DeepEqual(now, found) {
		t.Errorf("found %+v, left %+v", found, now)
	}
	f.awaitWrites(2)
}

// TestRealEnvTwoVariables: what one switch applied stays when another one of the
// same workload is thrown and sealed.
func TestRealEnvTwoVariables(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "signalbox-switch-env")
	f.deploy(nil)
	db := theEnv()
	db.Name = "DB"
	positions := map[string]string{"main": "pg-a", "spare": "pg-b"}
	a := f.claim(f.step("spare"), "a1", 10)
	f.start(a)
	f.awaitPhase(a, signalbox.Succeeded, true)
	b := f.claim(f.stepOf(db, "spare", positions), "b1", 20)
	if err := f.r.(signalbox.Sealer).Seal(t.Context(), b, 25); err != nil {
		t.Fatal(err)
	}
	b.Sealed = 25
	f.start(b)
	f.awaitPhase(b, signalbox.Succeeded, true)
	u := f.claim(*a.Forecast.Undo, "u1", 30)
	u.Undoes = a.ID
	if err := f.r.(signalbox.Sealer).Seal(t.Context(), u, 35); err != nil {
		t.Fatal(err)
	}
	u.Sealed = 35
	f.start(u)
	f.awaitPhase(u, signalbox.Succeeded, true)
	if f.of(variable) != valueMain || f.of("DB") != "pg-b" || f.of("FIRST") != "1" {
		t.Errorf("left %+v", f.web().Spec.Template.Spec.Containers)
	}
	if at := f.web().Annotations; !strings.Contains(at["signalbox.io/fence.env.app.DB"], `"action":"b1"`) || !strings.Contains(at[envFence], `"action":"u1"`) {
		t.Errorf("fences %v", at)
	}
}

// TestRealEnvLostAnswer: the value was written and the answer lost, or the
// process killed before it came. Its successor finds it, and writes nothing.
func TestRealEnvLostAnswer(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "signalbox-switch-env")
	f.deploy(nil)
	a := f.claim(f.step("spare"), "a1", 10)
	f.lose.Store(1)
	if _, err := f.r.Start(t.Context(), a); err == nil || refused(err) {
		t.Errorf("got %v, want doubt", err)
	}
	a.Stage = signalbox.Doubt
	f.r = f.process()
	if err := f.r.(signalbox.Sealer).Seal(t.Context(), a, 15); err != nil {
		t.Errorf("seal of what is there: %v", err)
	}
	a.Sealed = 15
	f.start(a)
	f.awaitPhase(a, signalbox.Succeeded, true)
	f.awaitWrites(1)
}

// TestRealEnvSeal: a process that was stopped between its last check and its send
// goes on after its successor has sealed.
func TestRealEnvSeal(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "signalbox-switch-env")
	f.deploy(nil)
	a := f.claim(f.step("spare"), "a1", 10)
	late := a
	late.Gate = func() error {
		late.Gate = nil
		if p := f.probe(a); p.Phase != signalbox.InDoubt {
			t.Errorf("before the seal: %+v", p)
		}
		if err := f.process().(signalbox.Sealer).Seal(t.Context(), a, 15); err != nil {
			t.Error(err)
		}
		if p := f.probe(a); p.Phase != signalbox.NotStarted {
			t.Errorf("after the seal: %+v", p)
		}
		return nil
	}
	if _, err := f.r.Start(t.Context(), late); !refused(err) || !strings.Contains(err.Error(), "sealed by a successor") || f.of(variable) != valueMain {
		t.Errorf("late write: %v, value %s", err, f.of(variable))
	}
	a.Sealed = 15
	f.start(a)
	f.awaitPhase(a, signalbox.Succeeded, true)
	f.awaitWrites(2)
}

// TestRealEnvConflicts: others write the workload between look and write.
func TestRealEnvConflicts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "signalbox-switch-env")
	f.deploy(nil)
	a := f.claim(f.step("spare"), "a1", 10)
	gates := 0
	a.Gate = func() error {
		if gates++; gates == 1 {
			f.patch("kubectl-annotate", `{"metadata":{"annotations":{"note":"1"}}}`)
		}
		return nil
	}
	f.start(a)
	f.awaitPhase(a, signalbox.Succeeded, true)
	if gates < 2 || f.web().Annotations["note"] != "1" { // its controller writes the status, too
		t.Errorf("another's annotation: %d gates, %v", gates, f.web().Annotations)
	}
	u := f.claim(*a.Forecast.Undo, "u1", 20)
	u.Undoes = a.ID
	u.Gate = func() error { f.patch("kubectl-edit", put("by-hand:6379")); return nil }
	if _, err := f.r.Start(t.Context(), u); !refused(err) || f.of(variable) != "by-hand:6379" {
		t.Errorf("over another's value: %v, left %s", err, f.of(variable))
	}
	f.settle("web")
	if got := f.preview(f.step("main")); !strings.Contains(got.Hand, `written by "kubectl-edit" at 20`) {
		t.Errorf("hand %q", got.Hand)
	}
}

// TestRealEnvFails: the pods don't come. What is there is told, and how to take it
// back; the way back goes over what is stuck.
func TestRealEnvFails(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "signalbox-switch-env")
	f.deploy(func(d *appsv1.Deployment) { soon := int32(3); d.Spec.ProgressDeadlineSeconds = &soon })
	a := f.claim(f.step("spare"), "a1", 10)
	f.start(a)
	p := f.awaitPhase(a, signalbox.Fell, false)
	if !strings.Contains(p.Reason, "ProgressDeadlineExceeded") || !strings.Contains(p.Reason, "kubectl -n core set env deployment/web -c app "+variable+"="+valueMain) {
		t.Errorf("got %q", p.Reason)
	}
	for to, want := range map[string]string{"main": "its last rollout did not get there", "spare": "its last rollout did not get there"} {
		if got := f.preview(f.step(to)); !strings.Contains(got.Refused, want) || got.Already {
			t.Errorf("%s: %+v", to, got)
		}
	}
	u := f.claim(*a.Forecast.Undo, "u1", 20)
	u.Undoes = a.ID
	f.start(u)
	f.awaitPhase(u, signalbox.Succeeded, true)
	f.patch("kubectl-edit", `{"spec":{"progressDeadlineSeconds":600}}`)
	f.settle("web")
	late := f.claim(f.step("spare"), "a2", 30)
	f.start(late)
	f.now = f.now.Add(time.Hour)
	if p := f.probe(late); p.Phase != signalbox.Fell || !strings.Contains(p.Reason, "not after 10m") {
		t.Errorf("after its time: %+v", p)
	}
}

// TestRealEnvOwners: what somebody keeps is refused by its name, and what
// somebody set once is not.
func TestRealEnvOwners(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "signalbox-switch-env")
	f.deploy(nil)
	f.claim(f.step("spare"), "a1", 10)
	is := func(want string) {
		t.Helper()
		got := f.preview(f.step("spare"))
		if (want == "") != (got.Refused == "") || !strings.Contains(got.Refused, want) || want != "" && got.Undo != nil {
			t.Errorf("got %q, want %q", got.Refused, want)
		}
	}
	f.patch("kubectl-set", put("x"))
	f.patch("kubectl-set", put(valueMain))
	f.settle("web")
	is("")
	f.patch("argocd-controller", put("x"))
	f.patch("argocd-controller", put(valueMain))
	f.settle("web")
	is(`Argo CD (field manager "argocd-controller") owns it`)
	ignoring := theEnv()
	ignoring.GitOpsIgnores = true
	if got := f.preview(f.stepOf(ignoring, "spare", map[string]string{"main": valueMain, "spare": valueSpare})); got.Refused != "" {
		t.Errorf("told that it is ignored: %q", got.Refused)
	}
	f.patch("kubectl-set", put("x"))
	yes := true
	_, err := f.admin.AppsV1().Deployments("core").Patch(t.Context(), "web", types.ApplyPatchType,
		[]byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},`+strings.TrimPrefix(put(valueMain), "{")), metav1.PatchOptions{FieldManager: "release-tool", Force: &yes})
	f.must(err)
	f.settle("web")
	is(`field manager "release-tool" applies it server-side`)
	f.patch("kubectl-set", put("x"))
	f.patch("kubectl-set", put(valueMain))
	f.settle("web")
	is("")
	f.patch("helm", `{"metadata":{"annotations":{"meta.helm.sh/release-name":"web"}}}`)
	is("Helm keeps the deployment")
	f.awaitWrites(0)
}

// TestRealEnvRefused: what can't be set is refused before anything is done, with
// what to change.
func TestRealEnvRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "signalbox-switch-env")
	f.deploy(nil)
	is := func(e *setting.Env, want string) {
		t.Helper()
		got := f.preview(f.stepOf(e, "spare", map[string]string{"main": valueMain, "spare": valueSpare}))
		if !strings.Contains(got.Refused, want) || got.Undo != nil {
			t.Errorf("got %q, want %q", got.Refused, want)
		}
	}
	e := theEnv()
	e.Container = "api"
	is(e, "it has no container api: it has sidecar, app")
	e = theEnv()
	e.Name = "REDIS"
	is(e, "container app has no variable REDIS under env: add it")
	e = theEnv()
	e.Container = "sidecar"
	is(e, `value "other" is not one of the listed positions`)
	e = theEnv()
	e.Deployment = "other"
	if got, err := f.r.Preview(t.Context(), f.stepOf(e, "spare", map[string]string{"main": valueMain, "spare": valueSpare})); err != nil || !strings.Contains(got.Refused, "may not get deployments.apps") {
		t.Errorf("got %q, %v", got.Refused, err)
	}
	f.patch("kubectl", `{"spec":{"paused":true}}`)
	is(theEnv(), "is paused")
	f.patch("kubectl", `{"spec":{"paused":false,"strategy":{"rollingUpdate":null,"type":"Recreate"}}}`)
	f.settle("web")
	is(theEnv(), "its strategy is Recreate, so that all pods (3) are gone")
	e = theEnv()
	e.AllowOutage = true
	if got := f.preview(f.stepOf(e, "spare", map[string]string{"main": valueMain, "spare": valueSpare})); got.Refused != "" {
		t.Errorf("with allow_outage: %q", got.Refused)
	}
	f.patch("kubectl", `{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"100%","maxSurge":0}}}}`)
	f.settle("web")
	is(theEnv(), "all pods (3) may be gone at once")
	f.patch("kubectl", `{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":1}},"template":{"spec":{"containers":[{"name":"app","env":[{"name":"`+variable+`","value":null,"valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}}}}`)
	f.settle("web")
	is(theEnv(), "takes its value from elsewhere (valueFrom)")
	f.awaitWrites(0)
}

// TestRealEnvStatefulSet: the pods are replaced one by one, and followed so.
func TestRealEnvStatefulSet(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "signalbox-switch-env")
	role := documentedRole(t, "signalbox-switch-env")
	role.Rules[0].Resources = []string{"statefulsets"}
	_, err := f.admin.RbacV1().Roles("core").Update(t.Context(), &role, metav1.UpdateOptions{})
	f.must(err)
	d := deployment("web").Spec
	d.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: variable, Value: valueMain}}
	two := int32(2)
	_, err = f.admin.AppsV1().StatefulSets("core").Create(t.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       appsv1.StatefulSetSpec{Replicas: &two, Selector: d.Selector, Template: d.Template, ServiceName: "web"},
	}, metav1.CreateOptions{})
	f.must(err)
	e := theEnv()
	e.Deployment, e.StatefulSet = "", "web"
	step := f.stepOf(e, "spare", map[string]string{"main": valueMain, "spare": valueSpare})
	servers.Await(t, servers.Patience, "both pods", func(ctx context.Context) error {
		if err := servers.RunPods(ctx, f.admin, "core"); err != nil {
			return err
		}
		s, err := f.admin.AppsV1().StatefulSets("core").Get(ctx, "web", metav1.GetOptions{})
		if err == nil && s.Status.AvailableReplicas != 2 {
			err = fmt.Errorf("status %+v", s.Status)
		}
		return err
	})
	a := f.claim(step, "a1", 10)
	f.start(a)
	if p := f.probe(a); p.Phase != signalbox.Running {
		t.Errorf("written is not done: %+v", p)
	}
	f.awaitPhase(a, signalbox.Succeeded, true)
	pods, err := f.admin.CoreV1().Pods("core").List(t.Context(), metav1.ListOptions{})
	f.must(err)
	for i := range pods.Items {
		if got := pods.Items[i].Spec.Containers[0].Env[0].Value; got != valueSpare || len(pods.Items) != 2 {
			t.Errorf("%s has %s, of %d pods", pods.Items[i].Name, got, len(pods.Items))
		}
	}
	f.awaitWrites(1)
}
