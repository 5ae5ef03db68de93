package acceptance

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// right is one thing that an account may do: a verb on a resource in a
// namespace, of one name or of any.
type right struct{ namespace, verb, group, resource, name string }

// rightsOf takes rules apart.
func rightsOf(namespace string, rules []rbacv1.PolicyRule) map[right]bool {
	all := map[right]bool{}
	for _, r := range rules {
		names := r.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					for _, name := range names {
						all[right{namespace, verb, group, resource, name}] = true
					}
				}
			}
		}
	}
	return all
}

// The manifest of the handbook's rights gives what its tools, detectors and evidence
// need, and nothing else; and what it gives stands in the page of the kind that
// needs it.
func TestRightsOfTheHandbook(t *testing.T) {
	t.Parallel()
	given := map[right]bool{}
	for _, o := range objects(t, "../../deploy/kubernetes/handbook-rbac.yaml") {
		if o.GetKind() != "Role" {
			continue
		}
		var role rbacv1.Role
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role); err != nil {
			t.Fatal(err)
		}
		maps.Copy(given, rightsOf(role.Namespace, role.Rules))
	}
	needed := neededByTheHandbook(t)
	for r, by := range needed {
		if !given[r] {
			t.Errorf("%s needs %+v, and the manifest does not give it", by.what, r)
		}
		if page := rightsInPage(t, by.page); !page[right{"", r.verb, r.group, r.resource, ""}] {
			t.Errorf("%s needs %+v, which does not stand in docs/%s: %v", by.what, r, by.page, page)
		}
	}
	for r := range given {
		if _, ok := needed[r]; !ok {
			t.Errorf("the manifest gives %+v, which nothing of the handbook needs", r)
		}
	}
	if len(needed) < 30 {
		t.Errorf("the handbook needs %d rights, which can't be all", len(needed))
	}
}

// need says who needs a right, and where that is documented.
type need struct{ what, page string }

// neededByTheHandbook goes through all blocks of the handbook that are of the
// cluster. A kind that is not known here fails.
func neededByTheHandbook(t *testing.T) map[right]need {
	t.Helper()
	e, all := newHandbookExcerpt(t), map[right]need{}
	of := func(by need, namespace, resources, name string, verbs ...string) {
		group, resource, ok := strings.Cut(resources, "/")
		if !ok {
			group, resource = "", resources
		}
		for _, verb := range verbs {
			all[right{namespace, verb, group, strings.ReplaceAll(resource, ".", "/"), name}] = by
		}
	}
	for _, section := range []string{"switches", "tools"} {
		for name, block := range e.all[section].(map[string]any) {
			for kind, body := range block.(map[string]any) {
				b, ok := body.(map[string]any)
				if !ok || b["source"] != "cluster" {
					continue
				}
				neededByTool(t, of, name, kind, b)
			}
		}
	}
	var evidence struct {
		Evidence []map[string]any `json:"evidence"`
	}
	if err := yaml.Unmarshal([]byte(handbook(t, "evidence.yaml")), &evidence); err != nil {
		t.Fatal(err)
	}
	for _, looks := range evidence.Evidence {
		neededByLook(t, of, looks, map[string]string{"events": "events", "applications": "argoproj.io/applications"}, "configuration.md", "list")
	}
	for _, d := range e.all["detectors"].([]any) {
		neededByLook(t, of, d.(map[string]any), map[string]string{"pods": "pods", "applications": "argoproj.io/applications"}, "detectors/kubernetes.md", "list", "watch")
	}
	return all
}

// neededByLook adds what a detector or a piece of evidence looks at.
func neededByLook(t *testing.T, of func(by need, namespace, resources, name string, verbs ...string), look map[string]any, kinds map[string]string, page string, verbs ...string) {
	t.Helper()
	if look["source"] != "cluster" {
		return
	}
	for kind, resource := range kinds {
		scope, ok := look[kind].(map[string]any)
		if !ok {
			continue
		}
		for _, namespace := range scope["namespaces"].([]any) {
			of(need{fmt.Sprintf("%v", look["name"]), page}, namespace.(string), resource, "", verbs...)
		}
		return
	}
	t.Errorf("%v looks at what this test does not know: %v", look["name"], slices.Sorted(maps.Keys(look)))
}

// neededByTool adds what a switch or a tool needs.
func neededByTool(t *testing.T, of func(by need, namespace, resources, name string, verbs ...string), name, kind string, b map[string]any) {
	t.Helper()
	text := func(key string) string { s, _ := b[key].(string); return s }
	namespace := text("namespace")
	by := func(page string) need { return need{name, "remediators/" + page + ".md"} }
	seesConsumers := func() {
		for _, consumer := range b["consumers"].([]any) {
			of(by("credentials"), namespace, "apps/deployments", consumer.(string), "get")
		}
		of(by("credentials"), namespace, "pods", "", "list")
	}
	switch kind {
	case "configmap":
		of(by("endpoint"), namespace, "configmaps", text("name"), "get", "patch")
	case "rollout":
		of(by("rollout"), namespace, "apps/deployments", text("deployment"), "get", "patch")
	case "job":
		of(by("job"), namespace, "batch/cronjobs", text("cronjob"), "get")
		of(by("job"), namespace, "batch/jobs", "", "create", "get")
		of(by("job"), namespace, "pods", "", "list")
		of(by("job"), namespace, "/pods.log", "", "get")
	case "argocd":
		of(by("argocd"), namespace, "argoproj.io/applications", text("application"), "get", "patch")
	case "kubernetes_token":
		for _, secret := range []string{text("name"), text("replacement")} {
			of(by("credentials"), namespace, "secrets", secret, "get")
		}
		of(by("credentials"), namespace, "secrets", text("name"), "delete")
		of(by("credentials"), namespace, "secrets", "", "create")
		of(by("credentials"), namespace, "serviceaccounts", text("service_account"), "get")
		seesConsumers()
	case "sealed_secret":
		of(by("credentials"), namespace, "secrets", text("name"), "get")
		of(by("credentials"), namespace, "bitnami.com/sealedsecrets", text("name"), "get", "patch")
		seesConsumers()
	default:
		t.Errorf("%s is of kind %s, which this test does not know", name, kind)
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// rightsInPage are those of the roles in a page, in no namespace and of no name.
// The page of the configuration has them in a sentence.
func rightsInPage(t *testing.T, page string) map[right]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[right]bool{}
	if page == "configuration.md" {
		for _, m := range regexp.MustCompile("in Kubernetes `list` on (`[^;]*);").FindAllStringSubmatch(strings.ReplaceAll(string(text), "\n", " "), -1) {
			for _, resource := range regexp.MustCompile("`([a-z]+)`(?: \\(([a-z.]+)\\))?").FindAllStringSubmatch(m[1], -1) {
				all[right{"", "list", resource[2], resource[1], ""}] = true
			}
		}
		return all
	}
	for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
		for doc := range strings.SplitSeq(block[1], "\n---\n") {
			var role rbacv1.Role
			if err := yaml.Unmarshal([]byte(doc), &role); err != nil || cmp.Or(role.Kind, "none") != "Role" {
				continue
			}
			for i := range role.Rules {
				role.Rules[i].ResourceNames = nil
			}
			maps.Copy(all, rightsOf("", role.Rules))
		}
	}
	return all
}
