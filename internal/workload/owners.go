package workload

import (
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/internal/reach"
)

// keepers are the GitOps tools, which put back what is in a repository, by what
// the names of their field managers begin with.
var keepers = []struct{ prefix, name string }{
	{"argocd", "Argo CD"},
	{"kustomize-controller", "Flux"},
	{"helm-controller", "Flux"},
	{"flux", "Flux"},
	{"helm", "Helm"},
}

// marks are the labels and annotations by which they know what is theirs.
var marks = []struct{ key, value, name string }{
	{"argocd.argoproj.io/tracking-id", "", "Argo CD"},
	{"argocd.argoproj.io/instance", "", "Argo CD"},
	{"kustomize.toolkit.fluxcd.io/name", "", "Flux"},
	{"helm.toolkit.fluxcd.io/name", "", "Flux"},
	{"meta.helm.sh/release-name", "", "Helm"},
	{"app.kubernetes.io/managed-by", "Helm", "Helm"},
}

// Keeper is the GitOps tool whose field manager has a name; empty: none.
func Keeper(manager string) string {
	for _, k := range keepers {
		if strings.HasPrefix(manager, k.prefix) {
			return k.name
		}
	}
	return ""
}

// MarkedBy is the GitOps tool that an object is marked as of; empty: none.
func (o *Object) MarkedBy() string {
	for _, m := range marks {
		for _, on := range []map[string]string{o.Labels, o.Annotations} {
			if v, ok := on[m.key]; ok && (m.value == "" || v == m.value) {
				return m.name
			}
		}
	}
	return ""
}

// Owners are the entries of managedFields that hold a field: its path as
// managedFields write it ("f:spec", "f:replicas").
func (o *Object) Owners(path ...string) (entries []metav1.ManagedFieldsEntry) {
	for i := range o.ManagedFields {
		e := &o.ManagedFields[i]
		if e.FieldsV1 != nil && e.Subresource == "" && holds(e.FieldsV1.GetRawBytes(), path) {
			entries = append(entries, *e)
		}
	}
	return entries
}

// holds reports whether a set of fields has a path. One that can't be read has.
func holds(fields []byte, path []string) bool {
	for _, step := range path {
		var set map[string]json.RawMessage
		if json.Unmarshal(fields, &set) != nil {
			return true
		}
		next, there := set[step]
		if !there {
			return false
		}
		fields = next
	}
	return true
}

// Ours reports whether a field manager is this daemon, whatever it writes.
func Ours(manager string) bool {
	return manager == reach.FieldManager || strings.HasPrefix(manager, reach.FieldManager+"/")
}
