package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/test/servers"
)

var sealedGVR = schema.GroupVersionResource{Group: "bitnami.com", Version: "v1alpha1", Resource: "sealedsecrets"}

// sealedText is a SealedSecret with one sealed value.
func sealedText(value string) string {
	return fmt.Sprintf("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: psp-key, namespace: core}\nspec:\n  encryptedData: {key: %s}\n", value)
}

// install serves SealedSecrets as their definition does, with a status of its
// own, and applies the first one as kubectl does.
func (c *company) install() dynamic.ResourceInterface {
	c.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig(servers.Admin))
	c.must(err)
	d, err := dynamic.NewForConfig(config)
	c.must(err)
	type m = map[string]any
	open := m{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	_, err = d.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).Create(c.t.Context(), &unstructured.Unstructured{Object: m{
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
	c.must(err)
	in := d.Resource(sealedGVR).Namespace("core")
	servers.Await(c.t, servers.Patience, "the definition is served", func(ctx context.Context) error {
		_, err := in.Create(ctx, &unstructured.Unstructured{Object: m{
			"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": m{"name": "psp-key", "namespace": "core"},
			"spec": m{"encryptedData": m{"key": "AgOld"}},
		}}, metav1.CreateOptions{FieldManager: "kubectl-create"})
		return err
	})
	_, err = c.admin.CoreV1().Secrets("core").Create(c.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "psp-key"}, StringData: map[string]string{"key": canary}}, metav1.CreateOptions{})
	c.must(err)
	return in
}

// unseal does what the controller does.
func (c *company) unseal(in dynamic.ResourceInterface, synced string) {
	c.t.Helper()
	o, err := in.Get(c.t.Context(), "psp-key", metav1.GetOptions{})
	c.must(err)
	body, err := json.Marshal(map[string]any{"status": map[string]any{
		"observedGeneration": o.GetGeneration(), "conditions": []any{map[string]any{"type": "Synced", "status": synced, "message": canary}},
	}})
	c.must(err)
	_, err = in.Patch(c.t.Context(), "psp-key", types.MergePatchType, body, metav1.PatchOptions{}, "status")
	c.must(err)
}

// TestRealSealed: applied once, unsealed, its consumers seen; with the rights
// of the documentation.
func TestRealSealed(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	in := c.install()
	c.deployer("deployer-old", "psp-key")
	rotate, seen := c.step("sealed_secret", moveRotated), c.step("sealed_secret", moveSeen)
	c.refused(rotate, "file can't be read")
	c.file("psp-key.yaml", sealedText("AgOld"))
	c.refused(rotate, "holds what is there already")
	c.file("psp-key.yaml", strings.Replace(sealedText("AgNew"), "psp-key", "other", 1))
	c.refused(rotate, "holds SealedSecret core/other")
	c.file("psp-key.yaml", strings.Replace(sealedText("AgNew"), "{key:", "{renamed:", 1))
	c.refused(rotate, "lacks key key")
	c.file("psp-key.yaml", sealedText("AgNew"))
	c.refused(seen, "it is not rotated yet")

	a := c.claim(rotate, "a1", 10)
	c.file("psp-key.yaml", sealedText("AgOther")) // after the approval
	c.fails(a, "it changed since the preview")
	c.file("psp-key.yaml", sealedText("AgNew"))
	c.start(a)
	c.start(a)
	c.writes("patch sealedsecrets")
	c.probe(a, signalbox.Running)
	c.refused(seen, "is not unsealed yet")
	c.unseal(in, "True")
	c.probe(a, signalbox.Succeeded)
	c.refused(seen, "has not changed since the rotation")
	_, err := c.admin.CoreV1().Secrets("core").Patch(t.Context(), "psp-key", types.MergePatchType, []byte(`{"stringData":{"key":"CANARY-new"}}`), metav1.PatchOptions{})
	c.must(err)
	c.refused(seen, "pod deployer-old of ")
	c.nextSecond()
	c.deployer("deployer-new", "psp-key")
	c.removePod("deployer-old")
	b := c.claim(seen, "b1", 20)
	if b.Forecast.Already || b.Forecast.NeedsApproval == "" { // a runbook does not go on over what is there already
		t.Errorf("seen: %+v", b.Forecast)
	}
	c.start(b)
	c.probe(b, signalbox.Succeeded)
	c.writes("patch sealedsecrets")
	o, err := in.Get(t.Context(), "psp-key", metav1.GetOptions{})
	c.must(err)
	if got, _, _ := unstructured.NestedString(o.Object, "spec", "encryptedData", "key"); got != "AgNew" {
		t.Errorf("sealed is %q", got)
	}
	c.unseal(in, "False")
	c.probe(a, signalbox.Fell)
}

// TestRealSealLate: a successor's seal shuts the late write out, after which the
// action may be done again under the seal's token.
func TestRealSealLate(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	in := c.install()
	c.file("psp-key.yaml", sealedText("AgNew"))
	a := c.claim(c.step("sealed_secret", moveRotated), "a1", 10)
	late := a
	late.Gate = func() error { // stopped between its last check and its send
		successor := a
		return c.r.(signalbox.Sealer).Seal(t.Context(), successor, 15)
	}
	c.fails(late, "the target changed since it was read")
	c.fails(a, "the action was sealed by a successor")
	c.probe(a, signalbox.NotStarted)
	a.Sealed = 15
	c.start(a)
	o, err := in.Get(t.Context(), "psp-key", metav1.GetOptions{})
	c.must(err)
	if got, _, _ := unstructured.NestedString(o.Object, "spec", "encryptedData", "key"); got != "AgNew" {
		t.Errorf("sealed is %q", got)
	}
	c.must(c.r.(signalbox.Sealer).Seal(t.Context(), a, 30)) // its effect is there
	c.writes("patch sealedsecrets", "patch sealedsecrets")

	o.SetLabels(map[string]string{"argocd.argoproj.io/instance": "shop"})
	_, err = in.Update(t.Context(), o, metav1.UpdateOptions{})
	c.must(err)
	c.file("psp-key.yaml", sealedText("AgNewer"))
	c.refused(a.Step, "is kept by Argo CD")
}

func TestManifest(t *testing.T) {
	t.Parallel()
	good := sealedText("AgA")
	for name, c := range map[string]struct{ text, want string }{
		"good":             {good, ""},
		"with a marker":    {"---\n" + good, ""},
		"two":              {good + "---\n" + good, "one manifest"},
		"empty":            {"", "one manifest"},
		"no YAML":          {"{" + canary, "one manifest"},
		"a plain Secret":   {"apiVersion: v1\nkind: Secret\nstringData: {key: " + canary + "}\n", "must hold a SealedSecret"},
		"of another group": {strings.Replace(good, "bitnami.com", "x.com", 1), "must hold a SealedSecret"},
		"nothing sealed":   {strings.Replace(good, "{key: AgA}", "{}", 1), "encryptedData"},
		"plain data":       {good + "  template: {data: {key: " + canary + "}}\n", "unsealed"},
		"data below spec":  {good + "  data: " + canary + "\n", "alone under spec"},
		"a number":         {strings.Replace(good, "AgA", "1", 1), "only sealed text"},
		"too long":         {good + strings.Repeat("#", maxManifest), "at most"},
	} {
		_, err := parseManifest([]byte(c.text))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: the error quotes the file: %v", name, err)
		}
	}
}

func TestFenceAhead(t *testing.T) {
	t.Parallel()
	a := signalbox.Action{ID: "a", Token: 10}
	for f, want := range map[fence.Fence]bool{{}: false, {Token: 9, Action: "z"}: false, {Token: 10, Action: "z"}: true, {Token: 11, Sealed: "a"}: true} {
		if got := f.Ahead(a) != ""; got != want {
			t.Errorf("%+v: %t", f, got)
		}
	}
	if _, blocked := fence.In(map[string]string{annotationFence: "{}"}, annotationFence, ""); blocked == "" {
		t.Error(errors.New("a fence without a token"))
	}
}
