package setting_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	signalbox "github.com/signalbox/signalbox"
	kube "github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/setting"
	"github.com/signalbox/signalbox/test/servers"
)

const (
	variable   = "REDIS_SECONDARY"
	envFence   = "signalbox.io/fence.env.app." + variable
	valueMain  = "redis-a.data-plane:6379"
	valueSpare = "redis-b.data-plane:6379"
)

// fleet is a real API server with the controllers of workloads and a Deployment,
// as the daemon's account and as an admin see them. The daemon reaches it through
// a proxy that can lose answers.
type fleet struct {
	*servers.KubeServer

	t      *testing.T
	admin  kubernetes.Interface
	r      signalbox.Remediator
	now    time.Time
	config string
	lose   atomic.Int32 // so many answers to writes
}

func newFleet(t *testing.T, roles ...string) *fleet {
	t.Helper()
	k := servers.KubeAPI(t)
	servers.KubeControllers(t, k)
	f := &fleet{KubeServer: k, t: t, admin: k.Client(servers.Admin), now: time.Now()}
	f.config = k.KubeconfigFor(servers.Daemon, f.proxy())
	_, err := f.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "core"}}, metav1.CreateOptions{})
	f.must(err)
	for _, name := range roles {
		f.grant(name)
	}
	f.r = f.process()
	return f
}

// grant gives the daemon's account a Role of the documentation.
func (f *fleet) grant(name string) {
	f.t.Helper()
	role := documentedRole(f.t, name)
	_, err := f.admin.RbacV1().Roles("core").Create(f.t.Context(), &role, metav1.CreateOptions{})
	f.must(err)
	_, err = f.admin.RbacV1().RoleBindings("core").Create(f.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}},
	}, metav1.CreateOptions{})
	f.must(err)
}

// process is a daemon that has just begun.
func (f *fleet) process() signalbox.Remediator {
	f.t.Helper()
	r, err := setting.Open(kind.Env{Now: func() time.Time { return f.now }, Agent: "signalbox/test"})
	f.must(err)
	return r
}

// proxy stands before the API server, and loses answers after it has written.
func (f *fleet) proxy() string {
	to, err := url.Parse(f.URL)
	f.must(err)
	admin, err := clientcmd.BuildConfigFromFlags("", f.Kubeconfig(servers.Admin))
	f.must(err)
	trust, err := rest.TLSConfigFor(admin)
	f.must(err)
	through := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{TLSClientConfig: trust},
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch && f.lose.Load() > 0 {
			f.lose.Add(-1)
			through.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		through.ServeHTTP(w, r)
	}))
	s.TLS = f.TLS()
	s.StartTLS()
	f.t.Cleanup(s.Close)
	return s.URL
}

func (f *fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// deploy creates the Deployment web with an app that has the variable, and a
// sidecar that has one of its name too. edit may change it before.
func (f *fleet) deploy(edit func(*appsv1.Deployment)) {
	f.t.Helper()
	d := deployment("web")
	d.Spec.Template.Spec.Containers = []corev1.Container{
		{Name: "sidecar", Image: "registry.example/sidecar:1", Env: []corev1.EnvVar{{Name: variable, Value: "other"}}},
		{Name: "app", Image: "registry.example/app:1", Env: []corev1.EnvVar{{Name: "FIRST", Value: "1"}, {Name: variable, Value: valueMain}, {Name: "DB", Value: "pg-a"}}},
	}
	if edit != nil {
		edit(d)
	}
	_, err := f.admin.AppsV1().Deployments("core").Create(f.t.Context(), d, metav1.CreateOptions{FieldManager: "kubectl-create"})
	f.must(err)
	f.settle("web")
}

func deployment(name string) *appsv1.Deployment {
	replicas, labels := int32(3), map[string]string{"app": name}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}}
	d.Spec.Replicas, d.Spec.Selector = &replicas, &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template.Labels = labels
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: "registry.example/app:1"}}
	return d
}

func (f *fleet) web() *appsv1.Deployment {
	f.t.Helper()
	d, err := f.admin.AppsV1().Deployments("core").Get(f.t.Context(), "web", metav1.GetOptions{})
	f.must(err)
	return d
}

// settle lets pods come until a Deployment is as it should be.
func (f *fleet) settle(name string) {
	f.t.Helper()
	servers.Await(f.t, servers.Patience, "deployment "+name, func(ctx context.Context) error {
		if err := servers.RunPods(ctx, f.admin, "core"); err != nil {
			return err
		}
		d, err := f.admin.AppsV1().Deployments("core").Get(ctx, name, metav1.GetOptions{})
		if err == nil && !d.Spec.Paused && (d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas != *d.Spec.Replicas || d.Status.AvailableReplicas != *d.Spec.Replicas || d.Status.Replicas != *d.Spec.Replicas) {
			err = fmt.Errorf("status %+v", d.Status)
		}
		return err
	})
}

// patch changes the Deployment as somebody does.
func (f *fleet) patch(manager, body string) {
	f.t.Helper()
	_, err := f.admin.AppsV1().Deployments("core").Patch(f.t.Context(), "web", types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{FieldManager: manager})
	f.must(err)
}

// put is a patch that sets the app's variable.
func put(value string) string {
	return fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":%q,"value":%q}]}]}}}}`, variable, value)
}

// of is the app's value of a variable.
func (f *fleet) of(name string) string {
	f.t.Helper()
	for _, v := range f.web().Spec.Template.Spec.Containers[1].Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

func theEnv() *setting.Env {
	return &setting.Env{Source: "cluster", Namespace: "core", Deployment: "web", Container: "app", Name: variable, Timeout: kind.Duration(10 * time.Minute)}
}

func (f *fleet) stepOf(e *setting.Env, to string, positions map[string]string) signalbox.Step {
	f.t.Helper()
	e.Validate(func(path, rule string, value any) { f.t.Fatalf("%s %s: %v", path, rule, value) })
	raw, err := setting.Resolve(kind.SpecInput{
		Name: "redis", Backend: "env", Positions: positions, Settings: e,
		Source: func(string) (string, kind.Settings, bool) {
			return "kubernetes", &kube.Settings{Kubeconfig: f.config}, true
		},
	})
	f.must(err)
	return signalbox.Step{Kind: "endpoint", Name: "redis", To: to, Spec: raw}
}

func (f *fleet) step(to string) signalbox.Step {
	f.t.Helper()
	return f.stepOf(theEnv(), to, map[string]string{"main": valueMain, "spare": valueSpare})
}

// preview waits until the authorizer knows of the grants.
func (f *fleet) preview(s signalbox.Step) (forecast signalbox.Forecast) {
	f.t.Helper()
	servers.Await(f.t, servers.Patience, "the grant", func(ctx context.Context) (err error) {
		if forecast, err = f.r.Preview(ctx, s); err == nil && strings.Contains(forecast.Refused, "may not") {
			err = errors.New(forecast.Refused)
		}
		return err
	})
	return forecast
}

func (f *fleet) claim(s signalbox.Step, id signalbox.ActionID, token signalbox.Token) signalbox.Action {
	f.t.Helper()
	forecast := f.preview(s)
	if forecast.Refused != "" {
		f.t.Fatalf("refused: %s", forecast.Refused)
	}
	return signalbox.Action{ID: id, Step: s, Forecast: forecast, Stage: signalbox.Claimed, Token: token, ClaimedAt: f.now}
}

func (f *fleet) start(a signalbox.Action) {
	f.t.Helper()
	if _, err := f.r.Start(f.t.Context(), a); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) probe(a signalbox.Action) signalbox.Progress {
	f.t.Helper()
	p, err := f.r.Probe(f.t.Context(), a)
	f.must(err)
	return p
}

// awaitPhase follows an action until it is in a phase, while kubelets do their
// part or not.
func (f *fleet) awaitPhase(a signalbox.Action, want signalbox.Phase, kubelets bool) (p signalbox.Progress) {
	f.t.Helper()
	servers.Await(f.t, servers.Patience, string(want), func(ctx context.Context) (err error) {
		if kubelets {
			if err := servers.RunPods(ctx, f.admin, "core"); err != nil {
				return err
			}
		}
		if p, err = f.r.Probe(ctx, a); err == nil && p.Phase != want {
			err = fmt.Errorf("%+v", p)
		}
		return err
	})
	return p
}

// awaitWrites waits for the API server's log to show so many writes of the
// daemon that were carried out.
func (f *fleet) awaitWrites(want int) {
	f.t.Helper()
	servers.Await(f.t, servers.Patience, "writes", func(context.Context) error {
		n := 0
		for _, e := range f.Audit(servers.Daemon) {
			if e.ResponseStatus.Code < 300 && e.Verb != "get" && e.Verb != "list" && e.ObjectRef.Resource != "selfsubjectaccessreviews" {
				n++
			}
		}
		if n != want {
			return fmt.Errorf("%d writes, want %d", n, want)
		}
		return nil
	})
}
