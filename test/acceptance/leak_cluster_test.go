package acceptance

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/signalbox/signalbox/test/servers"
)

// cluster makes the namespaces, the CronJob that ends sessions, and the daemon's
// rights, which are those that its tools name.
func (l *leak) cluster() {
	l.t.Helper()
	ctx := l.t.Context()
	rule := func(group, resources string, names []string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: strings.Split(resources, ","), ResourceNames: names, Verbs: verbs}
	}
	for namespace, rules := range map[string][]rbacv1.PolicyRule{
		"core": {
			rule("", "secrets", []string{"ci-token", "ci-token-2"}, "get"), rule("", "secrets", []string{"ci-token"}, "delete"), rule("", "secrets", nil, "create"),
			rule("", "serviceaccounts", []string{"ci"}, "get"), rule("apps", "deployments", []string{"deployer"}, "get"), rule("", "pods", nil, "list"),
		},
		"payments": {
			rule("", "secrets", []string{"psp-key"}, "get"), rule("bitnami.com", "sealedsecrets", []string{"psp-key"}, "get", "patch"),
			rule("apps", "deployments", []string{"payments"}, "get", "patch"), rule("", "pods", nil, "list"),
		},
		"auth": {
			rule("batch", "cronjobs", []string{"invalidate-sessions"}, "get"), rule("batch", "jobs", nil, "create", "get"),
			rule("", "pods", nil, "list"), rule("", "pods/log", nil, "get"),
		},
	} {
		_, err := l.admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
		l.mustBe(err)
		_, err = l.admin.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "signalbox"}, Rules: rules}, metav1.CreateOptions{})
		l.mustBe(err)
		_, err = l.admin.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "signalbox"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "signalbox"},
			Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}},
		}, metav1.CreateOptions{})
		l.mustBe(err)
	}
	suspended := true
	_, err := l.admin.BatchV1().CronJobs("auth").Create(ctx, &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "invalidate-sessions"},
		Spec: batchv1.CronJobSpec{Schedule: "0 0 1 1 *", Suspend: &suspended, JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			ServiceAccountName: "sessions", RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "invalidate", Image: "registry.example/auth:1"}},
		}}}}},
	}, metav1.CreateOptions{})
	l.mustBe(err)
}

// kubelets do what nodes would: pods run and are ready, and those of Jobs end.
func (l *leak) kubelets() error {
	ctx := l.t.Context()
	for _, namespace := range []string{"core", "payments", "auth"} {
		list, err := l.admin.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			p := &list.Items[i]
			if app := p.Labels["app"]; app != "" && l.pods[p.Name] == "" {
				l.pods[p.Name] = fmt.Sprintf("pod %d of %s", len(l.pods)+1, app)
			}
			if p.Status.Phase != corev1.PodPending || p.DeletionTimestamp != nil {
				continue
			}
			at := metav1.NewTime(time.Now().Add(-time.Minute))
			p.Status.Phase, p.Status.StartTime = corev1.PodRunning, &at
			if p.Labels[batchv1.JobNameLabel] != "" {
				p.Status.Phase = corev1.PodSucceeded
			}
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: at}}
			_, err := l.admin.CoreV1().Pods(namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{})
			if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}

// consumer runs a Deployment of one pod that has a Secret.
func (l *leak) consumer(namespace, name, secret string) {
	l.t.Helper()
	labels := map[string]string{"app": name}
	_, err := l.admin.AppsV1().Deployments(namespace).Create(l.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:1"}},
				Volumes:    []corev1.Volume{{Name: "key", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}},
			},
		}},
	}, metav1.CreateOptions{})
	l.mustBe(err)
	l.eventually(name+" to run", func() error {
		d, err := l.admin.AppsV1().Deployments(namespace).Get(l.t.Context(), name, metav1.GetOptions{})
		if err == nil && d.Status.AvailableReplicas != 1 {
			err = fmt.Errorf("status %+v", d.Status)
		}
		return err
	})
}

// tokenLeaks makes the service account with its token, and the consumer.
func (l *leak) tokenLeaks() {
	l.t.Helper()
	_, err := l.admin.CoreV1().ServiceAccounts("core").Create(l.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "ci"}}, metav1.CreateOptions{})
	l.mustBe(err)
	_, err = l.admin.CoreV1().Secrets("core").Create(l.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "ci-token", Annotations: map[string]string{corev1.ServiceAccountNameKey: "ci"}}, Type: corev1.SecretTypeServiceAccountToken,
	}, metav1.CreateOptions{})
	l.mustBe(err)
	l.old = l.token("ci-token")
	l.eventually("the token to be valid", l.valid(l.old))
	l.consumer("core", "deployer", "ci-token")
}

// token waits until a token Secret is filled in, and returns its token.
func (l *leak) token(secret string) (token string) {
	l.t.Helper()
	l.eventually("the token of "+secret, func() error {
		s, err := l.admin.CoreV1().Secrets("core").Get(l.t.Context(), secret, metav1.GetOptions{})
		if err == nil {
			token = string(s.Data["token"])
		}
		if err == nil && token == "" {
			err = errors.New("it is not filled in")
		}
		return err
	})
	return token
}

// use moves the consumer to another Secret, as its owner does.
func (l *leak) use(secret string) {
	l.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"volumes":[{"name":"key","secret":{"secretName":%q}}]}}}}`, secret)
	_, err := l.admin.AppsV1().Deployments("core").Patch(l.t.Context(), "deployer", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	l.mustBe(err)
}

// goOn is a person who approves whatever is asked for, and moves the consumer
// once the new token is there.
func (l *leak) goOn(moved *bool) {
	l.t.Helper()
	if l.get(l.t.Context(), "/-/ready", nil) == nil {
		for _, a := range l.approvals() {
			_, _ = l.as("approve", string(a.ID)) // it is asked for again where it was not heard
		}
	}
	if *moved {
		return
	}
	s, err := l.admin.CoreV1().Secrets("core").Get(l.t.Context(), "ci-token-2", metav1.GetOptions{})
	if err == nil && len(s.Data["token"]) > 0 && time.Since(s.CreationTimestamp.Time) > 2*time.Second {
		l.use("ci-token-2")
		*moved = true
	}
}

// nextSecond waits until what is created now is of a later second: that is how
// exactly the API server tells when.
func (l *leak) nextSecond() {
	l.t.Helper()
	at := time.Now().Truncate(time.Second)
	l.eventually("the next second", func() error {
		if time.Now().Truncate(time.Second).After(at) {
			return nil
		}
		return errors.New("the same second")
	})
}

// whoIs asks the API server whose a token is.
func (l *leak) whoIs(token string) error {
	config, err := clientcmd.BuildConfigFromFlags("", l.kube.Kubeconfig(servers.Admin))
	l.mustBe(err)
	config = rest.AnonymousClientConfig(config)
	config.BearerToken = token
	client, err := kubernetes.NewForConfig(config)
	l.mustBe(err)
	who, err := client.AuthenticationV1().SelfSubjectReviews().Create(l.t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err == nil && who.Status.UserInfo.Username != "system:serviceaccount:core:ci" {
		err = fmt.Errorf("it is %s", who.Status.UserInfo.Username)
	}
	return err
}

func (l *leak) valid(token string) func() error {
	return func() error { return l.whoIs(token) }
}

// refused reports that the API server does not know a token any more.
func (l *leak) refused(token string) func() error {
	return func() error {
		err := l.whoIs(token)
		switch {
		case err == nil:
			return errors.New("the API server says that it is valid")
		case apierrors.IsUnauthorized(err):
			return nil
		}
		return err
	}
}

// writes are what was changed, oldest first, as the API server's audit log has
// it: who did what, with the pods by their order.
func (l *leak) writes() (all []string) {
	for _, e := range l.kube.Audit(servers.Everyone) {
		o := e.ObjectRef
		if e.ResponseStatus.Code/100 != 2 || slices.Contains([]string{"get", "list", "watch"}, e.Verb) || strings.HasSuffix(o.Resource, "reviews") {
			continue
		}
		what := o.Resource + "/" + o.Name
		switch {
		case o.Resource == "jobs":
			what = "jobs/" + o.Namespace
		case o.Resource == "pods" && l.pods[o.Name] != "":
			what = l.pods[o.Name]
		}
		verb := e.Verb
		if o.Subresource != "" {
			verb += " " + o.Subresource + " of"
		}
		all = append(all, e.User.Username+" "+verb+" "+what)
	}
	return all
}

// wrote reports that the daemon's account has changed this, and nothing else.
func (l *leak) wrote(want ...string) func() error {
	return func() error {
		var got []string
		for _, w := range l.writes() {
			if own, ok := strings.CutPrefix(w, servers.Daemon+" "); ok {
				got = append(got, own)
			}
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("the daemon's writes: got %q, want %q", got, want)
		}
		return nil
	}
}

// inOrder holds that each of these was written, and the last of one before the
// first of the next.
func (l *leak) inOrder(want ...string) {
	l.t.Helper()
	all, last := l.writes(), -1
	for _, w := range want {
		first := slices.Index(all, w)
		if first <= last {
			l.t.Errorf("%q is at %d of the audit log, want it after %d: %q", w, first, last, all)
			return
		}
		for i, a := range all {
			if a == w {
				last = i
			}
		}
	}
}

func leakFingerprint(value string) string {
	sum := sha256.Sum256([]byte(value))
	return "token sha256:" + hex.EncodeToString(sum[:4])
}

// leakUnsealer is the controller of SealedSecrets, played by the test: it holds
// what is sealed.
type leakUnsealer struct {
	l    *leak
	in   dynamic.ResourceInterface
	next string
}

// sealedLeaks makes the provider's key, sealed, with its consumer, and the file
// with the next one.
func (l *leak) sealedLeaks() *leakUnsealer {
	l.t.Helper()
	l.old = "psp_live_" + rand.Text()[:24]
	u := &leakUnsealer{l: l, in: l.serveSealed(), next: "psp_live_" + rand.Text()[:24]}
	_, err := l.admin.CoreV1().Secrets("payments").Create(l.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "psp-key"}, StringData: map[string]string{"key": l.old}}, metav1.CreateOptions{})
	l.mustBe(err)
	l.consumer("payments", "payments", "psp-key")
	l.write("sealed/psp-key.yaml", "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: psp-key, namespace: payments}\nspec:\n  encryptedData: {key: AgNew}\n")
	return u
}

// serveSealed serves SealedSecrets as their definition does, with the first one.
func (l *leak) serveSealed() dynamic.ResourceInterface {
	l.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", l.kube.Kubeconfig(servers.Admin))
	l.mustBe(err)
	d, err := dynamic.NewForConfig(config)
	l.mustBe(err)
	type m = map[string]any
	open := m{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	_, err = d.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).Create(l.t.Context(), &unstructured.Unstructured{Object: m{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": m{"name": "sealedsecrets.bitnami.com"},
		"spec": m{
			"group": "bitnami.com", "scope": "Namespaced",
			"names": m{"plural": "sealedsecrets", "singular": "sealedsecret", "kind": "SealedSecret", "listKind": "SealedSecretList"},
			"versions": []any{m{
				"name": "v1alpha1", "served": true, "storage": true, "subresources": m{"status": m{}},
				"schema": m{"openAPIV3Schema": m{"type": "object", "properties": m{"spec": open, "status": open}}},
			}},
		},
	}}, metav1.CreateOptions{})
	l.mustBe(err)
	in := d.Resource(schema.GroupVersionResource{Group: "bitnami.com", Version: "v1alpha1", Resource: "sealedsecrets"}).Namespace("payments")
	l.eventually("SealedSecrets to be served", func() error {
		_, err := in.Create(l.t.Context(), &unstructured.Unstructured{Object: m{
			"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": m{"name": "psp-key", "namespace": "payments"},
			"spec": m{"encryptedData": m{"key": "AgOld"}},
		}}, metav1.CreateOptions{FieldManager: "kubectl-create"})
		return err
	})
	return in
}

// unseal changes the Secret, and says that it did.
func (u *leakUnsealer) unseal() {
	u.l.t.Helper()
	ctx := u.l.t.Context()
	_, err := u.l.admin.CoreV1().Secrets("payments").Patch(ctx, "psp-key", types.MergePatchType, fmt.Appendf(nil, `{"stringData":{"key":%q}}`, u.next), metav1.PatchOptions{})
	u.l.mustBe(err)
	o, err := u.in.Get(ctx, "psp-key", metav1.GetOptions{})
	u.l.mustBe(err)
	body, err := json.Marshal(map[string]any{"status": map[string]any{
		"observedGeneration": o.GetGeneration(), "conditions": []any{map[string]any{"type": "Synced", "status": "True"}},
	}})
	u.l.mustBe(err)
	_, err = u.in.Patch(ctx, "psp-key", types.MergePatchType, body, metav1.PatchOptions{}, "status")
	u.l.mustBe(err)
}
