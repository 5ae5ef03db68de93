package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	signalbox "github.com/signalbox/signalbox"
	kube "github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/servers"
)

// world is a real API server with the controllers of workloads, as the
// daemon's account and as an admin see it. There are no kubelets: servers.RunPods
// stands for them.
type world struct {
	*servers.KubeServer

	t     *testing.T
	admin kubernetes.Interface
	r     *remediator
	now   time.Time
	conf  map[string]string // kubeconfig by account
}

func newCluster(t *testing.T, controllers ...string) *world {
	t.Helper()
	c := newServer(t)
	servers.KubeControllers(t, c.KubeServer, controllers...)
	return c
}

// newServer is a cluster in which nothing happens by itself.
func newServer(t *testing.T) *world {
	t.Helper()
	k := servers.KubeAPI(t)
	c := &world{KubeServer: k, t: t, admin: k.Client(servers.Admin), now: time.Now()}
	c.conf = map[string]string{servers.Daemon: k.Kubeconfig(servers.Daemon), servers.Admin: k.Kubeconfig(servers.Admin)}
	opened, err := open(kind.Env{Now: func() time.Time { return c.now }, Agent: "signalbox/test"})
	c.must(err)
	c.r = opened.(*remediator)
	_, err = c.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "core"}}, metav1.CreateOptions{})
	c.must(err)
	c.grant()
	return c
}

func (c *world) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// grant gives the daemon's account the roles of the documentation.
func (c *world) grant() {
	c.t.Helper()
	page, err := os.ReadFile("../../docs/remediators/rollout.md")
	c.must(err)
	subjects := []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}}
	granted := 0
	for _, block := range strings.Split(string(page), "```") {
		text, ok := strings.CutPrefix(block, "yaml\n")
		switch {
		case ok && strings.Contains(text, "\nkind: Role\n"):
			var role rbacv1.Role
			c.must(yaml.UnmarshalStrict([]byte(text), &role))
			_, err := c.admin.RbacV1().Roles(role.Namespace).Create(c.t.Context(), &role, metav1.CreateOptions{})
			c.must(err)
			_, err = c.admin.RbacV1().RoleBindings(role.Namespace).Create(c.t.Context(), &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: subjects,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
			}, metav1.CreateOptions{})
			c.must(err)
			granted++
		case ok && strings.Contains(text, "\nkind: ClusterRole\n"):
			var role rbacv1.ClusterRole
			c.must(yaml.UnmarshalStrict([]byte(text), &role))
			_, err := c.admin.RbacV1().ClusterRoles().Create(c.t.Context(), &role, metav1.CreateOptions{})
			c.must(err)
			_, err = c.admin.RbacV1().ClusterRoleBindings().Create(c.t.Context(), &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: subjects,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			}, metav1.CreateOptions{})
			c.must(err)
			granted++
		}
	}
	if granted != 2 {
		c.t.Fatalf("the documentation has %d roles", granted)
	}
}

// deploy creates a Deployment and waits until its controller has made it.
func (c *world) deploy(name string, replicas int32) {
	c.t.Helper()
	c.create(name, replicas)
	c.settle(name)
}

func (c *world) create(name string, replicas int32) {
	c.t.Helper()
	labels := map[string]string{"app": name}
	_, err := c.admin.AppsV1().Deployments("core").Create(c.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:1"}}}},
		},
	}, metav1.CreateOptions{})
	c.must(err)
}

func (c *world) deployment(name string) *appsv1.Deployment {
	c.t.Helper()
	d, err := c.admin.AppsV1().Deployments("core").Get(c.t.Context(), name, metav1.GetOptions{})
	c.must(err)
	return d
}

// settle lets pods come until a Deployment is as it should be.
func (c *world) settle(name string) {
	c.t.Helper()
	servers.Await(c.t, servers.Patience, "deployment "+name, func(ctx context.Context) error {
		if err := servers.RunPods(ctx, c.admin, "core"); err != nil {
			return err
		}
		d, err := c.admin.AppsV1().Deployments("core").Get(ctx, name, metav1.GetOptions{})
		if err == nil && (d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas != *d.Spec.Replicas || d.Status.AvailableReplicas != *d.Spec.Replicas || d.Status.Replicas != *d.Spec.Replicas) {
			err = fmt.Errorf("status %+v", d.Status)
		}
		return err
	})
}

// patch changes a Deployment as somebody does.
func (c *world) patch(name, manager, body string) {
	c.t.Helper()
	_, err := c.admin.AppsV1().Deployments("core").Patch(c.t.Context(), name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{FieldManager: manager})
	c.must(err)
}

// step is a move, as the daemon's account.
func (c *world) step(s kind.Settings, to string) signalbox.Step {
	c.t.Helper()
	s.Validate(func(path, rule string, value any) { c.t.Fatalf("%s %s: %v", path, rule, value) })
	raw, err := resolve(kind.SpecInput{Name: "web", Settings: s, Source: func(string) (string, kind.Settings, bool) {
		return "kubernetes", &kube.Settings{Kubeconfig: c.conf[servers.Daemon]}, true
	}})
	c.must(err)
	return signalbox.Step{Kind: "rollout", Name: "web", To: to, Spec: raw, Tool: true}
}

func web() *Workload {
	return &Workload{Source: "cluster", Namespace: "core", Deployment: "web", Timeout: defaultTimeout, Replicas: map[string]int32{"normal": 3, "reduced": 2}}
}

func (c *world) preview(s signalbox.Step) signalbox.Forecast {
	c.t.Helper()
	f, err := c.r.Preview(c.t.Context(), s)
	c.must(err)
	return f
}

// previewed waits for the grant: the authorizer learns of it by a watch.
func (c *world) previewed(s signalbox.Step) (f signalbox.Forecast) {
	c.t.Helper()
	servers.Await(c.t, servers.Patience, "the grant", func(ctx context.Context) (err error) {
		if f, err = c.r.Preview(ctx, s); err == nil && strings.Contains(f.Refused, "may not") {
			err = errors.New(f.Refused)
		}
		return err
	})
	return f
}

func (c *world) claim(s signalbox.Step, id signalbox.ActionID, token signalbox.Token) signalbox.Action {
	c.t.Helper()
	f := c.previewed(s)
	if f.Refused != "" {
		c.t.Fatalf("refused: %s", f.Refused)
	}
	return signalbox.Action{ID: id, Step: s, Forecast: f, Stage: signalbox.Claimed, Token: token, ClaimedAt: c.now}
}

func (c *world) start(a signalbox.Action) {
	c.t.Helper()
	if _, err := c.r.Start(c.t.Context(), a); err != nil {
		c.t.Fatal(err)
	}
}

func (c *world) probe(a signalbox.Action) signalbox.Progress {
	c.t.Helper()
	p, err := c.r.Probe(c.t.Context(), a)
	c.must(err)
	return p
}

// awaitDone follows an action to its end, while kubelets do their part.
func (c *world) awaitDone(a signalbox.Action) {
	c.t.Helper()
	servers.Await(c.t, servers.Patience, "the end of "+a.Step.To, func(ctx context.Context) error {
		if err := servers.RunPods(ctx, c.admin, "core"); err != nil {
			return err
		}
		p, err := c.r.Probe(ctx, a)
		if err == nil && p.Phase != signalbox.Succeeded {
			err = fmt.Errorf("%+v", p)
		}
		return err
	})
}

// writes counts what the daemon's account changed: a write that was refused,
// since the status had changed meanwhile, changed nothing.
func (c *world) writes() (n int) {
	for _, e := range c.Audit(servers.Daemon) {
		if e.ResponseStatus.Code < 300 && e.Verb != "get" && e.Verb != "list" && e.ObjectRef.Resource != "selfsubjectaccessreviews" {
			n++
		}
	}
	return n
}

func (c *world) awaitWrites(want int) {
	c.t.Helper()
	servers.Await(c.t, servers.Patience, "writes", func(context.Context) error {
		if n := c.writes(); n != want {
			return fmt.Errorf("%d writes, want %d", n, want)
		}
		return nil
	})
}

func isFailure(err error) bool {
	var failure *signalbox.Failure
	return errors.As(err, &failure)
}

func specOf(t *testing.T, s signalbox.Step) (sp spec) {
	t.Helper()
	if err := json.Unmarshal(s.Spec, &sp); err != nil {
		t.Fatal(err)
	}
	return sp
}
