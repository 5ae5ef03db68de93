package setting_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	signalbox "github.com/signalbox/signalbox"
	kube "github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/setting"
	"github.com/signalbox/signalbox/test/servers"
)

// newRestarts is a fleet of two Deployments that read a ConfigMap at their start.
func newRestarts(t *testing.T) *fleet {
	t.Helper()
	f := newFleet(t, "signalbox-switches", "signalbox-switch-restart")
	_, err := f.admin.CoreV1().ConfigMaps("core").Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "core-env"}, Data: map[string]string{key: valueA},
	}, metav1.CreateOptions{})
	f.must(err)
	for _, name := range []string{"web", "worker"} {
		_, err := f.admin.AppsV1().Deployments("core").Create(t.Context(), deployment(name), metav1.CreateOptions{})
		f.must(err)
		f.settle(name)
	}
	return f
}

func (f *fleet) restartStep(to string) signalbox.Step {
	f.t.Helper()
	c := &setting.ConfigMap{Source: "cluster", Namespace: "core", Name: "core-env", Key: key, Restart: []setting.Restart{{Deployment: "web"}, {Deployment: "worker"}}}
	c.Validate(func(path, rule string, value any) { f.t.Fatalf("%s %s: %v", path, rule, value) })
	raw, err := setting.Resolve(kind.SpecInput{
		Name: "read-endpoint", Backend: "configmap", Positions: map[string]string{"replica-a": valueA, "replica-b": valueB}, Settings: c,
		Source: func(string) (string, kind.Settings, bool) {
			return "kubernetes", &kube.Settings{Kubeconfig: f.config}, true
		},
	})
	f.must(err)
	return signalbox.Step{Kind: "endpoint", Name: "read-endpoint", To: to, Spec: raw}
}

// drive does what the engine does, until the action is over: each write by a
// process of its own where killed says so.
func (f *fleet) drive(a signalbox.Action, killed bool) (p signalbox.Progress) {
	f.t.Helper()
	servers.Await(f.t, 2*servers.Patience, "the end of the restarts", func(ctx context.Context) (err error) {
		if err := servers.RunPods(ctx, f.admin, "core"); err != nil {
			return err
		}
		if p, err = f.r.Probe(ctx, a); err != nil {
			return err
		}
		if p.Next {
			if killed {
				f.lose.Store(1)
				f.r = f.process()
			}
			err := f.r.(signalbox.Continuer).Continue(ctx, a)
			if killed && err == nil {
				return errors.New("no answer was lost")
			}
			f.r = f.process()
		}
		if p.Phase == signalbox.Running || p.Phase == signalbox.InDoubt {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	return p
}

// restarts is how often a Deployment's pods were replaced, and for which action
// last.
func (f *fleet) restarts(name string) (n int, by string) {
	f.t.Helper()
	d, err := f.admin.AppsV1().Deployments("core").Get(f.t.Context(), name, metav1.GetOptions{})
	f.must(err)
	sets, err := f.admin.AppsV1().ReplicaSets("core").List(f.t.Context(), metav1.ListOptions{LabelSelector: "app=" + name})
	f.must(err)
	return len(sets.Items) - 1, d.Spec.Template.Annotations["signalbox.io/restarted-by"]
}

// TestRealRestarts: after the value, each workload is restarted once and in
// order, though every answer is lost and the process killed at every write.
func TestRealRestarts(t *testing.T) {
	t.Parallel()
	f := newRestarts(t)
	a := f.claim(f.restartStep("replica-b"), "a1", 10)
	if len(a.Forecast.Targets) != 3 || time.Duration(a.Forecast.Takes) != 21*time.Minute || a.Forecast.Class != signalbox.ClassA {
		t.Errorf("forecast %+v", a.Forecast)
	}
	f.awaitWrites(0)
	f.lose.Store(1)
	if _, err := f.r.Start(t.Context(), a); err == nil || refused(err) {
		t.Errorf("got %v, want doubt", err)
	}
	a.Stage = signalbox.Doubt
	f.r = f.process()
	if err := f.r.(signalbox.Sealer).Seal(t.Context(), a, 15); err != nil {
		t.Fatal(err)
	}
	a.Sealed = 15
	if p := f.probe(a); p.Phase != signalbox.Running || !p.Next {
		t.Errorf("after the value: %+v", p)
	}
	f.lose.Store(1)
	if err := f.r.(signalbox.Continuer).Continue(t.Context(), a); err == nil {
		t.Error("no answer was lost")
	}
	f.r = f.process()
	f.must(f.r.(signalbox.Continuer).Continue(t.Context(), a)) // web is on its way
	if n, _ := f.restarts("worker"); n != 0 {
		t.Errorf("worker was restarted before web was done")
	}
	if p := f.drive(a, true); p.Phase != signalbox.Succeeded || !strings.Contains(p.Receipt.Detail, "2 workloads were restarted") {
		t.Errorf("got %+v", p)
	}
	for _, name := range []string{"web", "worker"} {
		if n, by := f.restarts(name); n != 1 || by != "a1" {
			t.Errorf("%s was restarted %d times, by %q", name, n, by)
		}
	}
	f.awaitWrites(3)
	u := f.claim(*a.Forecast.Undo, "u1", 20)
	u.Undoes = a.ID
	f.start(u)
	if p := f.drive(u, false); p.Phase != signalbox.Succeeded {
		t.Errorf("undo: %+v", p)
	}
	if n, by := f.restarts("worker"); n != 2 || by != "u1" {
		t.Errorf("worker was restarted %d times, by %q", n, by)
	}
	f.awaitWrites(6)
}

// TestRealRestartBudget: a disruption budget that allows none is waited for, not
// forced, and an old process does not restart what a later action has.
func TestRealRestartBudget(t *testing.T) {
	t.Parallel()
	f := newRestarts(t)
	pdb, err := f.admin.PolicyV1().PodDisruptionBudgets("core").Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}, metav1.CreateOptions{})
	f.must(err)
	allow := func(n int32) { // as the disruption controller does
		t.Helper()
		pdb.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: pdb.Generation, DisruptionsAllowed: n, CurrentHealthy: 3, DesiredHealthy: 3 - n}
		pdb, err = f.admin.PolicyV1().PodDisruptionBudgets("core").UpdateStatus(t.Context(), pdb, metav1.UpdateOptions{})
		f.must(err)
	}
	allow(0)
	a := f.claim(f.restartStep("replica-b"), "a1", 10)
	f.start(a)
	if p := f.probe(a); p.Phase != signalbox.Running || p.Next || !strings.Contains(p.Reason, "PodDisruptionBudget web allows no disruption now (3 of 3 healthy)") {
		t.Errorf("got %+v", p)
	}
	f.must(f.r.(signalbox.Continuer).Continue(t.Context(), a))
	if n, _ := f.restarts("web"); n != 0 {
		t.Error("it was restarted against the budget")
	}
	f.now = f.now.Add(11 * time.Minute)
	if p := f.probe(a); p.Phase != signalbox.Fell || !strings.Contains(p.Reason, "allows no disruption now") || !strings.Contains(p.Reason, "to take it back by hand: kubectl -n core patch configmap") {
		t.Errorf("after its time: %+v", p)
	}
	f.now = f.now.Add(-11 * time.Minute)
	allow(1)
	held := a
	held.Gate = func() error { // a process that was stopped here; a later one goes on, and to the end
		held.Gate = nil
		f.must(f.process().(signalbox.Continuer).Continue(t.Context(), a))
		return nil
	}
	f.must(f.r.(signalbox.Continuer).Continue(t.Context(), held))
	if p := f.drive(a, false); p.Phase != signalbox.Succeeded {
		t.Errorf("got %+v", p)
	}
	if n, by := f.restarts("web"); n != 1 || by != "a1" {
		t.Errorf("web was restarted %d times, by %q", n, by)
	}
	f.awaitWrites(3)
}

// TestRealRestartRefused: what could not be restarted forbids the step before
// anything is done.
func TestRealRestartRefused(t *testing.T) {
	t.Parallel()
	f := newRestarts(t)
	f.claim(f.restartStep("replica-b"), "a1", 10)
	f.patch("kubectl", `{"spec":{"paused":true}}`)
	if got := f.preview(f.restartStep("replica-b")); !strings.Contains(got.Refused, "deployment core/web could not be restarted: it is paused") || got.Undo != nil {
		t.Errorf("got %q", got.Refused)
	}
	f.patch("kubectl", `{"spec":{"paused":false,"strategy":{"rollingUpdate":null,"type":"Recreate"}}}`)
	if got := f.preview(f.restartStep("replica-b")); !strings.Contains(got.Refused, "its strategy is Recreate") {
		t.Errorf("got %q", got.Refused)
	}
	f.must(f.admin.AppsV1().Deployments("core").Delete(t.Context(), "web", metav1.DeleteOptions{}))
	if got := f.preview(f.restartStep("replica-b")); !strings.Contains(got.Refused, "there must be a deployment web") {
		t.Errorf("got %q", got.Refused)
	}
	f.awaitWrites(0)
}
