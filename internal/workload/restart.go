package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// Where a restart is written: kubectl's annotation, with our action beside it.
const (
	RestartedAt = "kubectl.kubernetes.io/restartedAt"
	RestartedBy = "signalbox.io/restarted-by"
)

// Restart is what replaces all pods of a workload; value is its template's, or
// the time of an Argo Rollout, once it is written.
func (o *Object) Restart(by signalbox.ActionID, now time.Time) (ops []reach.Op, value string) {
	at := now.UTC().Format(time.RFC3339)
	if o.Kind == ArgoRollout {
		return []reach.Op{{Op: "add", Path: "/spec/restartAt", Value: at}}, at
	}
	next := o.Spec.Template.Clone()
	meta := next.Meta()
	annotations, _ := meta["annotations"].(map[string]any)
	if annotations = maps.Clone(annotations); annotations == nil {
		annotations = map[string]any{}
	}
	annotations[RestartedAt], annotations[RestartedBy] = at, string(by)
	meta["annotations"] = annotations
	return []reach.Op{{Op: "add", Path: "/spec/template/metadata", Value: meta}}, next.Value()
}

// Value identifies a pod template by its content.
func (t Template) Value() string {
	b, err := json.Marshal(t)
	if err != nil { // it came from JSON
		return ""
	}
	sum := sha256.Sum256(b)
	return "template " + hex.EncodeToString(sum[:6])
}
