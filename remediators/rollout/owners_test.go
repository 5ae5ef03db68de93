package rollout

import (
	"fmt"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
)

// TestRealGitOps: who would put a field back is told by name, by what the API
// server knows of the last writers and by the marks that each leaves; what it
// does not own is free.
func TestRealGitOps(t *testing.T) {
	t.Parallel()
	c := newServer(t)
	for i, o := range []struct {
		manager, body string
		apply         bool   // server-side
		to, want      string // refused in this name; empty: not refused
	}{
		{manager: "argocd-controller", body: `"spec":{"replicas":3}`, to: "reduced", want: "Argo CD owns its replicas"},
		{manager: "argocd-controller", body: `"spec":{"replicas":3}`, to: movePaused},
		{manager: "argocd-controller", body: `"spec":{"paused":false}`, apply: true, to: movePaused, want: "Argo CD owns its paused"},
		{manager: "kustomize-controller", body: `"spec":{"replicas":3}`, apply: true, to: "reduced", want: "Flux owns its replicas"},
		{manager: "helm-controller", body: `"spec":{"replicas":3}`, apply: true, to: "reduced", want: "Flux owns its replicas"},
		{manager: "helm", body: `"spec":{"replicas":3}`, apply: true, to: "reduced", want: "Helm owns its replicas"},
		{manager: "kubectl-client-side-apply", body: `"spec":{"replicas":3}`, to: "reduced"},
		{manager: "kubectl", body: `"metadata":{"labels":{"argocd.argoproj.io/instance":"shop"}}`, to: movePrevious, want: "Argo CD owns its template"},
		{manager: "kubectl", body: `"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"shop:apps/Deployment:core/web"}}`, to: movePrevious, want: "Argo CD owns its template"},
		{manager: "kubectl", body: `"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":"shop"}}`, to: movePrevious, want: "Flux owns its template"},
		{manager: "kubectl", body: `"metadata":{"labels":{"app.kubernetes.io/managed-by":"Helm"}}`, to: movePrevious, want: "Helm owns its template"},
		{manager: "kubectl", body: `"metadata":{"labels":{"app.kubernetes.io/managed-by":"us"}}`, to: movePrevious},
		{manager: "kubectl", body: `"metadata":{"annotations":{"meta.helm.sh/release-name":"shop","kubectl.kubernetes.io/last-applied-configuration":"{\"spec\":{\"replicas\":3}}"}}`, to: "reduced", want: "Helm owns its replicas"},
		{manager: "kubectl", body: `"metadata":{"annotations":{"meta.helm.sh/release-name":"shop","kubectl.kubernetes.io/last-applied-configuration":"{\"spec\":{}}"}}`, to: "reduced"},
		{manager: "argocd-controller", body: `"spec":{"replicas":3}`, to: moveRestarted},
	} {
		if i > 0 {
			c.must(c.admin.AppsV1().Deployments("core").Delete(t.Context(), "web", metav1.DeleteOptions{}))
		}
		c.create("web", 4) // so that three is a change
		c.kept("Deployment", c.deployment("web").UID, 1, "0")
		kind, force := types.MergePatchType, false
		body := "{" + o.body + "}"
		if o.apply {
			kind, force = types.ApplyPatchType, true
			body = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},` + o.body + "}"
		}
		options := metav1.PatchOptions{FieldManager: o.manager}
		if force {
			options.Force = &force
		}
		_, err := c.admin.AppsV1().Deployments("core").Patch(t.Context(), "web", kind, []byte(body), options)
		c.must(err)
		c.seen("web")
		w := web()
		w.Replicas["many"] = 4
		f := c.previewed(c.step(w, o.to))
		if o.want == "" && f.Refused != "" || !strings.Contains(f.Refused, o.want) {
			t.Errorf("%s by %s of %s: refused for %q, want %q", o.to, o.manager, o.body, f.Refused, o.want)
		}
		if !strings.Contains(f.Refused, " owns its ") {
			continue
		}
		aspect := strings.Fields(strings.SplitN(f.Refused, " owns its ", 2)[1])[0]
		aspect = strings.Trim(aspect, ",")
		if w.GitOpsIgnores = []string{aspect}; !strings.Contains(f.Refused, "give gitops_ignores: ["+aspect+"]") {
			t.Errorf("it must be told what to change: %q", f.Refused)
		}
		if f := c.previewed(c.step(w, o.to)); strings.Contains(f.Refused, " owns its ") {
			t.Errorf("%s is left alone by %s: refused for %q", aspect, o.manager, f.Refused)
		}
	}
	c.awaitWrites(0)
}

// seen writes down that a Deployment's controller has seen it.
func (c *world) seen(name string) {
	c.t.Helper()
	body := fmt.Sprintf(`{"status":{"observedGeneration":%d}}`, c.deployment(name).Generation)
	_, err := c.admin.AppsV1().Deployments("core").Patch(c.t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "kube-controller-manager"}, "status")
	c.must(err)
}

// TestRealAutoscaler: whose replicas an autoscaler owns is not scaled, of
// whichever kind it is; the way back of our own count is free.
func TestRealAutoscaler(t *testing.T) {
	t.Parallel()
	c := newServer(t)
	c.defineArgo()
	c.create("web", 3)
	thrown := c.claim(c.step(web(), "reduced"), "a1", 10)
	c.start(thrown)
	for name, ref := range map[string]autoscalingv2.CrossVersionObjectReference{
		"other-kind": {APIVersion: "apps/v1", Kind: "StatefulSet", Name: "web"},
		"other-name": {APIVersion: "apps/v1", Kind: "Deployment", Name: "queue"},
		"web":        {APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
		"edge":       {APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "web"},
	} {
		_, err := c.admin.AutoscalingV2().HorizontalPodAutoscalers("core").Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 9, ScaleTargetRef: ref},
		}, metav1.CreateOptions{})
		c.must(err)
	}
	for hpa, s := range map[string]signalbox.Step{"web": c.step(web(), "normal"), "edge": c.argoMove("more")} {
		if f := c.previewed(s); !strings.Contains(f.Refused, "the HorizontalPodAutoscaler "+hpa+" owns its replicas, and would put them back: change its minReplicas or maxReplicas") || f.Undo != nil {
			t.Errorf("%s: refused for %q", hpa, f.Refused)
		}
	}
	if f := c.previewed(c.step(web(), movePaused)); f.Refused != "" {
		t.Errorf("an autoscaler does not own whether it is paused: %q", f.Refused)
	}
	u := c.claim(*thrown.Forecast.Undo, "u1", 20)
	u.Undoes = thrown.ID
	c.start(u)
	if n := *c.deployment("web").Spec.Replicas; n != 3 {
		t.Errorf("%d replicas", n)
	}
	c.awaitWrites(2)
}

// TestRealAlreadyThere: what somebody has done already is not done again, and
// is not ours to take back.
func TestRealAlreadyThere(t *testing.T) {
	t.Parallel()
	c := newServer(t)
	c.create("web", 3)
	a := c.claim(c.step(web(), movePaused), "a1", 10)
	c.patch("web", "kubectl", `{"spec":{"paused":true}}`)
	if _, err := c.r.Start(t.Context(), a); !isFailure(err) || !strings.Contains(err.Error(), "it changed since the preview: it was running, now it is paused") {
		t.Errorf("a person paused it in between: %v", err)
	}
	b := c.claim(c.step(web(), movePaused), "b1", 20)
	if !b.Forecast.Already || b.Forecast.Undo != nil {
		t.Errorf("got %+v", b.Forecast)
	}
	c.start(b)
	c.expect(b, signalbox.Succeeded, movePaused)
	c.awaitWrites(0)
}
