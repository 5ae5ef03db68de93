package remediators_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/signalbox/signalbox/test/servers"
)

// cluster is a real API server. Each check has a namespace of its own in it;
// what controllers would do, moves does. The daemon's account may do
// everything: what it needs is for the kinds' own tests to say.
type cluster struct {
	*servers.KubeServer
	admin   kubernetes.Interface
	own     kubernetes.Interface // of the daemon's account, past every door
	objects dynamic.Interface
	to      http.Handler // the API server, as a proxy reaches it
	checks  int
	marks   int
}

func (h *house) kube() *cluster {
	h.t.Helper()
	if h.cluster != nil {
		return h.cluster
	}
	k := servers.KubeAPI(h.t)
	c := &cluster{KubeServer: k, admin: k.Client(servers.Admin)}
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig(servers.Admin))
	must(err)
	config.QPS = -1
	c.objects, err = dynamic.NewForConfig(config)
	must(err)
	trust, err := rest.TLSConfigFor(config)
	must(err)
	to, err := url.Parse(k.URL)
	must(err)
	c.to = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: &http.Transport{TLSClientConfig: trust, MaxIdleConnsPerHost: 100}}
	_, err = c.admin.RbacV1().ClusterRoleBindings().Create(h.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "suite"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}},
	}, metav1.CreateOptions{})
	must(err)
	k.ArgoApplications()
	k.ArgoRollouts()
	_, err = c.objects.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).Create(h.t.Context(), sealedSecrets.definition(), metav1.CreateOptions{})
	must(err)
	servers.Await(h.t, servers.Patience, sealedSecrets.plural+" to be served", func(ctx context.Context) error {
		_, err := c.objects.Resource(sealedSecrets.resource()).List(ctx, metav1.ListOptions{})
		return err
	})
	c.own = k.Client(servers.Daemon)
	servers.Await(h.t, servers.Patience, "the grant", func(ctx context.Context) error { // the authorizer learns of it by a watch
		_, err := c.own.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
		return err
	})
	h.cluster = c
	return c
}

// custom is a resource that a vendor defines.
type custom struct{ group, version, plural, kind string }

var (
	applications  = custom{"argoproj.io", "v1alpha1", "applications", "Application"}
	sealedSecrets = custom{"bitnami.com", "v1alpha1", "sealedsecrets", "SealedSecret"}
	argoRollouts  = custom{"argoproj.io", "v1alpha1", "rollouts", "Rollout"}
)

func (d custom) resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: d.group, Version: d.version, Resource: d.plural}
}

// definition takes what the vendor's own one takes, and more.
func (d custom) definition() *unstructured.Unstructured {
	type m = map[string]any
	open := m{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	version := m{
		"name": d.version, "served": true, "storage": true, "subresources": m{"status": m{}},
		"schema": m{"openAPIV3Schema": m{"type": "object", "properties": m{"spec": open, "status": open}}},
	}
	return &unstructured.Unstructured{Object: m{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": m{"name": d.plural + "." + d.group},
		"spec": m{"group": d.group, "scope": "Namespaced", "names": m{"plural": d.plural, "singular": strings.ToLower(d.kind), "kind": d.kind, "listKind": d.kind + "List"}, "versions": []any{version}},
	}}
}

// place is a bench's part of the cluster.
type place struct {
	*cluster
	b         *bench
	namespace string
}

// inCluster gives a bench a namespace, and puts a door before the API server.
func (b *bench) inCluster() *place {
	b.t.Helper()
	c := b.house.kube()
	c.checks++
	p := &place{cluster: c, b: b, namespace: fmt.Sprintf("check-%d", c.checks)}
	_, err := c.admin.CoreV1().Namespaces().Create(b.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.namespace}}, metav1.CreateOptions{})
	b.must(err)
	d := newWebDoor(c.to, nil)
	b.door = d
	server := httptest.NewUnstartedServer(d)
	server.TLS = c.TLS()
	server.StartTLS()
	b.t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	path := c.KubeconfigFor(servers.Daemon, server.URL)
	raw, err := os.ReadFile(path)
	b.must(err)
	config, err := clientcmd.Load(raw)
	b.must(err)
	b.secrets = append(b.secrets, config.AuthInfos[servers.Daemon].Token)
	b.sources = fmt.Sprintf("  cluster: {kind: kubernetes, kubeconfig: %q, namespaces: [%s]}", path, p.namespace)
	b.record = p.writes
	b.place = p
	return p
}

// audit are the daemon's writes in the namespace, or on an object of its name,
// that the API server carried out, as its audit log has them.
func (p *place) audit() (list []servers.AuditEntry) {
	p.b.t.Helper()
	p.marks++
	mark := fmt.Sprintf("mark-%d", p.marks)
	_, _ = p.own.CoreV1().ConfigMaps(p.namespace).Get(p.b.t.Context(), mark, metav1.GetOptions{})
	servers.Await(p.b.t, servers.Patience, "the audit log", func(context.Context) error {
		list = nil
		marked := false
		for _, e := range p.Audit(servers.Daemon) {
			marked = marked || e.ObjectRef.Name == mark && e.ObjectRef.Namespace == p.namespace
			here := e.ObjectRef.Namespace == p.namespace || e.ObjectRef.Name == p.namespace
			if here && e.ResponseStatus.Code < 300 && !slices.Contains([]string{"get", "list", "watch"}, e.Verb) && !strings.Contains(e.URI, "dryRun") && !strings.HasPrefix(e.ObjectRef.Resource, "selfsubject") {
				list = append(list, e)
			}
		}
		if !marked {
			return fmt.Errorf("%s is not there yet", mark)
		}
		return nil
	})
	return list
}

func wrote(e servers.AuditEntry) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name, e.ObjectRef.Subresource))
}

func (p *place) writes() (list []string) {
	for _, e := range p.audit() {
		list = append(list, wrote(e))
	}
	return list
}

// carried counts the writes that begin so, and of which what was sent holds a
// text.
func (p *place) carried(what, text string) (n int) {
	for _, e := range p.audit() {
		if strings.HasPrefix(wrote(e), what) && strings.Contains(string(e.RequestObject), text) {
			n++
		}
	}
	return n
}

// object makes an object of a vendor's kind.
func (p *place) object(d custom, name string, content map[string]any) {
	p.b.t.Helper()
	content["apiVersion"], content["kind"] = d.group+"/"+d.version, d.kind
	meta := map[string]any{"name": name, "namespace": p.namespace}
	content["metadata"] = meta
	u := &unstructured.Unstructured{Object: content}
	_, err := p.objects.Resource(d.resource()).Namespace(p.namespace).Create(p.b.t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"})
	p.b.must(err)
}

func (p *place) get(d custom, name string) *unstructured.Unstructured {
	p.b.t.Helper()
	u, err := p.objects.Resource(d.resource()).Namespace(p.namespace).Get(p.b.t.Context(), name, metav1.GetOptions{})
	p.b.must(err)
	return u
}

func text(v any) string {
	raw, _ := json.Marshal(v) //nolint:errchkjson // it came from JSON
	return string(raw)
}

// onConfigMap is a key of a ConfigMap.
func onConfigMap(b *bench, l limit) string { return b.inCluster().configMap(l) }

func (p *place) configMap(l limit) string {
	b := p.b
	const key = "VALUE"
	maps := p.admin.CoreV1().ConfigMaps(p.namespace)
	_, err := maps.Create(b.t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "core-env"}, Data: map[string]string{key: l.before, "OTHER": "kept"}}, metav1.CreateOptions{FieldManager: "kubectl-create"})
	b.must(err)
	read := func() *corev1.ConfigMap {
		cm, err := maps.Get(b.t.Context(), "core-env", metav1.GetOptions{})
		b.must(err)
		return cm
	}
	b.value = func() string { return text(read().Data) }
	b.strange = func() {
		cm := read()
		cm.Data[key] = l.strange
		_, err := maps.Update(b.t.Context(), cm, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
		b.must(err)
	}
	b.effects = func() int { return p.carried("patch configmaps", `"data"`) }
	return fmt.Sprintf("configmap: {source: cluster, namespace: %s, name: core-env, key: %s}", p.namespace, key)
}

// withRestarts is a key that two workloads read at their start only: they are
// restarted after it was written, each once.
func withRestarts(b *bench, l limit) string {
	p := b.inCluster()
	where := p.configMap(l)
	names := []string{"web", "worker"}
	for _, name := range names {
		p.deployment(name, corev1.PodTemplateSpec{}, 3)
	}
	b.moves = func() {
		for _, name := range names {
			p.arrives(name)
		}
	}
	values := b.effects
	b.effects = func() int { // a value, and no workload more than once
		n := values()
		for _, name := range names {
			n += max(0, p.carried("patch deployments "+name, "restartedAt")-1)
		}
		return n
	}
	return strings.TrimSuffix(where, "}") + ", restart: [{deployment: web}, {deployment: worker}]}"
}
