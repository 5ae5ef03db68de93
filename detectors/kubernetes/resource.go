package kubernetes

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// resource is one kind of object, and what is kept of one. It is compared by
// its kind.
type resource struct {
	kind   string // "Deployment"
	gvr    schema.GroupVersionResource
	global bool // it is in no namespace
	custom bool // of a CustomResourceDefinition, which may be absent
	reduce func(runtime.Object) *object
}

var (
	pods         = resource{kind: "Pod", gvr: gvr("", "v1", "pods"), reduce: fromPod}
	deployments  = resource{kind: "Deployment", gvr: gvr("apps", "v1", "deployments"), reduce: fromDeployment}
	statefulSets = resource{kind: "StatefulSet", gvr: gvr("apps", "v1", "statefulsets"), reduce: fromStatefulSet}
	daemonSets   = resource{kind: "DaemonSet", gvr: gvr("apps", "v1", "daemonsets"), reduce: fromDaemonSet}
	jobs         = resource{kind: "Job", gvr: gvr("batch", "v1", "jobs"), reduce: fromJob}
	nodes        = resource{kind: "Node", gvr: gvr("", "v1", "nodes"), global: true, reduce: fromNode}
	applications = resource{kind: "Application", gvr: gvr("argoproj.io", "v1alpha1", "applications"), custom: true, reduce: fromApplication}
	rollouts     = resource{kind: "Rollout", gvr: gvr("argoproj.io", "v1alpha1", "rollouts"), custom: true, reduce: fromRollout}
)

func gvr(group, version, name string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: name}
}

// place names what a watch is about, for people: "pods in namespace core".
func (r resource) place(namespace string) string {
	name := r.gvr.GroupResource().String()
	switch {
	case r.global:
		return name
	case namespace == "":
		return name + " in all namespaces"
	}
	return name + " in namespace " + namespace
}
