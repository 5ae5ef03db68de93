package setting

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/workload"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// editor tells, by a ConfigMap's managed fields, who other than this daemon
// wrote a key last, and when: the name of a field manager, which is what a
// client says of itself ("kubectl-patch", "argocd-controller"). Empty: they do
// not tell.
func editor(fields []metav1.ManagedFieldsEntry, key string) string {
	return lastOf(slices.DeleteFunc(slices.Clone(fields), func(e metav1.ManagedFieldsEntry) bool {
		return e.Subresource != "" || !owns(e.FieldsV1, key)
	}))
}

// lastOf tells which of the entries, but for this daemon's own, is the newest.
func lastOf(entries []metav1.ManagedFieldsEntry) string {
	var last *metav1.ManagedFieldsEntry
	for i := range entries {
		e := &entries[i]
		if !workload.Ours(e.Manager) && (last == nil || e.Time != nil && (last.Time == nil || last.Time.Before(e.Time))) {
			last = e
		}
	}
	switch {
	case last == nil:
		return ""
	case last.Time == nil:
		return fmt.Sprintf("%q", reach.Shown(last.Manager))
	}
	return fmt.Sprintf("%q at %s", reach.Shown(last.Manager), last.Time.UTC().Format(time.DateTime+"Z"))
}

// owns reports whether a set of fields holds a key of data.
func owns(fields *metav1.FieldsV1, key string) bool {
	if fields == nil {
		return false
	}
	var set struct {
		Data map[string]json.RawMessage `json:"f:data"`
	}
	if json.Unmarshal(fields.GetRawBytes(), &set) != nil {
		return false
	}
	_, ok := set.Data["f:"+key]
	return ok
}
