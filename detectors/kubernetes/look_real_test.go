package kubernetes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/servers"
)

// happened leaves an event of an object, with a message that must not be told.
func (c *cast) happened(namespace, kindOf, name, class, reason string, at time.Time, count int32) {
	c.t.Helper()
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: name + ".", Namespace: namespace},
		InvolvedObject: corev1.ObjectReference{Kind: kindOf, Namespace: namespace, Name: name},
		Type:           class, Reason: reason, Message: "password=hunter2", LastTimestamp: metav1.NewTime(at), Count: count,
	}
	if _, err := c.admin.CoreV1().Events(namespace).Create(c.t.Context(), e, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// revision is a ReplicaSet as the Deployment controller leaves it.
func (c *cast) revision(namespace, of, name, number, image string) {
	c.t.Helper()
	yes := true
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace, Annotations: map[string]string{revisionKey: number},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: of, UID: "u-1", Controller: &yes}},
		},
		Spec: appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: template(name, image)},
	}
	if _, err := c.admin.AppsV1().ReplicaSets(namespace).Create(c.t.Context(), rs, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

func TestLookAtTheCluster(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t)
	c := newCast(t, k, "core", "other")
	at := time.Now().UTC().Truncate(time.Second)
	c.happened("core", "Pod", "web-1", "Warning", "BackOff", at.Add(-2*time.Minute), 12)
	c.happened("core", "Pod", "web-2", "Warning", "Unhealthy", at.Add(-time.Minute), 1)
	c.happened("core", "Pod", "web-1", "Warning", "Failed", at.Add(-2*time.Hour), 1)
	c.happened("core", "Pod", "web-1", "Normal", "Pulled", at.Add(-time.Minute), 1)
	c.happened("core", "Pod", "webshop-1", "Warning", "BackOff", at.Add(-time.Minute), 1)
	c.happened("core", "Job", "web", "Warning", "BackoffLimitExceeded", at.Add(-time.Minute), 1)
	c.happened("other", "Pod", "web-9", "Warning", "BackOff", at.Add(-time.Minute), 1)
	c.revision("core", "web", "web-77d", "7", "registry.example:5000/acme/web:v1.2")
	c.revision("core", "api", "api-66c", "3", "registry.example/acme/api@sha256:0123456789abcdef0123")
	type m = map[string]any
	app := argo("Application", "web", m{"project": "default", "destination": m{}}, m{"history": []any{
		m{"id": int64(3), "revision": "0123456789abcdef0123456789abcdef01234567", "deployedAt": at.Add(-3 * time.Minute).Format(time.RFC3339)},
		m{"id": int64(2), "revision": "v1.1", "deployedAt": at.Add(-48 * time.Hour).Format(time.RFC3339)},
	}})
	if _, err := k.ArgoApplications().Namespace("core").Create(t.Context(), app, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	look := func(account string, s *LookSettings, same map[string]string, namespaces ...string) (string, error) {
		t.Helper()
		s.Validate(func(path, rule string, value any) { t.Errorf("%s: %s, got %v", path, rule, value) })
		view, err := s.Build("evidence", newWatching(t, k, options{account: account, namespaces: namespaces}, nil).src)
		if err != nil {
			t.Fatal(err)
		}
		found, err := view.Look(t.Context(), kind.Around{Same: same, From: at.Add(-time.Hour), To: time.Now().Add(time.Minute), Most: 5})
		var said []string
		for _, f := range found {
			said = append(said, f.Text)
			if f.At.IsZero() || strings.Contains(f.Text, "hunter2") || strings.Contains(f.Text, "registry.example") {
				t.Errorf("told %+v", f)
			}
		}
		return strings.Join(said, "; "), err
	}
	web := map[string]string{"namespace": "core", "workload": "web"}
	for name, c := range map[string]struct {
		settings LookSettings
		same     map[string]string
		only     []string
		want     string
	}{
		"events of a workload": {LookSettings{Events: &EventScope{}}, web, nil, "Unhealthy Pod core/web-2; BackOff Pod core/web-1, 12 times"},
		"events of other kinds": {
			LookSettings{Events: &EventScope{Kinds: []string{"Job"}}},
			web,
			[]string{"core"},
			"BackoffLimitExceeded Job core/web",
		},
		"of a namespace that the source does not see": {LookSettings{Events: &EventScope{}}, map[string]string{"namespace": "other"}, []string{"core"}, ""},
		"revisions of a workload":                     {LookSettings{Revisions: &LookScope{}}, web, nil, "Deployment core/web revision 7, app web:v1.2"},
		"revisions of a namespace": {
			LookSettings{Revisions: &LookScope{Namespaces: []string{"core"}}},
			map[string]string{"namespace": "core", "workload": "api"},
			nil,
			"Deployment core/api revision 3, app api@sha256:0123456789ab",
		},
		"applications": {LookSettings{Applications: &LookScope{}}, nil, []string{"core"}, "Application web deployed 0123456789ab, history id 3"},
	} {
		if got, err := look(servers.Admin, &c.settings, c.same, c.only...); got != c.want || err != nil {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	_, err := look(servers.Daemon, &LookSettings{Events: &EventScope{}}, nil)
	if err == nil || !strings.Contains(err.Error(), "list events in all namespaces is forbidden: a Role must grant list") {
		t.Errorf("without the right: %v", err)
	}
	for _, e := range k.Audit(servers.Admin) {
		if strings.HasPrefix(e.ObjectRef.Resource, "replicasets") && e.Verb != "list" && e.Verb != "create" {
			t.Errorf("a look does more than list: %+v", e)
		}
	}
}

func TestLookSettings(t *testing.T) {
	for name, c := range map[string]struct {
		s    LookSettings
		want string
	}{
		"none":     {LookSettings{}, "[]"},
		"two":      {LookSettings{Events: &EventScope{}, Revisions: &LookScope{}}, "[]"},
		"bad kind": {LookSettings{Events: &EventScope{Kinds: []string{"Pod", "a,b"}}}, "[events.kinds[1]]"},
	} {
		var broken []string
		c.s.Validate(func(path, _ string, _ any) { broken = append(broken, path) })
		if fmt.Sprint(broken) != c.want {
			t.Errorf("%s: got %v", name, broken)
		}
	}
	if s := (&LookSettings{}); s.Field("workload") != "" || s.Field("pod") == "" {
		t.Error("fields of same")
	}
}
