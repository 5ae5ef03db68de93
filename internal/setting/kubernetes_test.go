package setting_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	signalbox "github.com/signalbox/signalbox"
	kube "github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/setting"
	"github.com/signalbox/signalbox/test/servers"
)

const (
	key    = "DB_READONLY_ENDPOINT"
	fence  = "signalbox.io/fence." + key
	valueA = "pg-a.data-plane:5432"
	valueB = "pg-b.data-plane:5432"
)

// cluster is a real API server with one ConfigMap, as the daemon's account and
// as an admin see it.
type cluster struct {
	*servers.KubeServer

	t          *testing.T
	admin      kubernetes.Interface
	remediator signalbox.Remediator
	kubeconfig string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	k := servers.KubeAPI(t)
	c := &cluster{KubeServer: k, t: t, admin: k.Client(servers.Admin), kubeconfig: k.Kubeconfig(servers.Daemon)}
	_, err := c.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "core"}}, metav1.CreateOptions{})
	c.must(err)
	c.create("core-env")
	c.remediator, err = setting.Open(kind.Env{Now: time.Now, Agent: "signalbox/test"})
	c.must(err)
	return c
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) create(name string) {
	c.t.Helper()
	_, err := c.admin.CoreV1().ConfigMaps("core").Create(c.t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"team": "core"}},
		Data:       map[string]string{key: valueA, "OTHER": "kept"},
	}, metav1.CreateOptions{})
	c.must(err)
}

// grant gives the daemon's account the Role of the documentation, with other
// verbs where a test wants them.
func (c *cluster) grant(verbs ...string) {
	c.t.Helper()
	role := documentedRole(c.t, "signalbox-switches")
	if len(verbs) > 0 {
		role.Rules[0].Verbs = verbs
	}
	_, err := c.admin.RbacV1().Roles("core").Create(c.t.Context(), &role, metav1.CreateOptions{})
	c.must(err)
	_, err = c.admin.RbacV1().RoleBindings("core").Create(c.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}},
	}, metav1.CreateOptions{})
	c.must(err)
	step := c.step("replica-b") // the authorizer learns of it by a watch
	servers.Await(c.t, servers.Patience, "the grant", func(ctx context.Context) error {
		f, err := c.remediator.Preview(ctx, step)
		if err == nil && strings.Contains(f.Refused, "may not get") {
			err = errors.New(f.Refused)
		}
		return err
	})
}

// documentedRole is a Role of the documentation.
func documentedRole(t *testing.T, name string) rbacv1.Role {
	t.Helper()
	page, err := os.ReadFile("../../docs/remediators/endpoint.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(page), "```") {
		text, ok := strings.CutPrefix(block, "yaml\n")
		if !ok || !strings.Contains(text, "\nkind: Role\n") || !strings.Contains(text, "name: "+name+"}") {
			continue
		}
		var role rbacv1.Role
		if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil {
			t.Fatal(err)
		}
		return role
	}
	t.Fatalf("the documentation has no Role %s", name)
	return rbacv1.Role{}
}

func (c *cluster) step(to string) signalbox.Step {
	c.t.Helper()
	raw, err := setting.Resolve(kind.SpecInput{
		Name: "read-endpoint", Backend: "configmap", Positions: map[string]string{"replica-a": valueA, "replica-b": valueB},
		Settings: &setting.ConfigMap{Source: "cluster", Namespace: "core", Name: "core-env", Key: key},
		Source: func(string) (string, kind.Settings, bool) {
			return "kubernetes", &kube.Settings{Kubeconfig: c.kubeconfig}, true
		},
	})
	c.must(err)
	return signalbox.Step{Kind: "endpoint", Name: "read-endpoint", To: to, Spec: raw}
}

func (c *cluster) claim(s signalbox.Step, id signalbox.ActionID, token signalbox.Token) signalbox.Action {
	c.t.Helper()
	f, err := c.remediator.Preview(c.t.Context(), s)
	if err != nil || f.Refused != "" {
		c.t.Fatalf("preview: %v, refused: %s", err, f.Refused)
	}
	return signalbox.Action{ID: id, Step: s, Forecast: f, Stage: signalbox.Claimed, Token: token, ClaimedAt: time.Now()}
}

func (c *cluster) configMap() *corev1.ConfigMap {
	c.t.Helper()
	cm, err := c.admin.CoreV1().ConfigMaps("core").Get(c.t.Context(), "core-env", metav1.GetOptions{})
	c.must(err)
	return cm
}

// patch changes the ConfigMap as a person does.
func (c *cluster) patch(body string) {
	c.t.Helper()
	_, err := c.admin.CoreV1().ConfigMaps("core").Patch(c.t.Context(), "core-env", types.MergePatchType, []byte(body), metav1.PatchOptions{})
	c.must(err)
}

// effects counts the daemon's patches that put a value and were carried out.
func (c *cluster) effects() (values []string) {
	c.t.Helper()
	for _, e := range c.Audit(servers.Daemon) {
		var body struct{ Data map[string]string }
		if e.Verb == "patch" && e.ResponseStatus.Code == 200 {
			c.must(json.Unmarshal(e.RequestObject, &body))
			if v, ok := body.Data[key]; ok {
				values = append(values, v)
			}
		}
	}
	return values
}

// awaitEffects waits for the audit log to show what was done.
func (c *cluster) awaitEffects(want ...string) {
	c.t.Helper()
	servers.Await(c.t, servers.Patience, "effects", func(context.Context) error {
		if got := c.effects(); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
}

// TestRealFlip: a flip and its undo, with the rights that the documentation
// names, and nothing else in the cluster touched.
func TestRealFlip(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.create("bystander")
	c.grant()
	a := c.claim(c.step("replica-b"), "a1", 10)
	for _, e := range c.Audit(servers.Daemon) {
		if e.Verb != "get" && e.ObjectRef.Resource != "selfsubjectaccessreviews" {
			t.Errorf("a preview sent %s %s", e.Verb, e.ObjectRef.Resource)
		}
	}
	if _, err := c.remediator.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	cm := c.configMap()
	if cm.Data[key] != valueB || cm.Data["OTHER"] != "kept" || len(cm.Data) != 2 || cm.Annotations["team"] != "core" || !strings.Contains(cm.Annotations[fence], `"action":"a1"`) {
		t.Errorf("after the flip: %v %v", cm.Data, cm.Annotations)
	}
	u := c.claim(*a.Forecast.Undo, "u1", 20)
	u.Undoes = a.ID
	if _, err := c.remediator.Start(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if p, err := c.remediator.Probe(t.Context(), u); err != nil || p.Phase != signalbox.Succeeded || c.configMap().Data[key] != valueA {
		t.Errorf("after the undo: %+v, %v", p, err)
	}
	c.awaitEffects(valueB, valueA)
	for _, e := range c.Audit(servers.Daemon) {
		if e.ObjectRef.Resource == "configmaps" && e.ObjectRef.Name != "core-env" || e.UserAgent != "signalbox/test" {
			t.Errorf("touched %+v as %s", e.ObjectRef, e.UserAgent)
		}
	}
}

// TestRealConflicts: others write the same ConfigMap between look and write.
func TestRealConflicts(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.grant()
	a := c.claim(c.step("replica-b"), "a1", 10)
	gates := 0
	a.Gate = func() error {
		if gates++; gates < 3 {
			c.patch(fmt.Sprintf(`{"data":{"OTHER":"%d"}}`, gates))
		}
		return nil
	}
	if _, err := c.remediator.Start(t.Context(), a); err != nil || gates != 3 {
		t.Errorf("an unrelated key: %v after %d gates", err, gates)
	}
	back := c.claim(*a.Forecast.Undo, "u1", 20)
	back.Undoes = a.ID
	back.Gate = func() error { c.patch(`{"data":{"` + key + `":"by-hand:5432"}}`); return nil }
	var failure *signalbox.Failure
	if _, err := c.remediator.Start(t.Context(), back); !errors.As(err, &failure) {
		t.Errorf("our key: %v", err)
	}
	if cm := c.configMap(); cm.Data[key] != "by-hand:5432" || cm.Data["OTHER"] != "2" {
		t.Errorf("left: %v", cm.Data)
	}
	c.patch(`{"data":{"` + key + `":"` + valueA + `"}}`)
	if f, err := c.remediator.Preview(t.Context(), c.step("replica-b")); err != nil || !strings.Contains(f.Refused, "someone else changed it since action a1") {
		t.Errorf("a person took it back: %q, %v", f.Refused, err)
	}
	c.patch(`{"metadata":{"annotations":{"` + fence + `":null}}}`)
	if f, err := c.remediator.Preview(t.Context(), c.step("replica-b")); err != nil || f.Refused != "" {
		t.Errorf("handed back: %q, %v", f.Refused, err)
	}
}

// TestRealSeal: a stopped process wakes up after its successor has sealed.
func TestRealSeal(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.grant()
	a := c.claim(c.step("replica-b"), "a1", 10)
	stopped, sealed, result := make(chan struct{}), make(chan struct{}), make(chan error)
	late := a
	late.Gate = func() error { close(stopped); <-sealed; return nil }
	go func() {
		_, err := c.remediator.Start(t.Context(), late)
		result <- err
	}()
	<-stopped
	if err := c.remediator.(signalbox.Sealer).Seal(t.Context(), a, 30); err != nil {
		t.Error(err)
	}
	if p, err := c.remediator.Probe(t.Context(), a); err != nil || p.Phase != signalbox.NotStarted {
		t.Errorf("probe: %+v, %v", p, err)
	}
	close(sealed)
	var failure *signalbox.Failure
	if err := <-result; !errors.As(err, &failure) || c.configMap().Data[key] != valueA {
		t.Errorf("late write: %v, value %s", err, c.configMap().Data[key])
	}
	a.Sealed = 30
	if _, err := c.remediator.Start(t.Context(), a); err != nil {
		t.Errorf("retry: %v", err)
	}
	c.awaitEffects(valueB)
}

// TestRealDoubt: the API server hangs while the write is under way, and may
// carry it out when it goes on. Sealed, it is certain what happened.
func TestRealDoubt(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.grant()
	a := c.claim(c.step("replica-b"), "a1", 10)
	hung := a
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	hung.Gate = func() error { c.Pause(); return nil }
	var failure *signalbox.Failure
	if _, err := c.remediator.Start(ctx, hung); err == nil || errors.As(err, &failure) {
		t.Errorf("got %v, want doubt", err)
	}
	c.Resume()
	servers.Await(t, servers.Patience, "seal", func(ctx context.Context) error {
		return c.remediator.(signalbox.Sealer).Seal(ctx, a, 30)
	})
	a.Sealed = 30
	p, err := c.remediator.Probe(t.Context(), a)
	found := c.configMap()
	if err != nil || p.Phase != signalbox.Succeeded && p.Phase != signalbox.NotStarted || (p.Phase == signalbox.Succeeded) != (found.Data[key] == valueB) {
		t.Errorf("%+v, %v, and the value is %s", p, err, found.Data[key])
	}
	if _, err := c.remediator.Start(t.Context(), a); err != nil {
		t.Errorf("retry: %v", err)
	}
	if p.Phase == signalbox.NotStarted {
		c.awaitEffects(valueB)
		return
	}
	// The API server may have lost the answer of the write that it carried
	// out, and its log then shows none; that nothing followed is certain.
	if now := c.configMap(); now.ResourceVersion != found.ResourceVersion {
		t.Errorf("written again: %s, then %s", found.ResourceVersion, now.ResourceVersion)
	}
}

// moment is how long the hung write of TestRealDoubt is waited for.
const moment = 2 * time.Second

// TestRealRefusals: permissions that are missing, and a ConfigMap that is not
// there, cannot change, or is gone between look and write.
func TestRealRefusals(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	preview := func(want string) {
		t.Helper()
		f, err := c.remediator.Preview(t.Context(), c.step("replica-b"))
		if err != nil || !strings.Contains(f.Refused, want) {
			t.Errorf("got %q, %v; want %q", f.Refused, err, want)
		}
	}
	preview("may not get it: grant verbs get and patch on configmaps")
	c.grant("get")
	preview("may not patch it: grant verbs get and patch on configmaps")
	role := documentedRole(t, "signalbox-switches")
	_, err := c.admin.RbacV1().Roles("core").Update(t.Context(), &role, metav1.UpdateOptions{})
	c.must(err)
	servers.Await(t, servers.Patience, "the grant", func(ctx context.Context) error {
		f, err := c.remediator.Preview(ctx, c.step("replica-b"))
		if err == nil && f.Refused != "" {
			err = errors.New(f.Refused)
		}
		return err
	})
	a := c.claim(c.step("replica-b"), "a1", 10)
	a.Gate = func() error {
		return c.admin.CoreV1().ConfigMaps("core").Delete(t.Context(), "core-env", metav1.DeleteOptions{})
	}
	var failure *signalbox.Failure
	if _, err := c.remediator.Start(t.Context(), a); !errors.As(err, &failure) {
		t.Errorf("deleted under us: %v", err)
	}
	preview("there must be a ConfigMap core-env in namespace core")
	c.create("core-env")
	c.patch(`{"immutable":true}`)
	preview("is immutable")
}

// TestRealByHand: the command on the page takes the throw back.
func TestRealByHand(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.grant()
	a := c.claim(c.step("replica-b"), "a1", 10)
	if _, err := c.remediator.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(a.Forecast.ByHand, " -p ")
	if head != "kubectl -n core patch configmap core-env --type merge" {
		t.Errorf("command: %s", a.Forecast.ByHand)
	}
	c.patch(strings.Trim(body, "'"))
	if f, err := c.remediator.Preview(t.Context(), *a.Forecast.Undo); err != nil || !f.Already || f.Refused != "" {
		t.Errorf("%+v, %v", f, err)
	}
}
