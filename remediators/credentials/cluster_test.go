package credentials

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
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

// canary is the value that leaked, and that nothing may say.
const canary = "CANARY-eyJhbGciOi-7f3d"

// company is a real API server with the Role of the documentation. No
// controllers run: what they would do, a test does.
type company struct {
	*servers.KubeServer

	t     *testing.T
	admin kubernetes.Interface
	now   time.Time // zero: the real one
	said  *bytes.Buffer
	r     signalbox.Remediator
	dir   string
	conf  string // of the daemon's account
}

func newCompany(t *testing.T) *company {
	t.Helper()
	k := servers.KubeAPI(t)
	c := &company{KubeServer: k, t: t, admin: k.Client(servers.Admin), said: &bytes.Buffer{}, dir: t.TempDir(), conf: k.Kubeconfig(servers.Daemon)}
	_, err := c.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "core"}}, metav1.CreateOptions{})
	c.must(err)
	role := documentedRole(t)
	_, err = c.admin.RbacV1().Roles("core").Create(t.Context(), &role, metav1.CreateOptions{})
	c.must(err)
	_, err = c.admin.RbacV1().RoleBindings("core").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}},
	}, metav1.CreateOptions{})
	c.must(err)
	c.r, err = open(kind.Env{Now: c.clock, Agent: "signalbox/test", Log: slog.New(slog.NewTextHandler(c.said, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	c.must(err)
	t.Cleanup(c.silent)
	return c
}

func (c *company) clock() time.Time {
	if c.now.IsZero() {
		return time.Now()
	}
	return c.now
}

func (c *company) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// hear keeps what was said for silent.
func (c *company) hear(v any, err error) {
	b, _ := json.Marshal(v) //nolint:errchkjson // what is said is plain
	fmt.Fprintln(c.said, string(b), v, err)
}

// silent checks that the value that leaked was never said.
func (c *company) silent() {
	if strings.Contains(c.said.String(), "CANARY") || strings.Contains(c.said.String(), "Q0FOQVJZ") { // as base64
		c.t.Error("the value that leaked was said")
	}
}

func documentedRole(t *testing.T) rbacv1.Role {
	t.Helper()
	page, err := os.ReadFile("../../docs/remediators/credentials.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(page), "```") {
		if text, ok := strings.CutPrefix(block, "yaml\n"); ok && strings.Contains(text, "\nkind: Role\n") {
			var role rbacv1.Role
			if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil {
				t.Fatal(err)
			}
			return role
		}
	}
	t.Fatal("the documentation has no Role")
	return rbacv1.Role{}
}

func (c *company) step(backend, to string) signalbox.Step {
	c.t.Helper()
	at := Place{Source: "cluster", Namespace: "core", Consumers: []string{"deployer"}, Timeout: kind.Duration(defaultTimeout)}
	var s kind.Settings = &Token{Place: at, ServiceAccount: "ci", Name: "ci-token", Replacement: "ci-token-2"}
	if backend == "sealed_secret" {
		s = &Sealed{Place: at, Name: "psp-key", File: "psp-key.yaml"}
	}
	s.Validate(func(path, rule string, value any) { c.t.Errorf("%s %s, got %v", path, rule, value) })
	raw, err := resolve(kind.SpecInput{
		Name: "leaked", Backend: backend, Settings: s, ConfigDir: c.dir,
		Source: func(string) (string, kind.Settings, bool) {
			return "kubernetes", &kube.Settings{Kubeconfig: c.conf}, true
		},
	})
	c.hear(string(raw), err)
	c.must(err)
	return signalbox.Step{Kind: "credentials", Name: "leaked", To: to, Spec: raw}
}

// preview waits for the grant: the authorizer learns of it by a watch.
func (c *company) preview(s signalbox.Step) signalbox.Forecast {
	c.t.Helper()
	var f signalbox.Forecast
	servers.Await(c.t, servers.Patience, "the grant", func(ctx context.Context) error {
		var err error
		f, err = c.r.Preview(ctx, s)
		c.hear(f, err)
		if err == nil && strings.Contains(f.Refused, "may not") {
			err = errors.New(f.Refused)
		}
		return err
	})
	if f.NeedsApproval == "" {
		c.t.Error("no person is asked")
	}
	return f
}

func (c *company) refused(s signalbox.Step, want string) {
	c.t.Helper()
	if f := c.preview(s); !strings.Contains(f.Refused, want) {
		c.t.Fatalf("refused for %q, want %q", f.Refused, want)
	}
}

func (c *company) claim(s signalbox.Step, id signalbox.ActionID, token signalbox.Token) signalbox.Action {
	c.t.Helper()
	f := c.preview(s)
	if f.Refused != "" {
		c.t.Fatalf("refused: %s", f.Refused)
	}
	return signalbox.Action{ID: id, Step: s, Forecast: f, Stage: signalbox.Claimed, Token: token, ClaimedAt: c.clock()}
}

func (c *company) start(a signalbox.Action) {
	c.t.Helper()
	receipt, err := c.r.Start(c.t.Context(), a)
	c.hear(receipt, err)
	c.must(err)
}

// fails starts an action that must be known to have had no effect.
func (c *company) fails(a signalbox.Action, want string) {
	c.t.Helper()
	receipt, err := c.r.Start(c.t.Context(), a)
	c.hear(receipt, err)
	var failure *signalbox.Failure
	if !errors.As(err, &failure) || !strings.Contains(err.Error(), want) {
		c.t.Fatalf("got %v, want a failure with %q", err, want)
	}
}

func (c *company) probe(a signalbox.Action, want signalbox.Phase) {
	c.t.Helper()
	p, err := c.r.Probe(c.t.Context(), a)
	c.hear(p, err)
	if err != nil || p.Phase != want {
		c.t.Fatalf("probe: %+v, %v, want %s", p, err, want)
	}
	if want == signalbox.Fell && p.Receipt.At.IsZero() {
		c.t.Fatalf("it was applied, and its end must say so: %+v", p)
	}
}

// writes counts the daemon's writes that were carried out.
func (c *company) writes(want ...string) {
	c.t.Helper()
	servers.Await(c.t, servers.Patience, "the audit log", func(context.Context) error {
		var got []string
		for _, e := range c.Audit(servers.Daemon) {
			if e.Verb != "get" && e.Verb != "list" && e.ObjectRef.Resource != "selfsubjectaccessreviews" && e.ResponseStatus.Code < 300 {
				got = append(got, e.Verb+" "+e.ObjectRef.Resource)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
}

// deployer is the consumer, rolled out, with one pod and the Secret that it
// names.
func (c *company) deployer(pod, secret string) {
	c.t.Helper()
	labels := map[string]string{"app": "deployer"}
	spec := corev1.PodSpec{
		Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:1"}},
		Volumes:    []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}},
	}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec}
	in := c.admin.AppsV1().Deployments("core")
	d, err := in.Get(c.t.Context(), "deployer", metav1.GetOptions{})
	if err != nil {
		d, err = in.Create(c.t.Context(), &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "deployer"},
			Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template},
		}, metav1.CreateOptions{})
	} else {
		d.Spec.Template = template
		d, err = in.Update(c.t.Context(), d, metav1.UpdateOptions{})
	}
	c.must(err)
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
	_, err = in.UpdateStatus(c.t.Context(), d, metav1.UpdateOptions{})
	c.must(err)
	_, err = c.admin.CoreV1().Pods("core").Create(c.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod, Labels: labels}, Spec: spec}, metav1.CreateOptions{})
	c.must(err)
}

func (c *company) removePod(name string) {
	c.t.Helper()
	now := int64(0)
	c.must(c.admin.CoreV1().Pods("core").Delete(c.t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
}

// nextSecond waits until what is created now is of a later second.
func (c *company) nextSecond() {
	c.t.Helper()
	at := time.Now().Truncate(time.Second)
	servers.Await(c.t, servers.Patience, "the next second", func(context.Context) error {
		if time.Now().Truncate(time.Second).After(at) {
			return nil
		}
		return errors.New("the same second")
	})
}

func (c *company) file(name, text string) {
	c.t.Helper()
	c.must(os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600))
}
