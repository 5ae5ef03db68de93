package acceptance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/signalbox/signalbox/test/servers"
)

// applier applies manifests to an API server as a dry run: it says what it would
// refuse, unknown fields too, and keeps nothing.
type applier struct {
	t      *testing.T
	client dynamic.Interface
	mapper meta.RESTMapper
}

func newApplier(t *testing.T, k *servers.KubeServer) *applier {
	t.Helper()
	groups, err := restmapper.GetAPIGroupResources(k.Client(servers.Admin).Discovery())
	if err != nil {
		t.Fatal(err)
	}
	return &applier{t: t, client: k.Dynamic(servers.Admin), mapper: restmapper.NewDiscoveryRESTMapper(groups)}
}

// apply is a server-side apply of one object, as a dry run.
func (a *applier) apply(o *unstructured.Unstructured) error {
	a.t.Helper()
	kind := o.GroupVersionKind()
	at, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	body, err := o.MarshalJSON()
	if err != nil {
		a.t.Fatal(err)
	}
	_, err = a.client.Resource(at.Resource).Namespace(o.GetNamespace()).Patch(a.t.Context(), o.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: "signalbox-test", FieldValidation: metav1.FieldValidationStrict,
	})
	return err
}

// objects are those of a manifest.
func objects(t *testing.T, path string) (all []*unstructured.Unstructured) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &o.Object); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, o)
	}
	return all
}

// A real API server takes each object of the manifests, to the last field, and
// their pods in a namespace that enforces the restricted pod security standard.
func TestManifestsAreTaken(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t)
	admin := k.Client(servers.Admin)
	for name, labels := range map[string]map[string]string{
		"signalbox": {"pod-security.kubernetes.io/enforce": "restricted"}, "core": nil, "payments": nil, "auth": nil, "argocd": nil, "data-plane": nil,
	} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
		if _, err := admin.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	a := newApplier(t, k)
	files, err := filepath.Glob("../../deploy/kubernetes/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("manifests: %q, %v", files, err)
	}
	for _, path := range files {
		for _, o := range objects(t, path) {
			if err := a.apply(o); err != nil {
				t.Errorf("%s: %s %s: %v", path, o.GetKind(), o.GetName(), err)
			}
			if o.GetKind() != "StatefulSet" {
				continue
			}
			if err := podOf(t, k, o); err != nil {
				t.Errorf("%s: a pod of %s: %v", path, o.GetName(), err)
			}
			a.refuses(o)
		}
	}
}

// podOf makes a pod of a StatefulSet, as a dry run.
func podOf(t *testing.T, k *servers.KubeServer, o *unstructured.Unstructured) error {
	t.Helper()
	text, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var set appsv1.StatefulSet
	if err := yaml.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: set.Spec.Template.ObjectMeta, Spec: set.Spec.Template.Spec}
	pod.Name = set.Name + "-0"
	for _, claim := range set.Spec.VolumeClaimTemplates {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claim.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name + "-" + pod.Name},
		}})
	}
	_, err = k.Client(servers.Admin).CoreV1().Pods(set.Namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// refuses shows that a wrong manifest would not be taken.
func (a *applier) refuses(o *unstructured.Unstructured) {
	a.t.Helper()
	wrong := o.DeepCopy()
	if err := unstructured.SetNestedField(wrong.Object, "Parallel", "spec", "podManagementPolice"); err != nil {
		a.t.Fatal(err)
	}
	if err := a.apply(wrong); err == nil || !strings.Contains(err.Error(), "podManagementPolice") {
		a.t.Errorf("a field that is not there is taken: %v", err)
	}
}
