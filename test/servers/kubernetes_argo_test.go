package servers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// What our definition of Applications says is so in Argo CD's own: each field is
// there, of the same type, and required where it is required there.
func TestApplicationsAreArgoCDs(t *testing.T) {
	t.Parallel()
	theirs := Contract(t, applicationContract)
	if theirs == "" {
		t.Skipf("SKIPPED: our definition of Applications is NOT compared with Argo CD's: SIGNALBOX_CONTRACTS has no %s", applicationContract)
	}
	if got := definitionMisfits(object(t, applicationDefinition), object(t, theirs)); len(got) > 0 {
		t.Errorf("our definition is another than Argo CD's:\n%s", strings.Join(got, "\n"))
	}
}

// A field that the other definition does not have, or has otherwise, is told.
func TestMisfitsAreTold(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(theirs map[string]any){
		".status.health: is not there": func(s map[string]any) { delete(within(s, "properties.status.properties"), "health") },
		".status.health.status: type is string, and integer there": func(s map[string]any) {
			within(s, "properties.status.properties.health.properties.status")["type"] = "integer"
		},
		".status.health.lastTransitionTime: format is date-time, and <nil> there": func(s map[string]any) {
			delete(within(s, "properties.status.properties.health.properties.lastTransitionTime"), "format")
		},
		".status.history[].source: required are [repoURL], and [path repoURL] there": func(s map[string]any) {
			within(s, "properties.status.properties.history.items.properties.source")["required"] = []any{"repoURL", "path"}
		},
		".spec.source.helm: type is object, and string there": func(s map[string]any) {
			within(s, "properties.spec.properties.source.properties.helm")["type"] = "string"
		},
	} {
		theirs := object(t, applicationDefinition)
		change(schemaOf(theirs))
		if got := definitionMisfits(object(t, applicationDefinition), theirs); !slices.Contains(got, want) {
			t.Errorf("want %q, got %q", want, got)
		}
	}
	theirs := object(t, applicationDefinition)
	versionOf(theirs)["subresources"] = map[string]any{"status": map[string]any{}}
	if got := fmt.Sprint(definitionMisfits(object(t, applicationDefinition), theirs)); got != "[subresources are [], and [status] there]" {
		t.Errorf("a subresource: got %s", got)
	}
}

// An API server takes the definitions, drops what they do not name, and refuses
// what is of another type.
func TestArgoIsServed(t *testing.T) {
	t.Parallel()
	k := KubeAPI(t)
	apps := k.define(object(t, applicationDefinition), argoApplications).Namespace("default")
	for kind, in := range map[string]dynamic.ResourceInterface{"Application": apps, "Rollout": k.ArgoRollouts().Namespace("default")} {
		u := object(t, "apiVersion: argoproj.io/v1alpha1\nkind: "+kind+"\nmetadata: {name: shop}\nspec: {project: default, destination: {}, unknown: 1}")
		made, err := in.Create(t.Context(), u, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, there, _ := unstructured.NestedFieldNoCopy(made.Object, "spec", "unknown"); there {
			t.Errorf("%s: a field that is not named was kept", kind)
		}
	}
	u := object(t, "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: other}\nspec: {project: default, destination: {}}\nstatus: {history: none}")
	if _, err := apps.Create(t.Context(), u, metav1.CreateOptions{}); err == nil || !strings.Contains(err.Error(), "status.history") {
		t.Errorf("a history that is a text: got %v", err)
	}
}

// definitionMisfits tells where ours says something that theirs does not.
func definitionMisfits(ours, theirs *unstructured.Unstructured) []string {
	var list []string
	for _, path := range []string{"metadata.name", "spec.group", "spec.scope", "spec.names.kind", "spec.names.listKind", "spec.names.plural", "spec.names.singular"} {
		a, _, _ := unstructured.NestedString(ours.Object, strings.Split(path, ".")...)
		b, _, _ := unstructured.NestedString(theirs.Object, strings.Split(path, ".")...)
		if a != b {
			list = append(list, fmt.Sprintf("%s is %s, and %s there", path, a, b))
		}
	}
	if a, b := versionOf(ours)["name"], versionOf(theirs)["name"]; a != b {
		list = append(list, fmt.Sprintf("version is %v, and %v there", a, b))
	}
	if a, b := keys(versionOf(ours)["subresources"]), keys(versionOf(theirs)["subresources"]); !slices.Equal(a, b) {
		list = append(list, fmt.Sprintf("subresources are %v, and %v there", a, b))
	}
	return append(list, schemaMisfits("", schemaOf(ours), schemaOf(theirs))...)
}

// schemaMisfits is definitionMisfits for the schema of a field and of what is in
// it. What ours leaves open, theirs may have as it likes.
func schemaMisfits(path string, ours, theirs map[string]any) []string {
	var list []string
	for _, key := range []string{"type", "format"} {
		if ours[key] != theirs[key] {
			list = append(list, fmt.Sprintf("%s: %s is %v, and %v there", path, key, ours[key], theirs[key]))
		}
	}
	if ours["x-kubernetes-preserve-unknown-fields"] == true {
		return list
	}
	if a, b := texts(ours["required"]), texts(theirs["required"]); !slices.Equal(a, b) {
		list = append(list, fmt.Sprintf("%s: required are %v, and %v there", path, a, b))
	}
	if items, ok := ours["items"].(map[string]any); ok {
		list = append(list, schemaMisfits(path+"[]", items, within(theirs, "items"))...)
	}
	fields := within(ours, "properties")
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if field, there := within(theirs, "properties")[name].(map[string]any); there {
			list = append(list, schemaMisfits(path+"."+name, within(fields, name), field)...)
		} else {
			list = append(list, path+"."+name+": is not there")
		}
	}
	return list
}

func versionOf(definition *unstructured.Unstructured) map[string]any {
	versions, _, _ := unstructured.NestedFieldNoCopy(definition.Object, "spec", "versions")
	if list, ok := versions.([]any); ok && len(list) == 1 {
		version, _ := list[0].(map[string]any)
		return version
	}
	return nil
}

func schemaOf(definition *unstructured.Unstructured) map[string]any {
	return within(versionOf(definition), "schema.openAPIV3Schema")
}

// within is what is at a path, to be read or changed; nil: nothing.
func within(x map[string]any, path string) map[string]any {
	for key := range strings.SplitSeq(path, ".") {
		x, _ = x[key].(map[string]any)
	}
	return x
}

func keys(of any) []string {
	x, _ := of.(map[string]any)
	return slices.Sorted(maps.Keys(x))
}

func texts(of any) []string {
	list, _ := of.([]any)
	var said []string
	for _, x := range list {
		said = append(said, fmt.Sprint(x))
	}
	slices.Sort(said)
	return said
}
