package remediators_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/iam"
)

// leaked is the value that nothing may tell, in whatever part of it.
const leaked = "hunter2-eyJhbGciOi-7f3d"

func credentialsEntries() []entry {
	const needs = "a real API server"
	gone := func() map[string]string {
		return none("what leaked is not brought back, and there are no positions", "undo", "positions")
	}
	return []entry{
		{kind: "credentials", key: "kubernetes_token", move: "rotated", class: signalbox.ClassB, build: tokenSecret, needs: needs, without: gone()},
		{kind: "credentials", key: "kubernetes_token", move: "revoked", class: signalbox.ClassC, build: tokenSecret, needs: needs, without: gone()},
		{kind: "credentials", key: "sealed_secret", move: "rotated", class: signalbox.ClassA, build: sealedSecret, needs: needs, without: gone()},
		{kind: "credentials", key: "sealed_secret", move: "seen", class: signalbox.ClassA, build: sealedSecret, needs: needs, still: true},
		{kind: "credentials", key: "aws_access_key", move: "revoked", class: signalbox.ClassC, build: accessKey, without: gone()},
		{kind: "credentials", key: "aws_access_key", move: "deleted", class: signalbox.ClassC, build: accessKey, without: gone()},
	}
}

// tokenSecret is a service account's token that leaked, and its consumer; for
// revoked it was replaced an hour ago.
func tokenSecret(b *bench) {
	p := b.inCluster()
	secrets := p.admin.CoreV1().Secrets(p.namespace)
	b.secrets = append(b.secrets, leaked)
	create := func(name, value string, annotations map[string]string) {
		annotations[corev1.ServiceAccountNameKey] = "ci"
		_, err := secrets.Create(b.t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}, Type: corev1.SecretTypeServiceAccountToken, Data: map[string][]byte{"token": []byte(value)},
		}, metav1.CreateOptions{})
		b.must(err)
	}
	_, err := p.admin.CoreV1().ServiceAccounts(p.namespace).Create(b.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "ci"}}, metav1.CreateOptions{})
	b.must(err)
	create("ci-token", leaked, map[string]string{})
	b.moves = func() { // the token controller fills the new one
		_, err := secrets.Patch(b.t.Context(), "ci-token-2", types.MergePatchType, []byte(`{"stringData":{"token":"`+leaked+`-new"}}`), metav1.PatchOptions{})
		b.must(err)
	}
	uses := "ci-token"
	b.effects = func() int { return p.carried("create secrets", "") }
	if b.e.move == "revoked" {
		uses = "ci-token-2"
		b.effects = func() int { return p.carried("delete secrets ci-token", "") }
	}
	p.deployment("deployer", corev1.PodTemplateSpec{Spec: mounting(uses)}, 1)
	b.blocks = fmt.Sprintf("tools: {ci: {kubernetes_token: {source: cluster, namespace: %s, service_account: ci, name: ci-token, replacement: ci-token-2, consumers: [deployer]}}}", p.namespace)
	b.step = "{credentials: ci}"
	if b.e.move == "revoked" {
		filled := b.moves
		b.moves = nil
		b.ready = func() { p.rotate(filled, signalbox.ClassB, "ci-token-2") }
	}
}

// rotate takes the step before: it is the kind that makes the new one, and moves
// the cluster that brings it about. The pods
// that mount it begin a second later.
func (p *place) rotate(moves func(), how signalbox.Class, secret string) {
	b := p.b
	s := b.resolved
	s.To = "rotated"
	class := b.e.class
	b.e.class = how
	a := b.claim(s, "00aa11bb22cc33dd-0", "")
	b.e.class = class
	b.must(b.start(b.process(), b.t.Context(), &a))
	moves()
	at := time.Now().Truncate(time.Second)
	servers.Await(b.t, servers.Patience, "a later second than the new Secret's, as the API server counts", func(context.Context) error {
		if time.Now().Truncate(time.Second).After(at) {
			return nil
		}
		return errors.New("the same second")
	})
	_, err := p.admin.CoreV1().Pods(p.namespace).Create(b.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "deployer-new", Labels: map[string]string{"app": "deployer"}}, Spec: mounting(secret)}, metav1.CreateOptions{})
	b.must(err)
}

// mounting is a pod that mounts a Secret.
func mounting(secret string) corev1.PodSpec {
	return corev1.PodSpec{
		Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:1"}},
		Volumes:    []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}},
	}
}

// sealedSecret is a SealedSecret, and the file with the next one.
func sealedSecret(b *bench) {
	p := b.inCluster()
	b.secrets = append(b.secrets, leaked)
	p.object(sealedSecrets, "psp-key", map[string]any{"spec": map[string]any{"encryptedData": map[string]any{"key": "AgOld"}}})
	_, err := p.admin.CoreV1().Secrets(p.namespace).Create(b.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "psp-key"}, StringData: map[string]string{"key": leaked}}, metav1.CreateOptions{})
	b.must(err)
	p.deployment("deployer", corev1.PodTemplateSpec{Spec: mounting("psp-key")}, 1)
	b.file("psp-key.yaml", fmt.Sprintf("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: psp-key, namespace: %s}\nspec:\n  encryptedData: {key: AgNew}\n", p.namespace))
	b.blocks = fmt.Sprintf("tools: {psp: {sealed_secret: {source: cluster, namespace: %s, name: psp-key, file: psp-key.yaml, consumers: [deployer]}}}", p.namespace)
	b.step = "{credentials: psp}"
	b.effects = func() int { return p.carried("patch sealedsecrets psp-key", "AgNew") }
	b.moves = func() { // its controller unseals it
		o := p.get(sealedSecrets, "psp-key")
		body := fmt.Sprintf(`{"status":{"observedGeneration":%d,"conditions":[{"type":"Synced","status":"True","message":%q}]}}`, o.GetGeneration(), leaked)
		_, err := p.objects.Resource(sealedSecrets.resource()).Namespace(p.namespace).Patch(b.t.Context(), "psp-key", types.MergePatchType, []byte(body), metav1.PatchOptions{}, "status")
		b.must(err)
		if b.e.move == "seen" {
			_, err := p.admin.CoreV1().Secrets(p.namespace).Patch(b.t.Context(), "psp-key", types.MergePatchType, []byte(`{"stringData":{"key":"`+leaked+`-new"}}`), metav1.PatchOptions{FieldManager: "controller"})
			b.must(err)
		}
	}
	if b.e.move == "seen" {
		b.ready = func() { p.rotate(b.moves, signalbox.ClassA, "psp-key") }
	}
}

// accessKey is an access key of AWS that leaked, and the one that took its place.
func accessKey(b *bench) {
	const old, next, signer = "AKIAIOSFODNN7LEAKED1", "AKIAIOSFODNN7NEWKEY1", "AKIADAEMONDAEMON0001"
	status := "Active"
	if b.e.move == "deleted" {
		status = "Inactive"
	}
	s := iam.New(signer, iam.Key{ID: old, Status: status, Used: b.clock().Add(-48 * time.Hour)}, iam.Key{ID: next, Status: "Active"})
	isWrite := func(_ *http.Request, body []byte) bool {
		form, err := url.ParseQuery(string(body))
		return err == nil && iam.Writes(form.Get("Action"))
	}
	b.secrets = append(b.secrets, leaked)
	b.file("secrets/aws", "[default]\naws_access_key_id = "+signer+"\naws_secret_access_key = "+leaked+"\n")
	b.blocks = fmt.Sprintf("tools: {key: {aws_access_key: {user: deploy, leaked: %s, credentials_file: secrets/aws, endpoint: %q, unused_for: 2h}}}", old, b.serve(s, isWrite))
	b.step = "{credentials: key}"
	b.violations = s.Violations
	b.record = s.Wrote
	b.effects = func() int { // the key is taken away once, however often it is told
		left := s.Keys()[0]
		if left.ID == old && left.Status == status {
			return 0
		}
		return 1
	}
}
