package servers

import (
	"fmt"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// RuleResources are the PrometheusRule resources of an API server.
type RuleResources struct {
	t      testing.TB
	k      *KubeServer
	client dynamic.Interface
}

var (
	rulesOf     = schema.GroupVersionResource{Group: "monitoring.coreos.com", Version: "v1", Resource: "prometheusrules"}
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// RuleResources returns a client as Admin. There is no CustomResourceDefinition
// before Define.
func (k *KubeServer) RuleResources() *RuleResources {
	k.t.Helper()
	return &RuleResources{t: k.t, k: k, client: k.Dynamic(Admin)}
}

// Define makes the CustomResourceDefinition, and waits until it is served.
func (r *RuleResources) Define() {
	r.t.Helper()
	r.k.define(object(r.t, ruleDefinition), rulesOf)
}

// Allow lets the account Daemon list and watch the resources in all namespaces.
func (r *RuleResources) Allow() {
	r.t.Helper()
	rbac := r.k.Client(Admin).RbacV1()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "rules"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{rulesOf.Group}, Resources: []string{rulesOf.Resource}, Verbs: []string{"list", "watch"}}},
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "rules"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: Daemon}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "rules"},
	}
	if _, err := rbac.ClusterRoles().Create(r.t.Context(), role, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		r.t.Fatal(err)
	}
	if _, err := rbac.ClusterRoleBindings().Create(r.t.Context(), binding, metav1.CreateOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

// Forbid takes back what Allow gave.
func (r *RuleResources) Forbid() {
	r.t.Helper()
	if err := r.k.Client(Admin).RbacV1().ClusterRoleBindings().Delete(r.t.Context(), "rules", metav1.DeleteOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

// Apply makes a resource, or replaces it. groups is the YAML of spec.groups.
func (r *RuleResources) Apply(namespace, name string, labels map[string]string, groups string) {
	r.t.Helper()
	ctx, in := r.t.Context(), r.client.Resource(rulesOf).Namespace(namespace)
	text := fmt.Sprintf("apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: %s, namespace: %s}\n", name, namespace)
	u := object(r.t, text)
	u.SetLabels(labels)
	var list []any
	if err := yaml.Unmarshal([]byte(groups), &list); err != nil {
		r.t.Fatal(err)
	}
	u.Object["spec"] = map[string]any{"groups": list}
	old, err := in.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = in.Create(ctx, u, metav1.CreateOptions{})
	case err == nil:
		u.SetResourceVersion(old.GetResourceVersion())
		_, err = in.Update(ctx, u, metav1.UpdateOptions{})
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// Delete takes a resource away.
func (r *RuleResources) Delete(namespace, name string) {
	r.t.Helper()
	if err := r.client.Resource(rulesOf).Namespace(namespace).Delete(r.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// ruleDefinition holds the keys of the Prometheus Operator's definition, by
// https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusRule.
const ruleDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: prometheusrules.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: PrometheusRule, listKind: PrometheusRuleList, plural: prometheusrules, singular: prometheusrule}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                groups:
                  type: array
                  items:
                    type: object
                    required: [name]
                    properties:
                      name: {type: string, minLength: 1}
                      interval: {type: string}
                      limit: {type: integer}
                      query_offset: {type: string}
                      partial_response_strategy: {type: string}
                      labels: {type: object, additionalProperties: {type: string}}
                      rules:
                        type: array
                        items:
                          type: object
                          required: [expr]
                          properties:
                            alert: {type: string}
                            record: {type: string}
                            expr: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                            for: {type: string}
                            keep_firing_for: {type: string}
                            labels: {type: object, additionalProperties: {type: string}}
                            annotations: {type: object, additionalProperties: {type: string}}
`
