package argocd

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox/internal/reach"
)

// infoName is under which name an operation's info carries the action's id.
const infoName = "signalbox-action"

// fenceAnnotation is where the fence is kept.
const fenceAnnotation = "signalbox.io/fence.argocd"

// application is what is read of an Application (argoproj.io/v1alpha1).
type application struct {
	Metadata struct {
		Name            string            `json:"name"`
		Namespace       string            `json:"namespace"`
		ResourceVersion string            `json:"resourceVersion"`
		Deleted         *time.Time        `json:"deletionTimestamp"`
		Labels          map[string]string `json:"labels"`
		Annotations     map[string]string `json:"annotations"`
		Owners          []struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"ownerReferences"`
	} `json:"metadata"`
	Spec struct {
		SyncPolicy struct {
			Automated *struct {
				Enabled *bool `json:"enabled"`
			} `json:"automated"`
			Options []string        `json:"syncOptions"`
			Retry   json.RawMessage `json:"retry"`
		} `json:"syncPolicy"`
	} `json:"spec"`
	Operation *operation `json:"operation"`
	Status    struct {
		History        []entry         `json:"history"`
		OperationState *operationState `json:"operationState"`
		Sync           struct {
			Status    string   `json:"status"`
			Revision  string   `json:"revision"`
			Revisions []string `json:"revisions"`
		} `json:"sync"`
		Health struct {
			Status string `json:"status"`
		} `json:"health"`
	} `json:"status"`
}

type operation struct {
	Info []info `json:"info"`
}

type info struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type operationState struct {
	Phase     string    `json:"phase"`
	Message   string    `json:"message"`
	Started   time.Time `json:"startedAt"`
	Operation operation `json:"operation"`
}

// entry is one sync of the history. Its source is given back as it is.
type entry struct {
	ID        int64           `json:"id"`
	Revision  string          `json:"revision"`
	Revisions []string        `json:"revisions"`
	Deployed  time.Time       `json:"deployedAt"`
	Source    json.RawMessage `json:"source"`
	Sources   json.RawMessage `json:"sources"`
}

// revision is all that an entry deployed, as one word.
func (e *entry) revision() string {
	if len(e.Revisions) > 0 {
		return strings.Join(e.Revisions, "+")
	}
	return e.Revision
}

// of reports whether an operation is an action's.
func (o *operation) of(id string) bool {
	return o != nil && id != "" && slices.Contains(o.Info, info{infoName, id})
}

// automated reports whether the Application syncs by itself.
func (a *application) automated() bool {
	auto := a.Spec.SyncPolicy.Automated
	return auto != nil && (auto.Enabled == nil || *auto.Enabled)
}

// paused reports whether auto-sync is there and turned off.
func (a *application) paused() bool { return a.Spec.SyncPolicy.Automated != nil && !a.automated() }

// busy says which operation is under way; "": none.
func (a *application) busy() string {
	state := a.Status.OperationState
	switch {
	case state != nil && (state.Phase == "Running" || state.Phase == "Terminating"):
		return "an operation is " + strings.ToLower(state.Phase) + " since " + state.Started.UTC().Format(time.RFC3339)
	case a.Operation != nil:
		return "an operation waits for Argo CD"
	}
	return ""
}

// parent is the Application that this one is a part of; "": none.
func (a *application) parent() string {
	if name, rest, ok := strings.Cut(a.Metadata.Annotations["argocd.argoproj.io/tracking-id"], ":"); ok && strings.HasPrefix(rest, "argoproj.io/Application:") {
		return reach.Shown(name)
	}
	if name := a.Metadata.Labels["app.kubernetes.io/instance"]; name != "" && name != a.Metadata.Name {
		return reach.Shown(name)
	}
	return ""
}

// set is the ApplicationSet that makes it; "": none.
func (a *application) set() string {
	for _, o := range a.Metadata.Owners {
		if o.Kind == "ApplicationSet" {
			return reach.Shown(o.Name)
		}
	}
	return ""
}
