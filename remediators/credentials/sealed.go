package credentials

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// sealed is a SealedSecret, whose controller unseals it into a Secret of the
// same name.
type sealed struct {
	*api
	spec spec
	now  func() time.Time
}

// sealedSecret is a SealedSecret as far as it is read.
type sealedSecret struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Data map[string]string `json:"encryptedData"`
	} `json:"spec"`
	Status struct {
		Observed   int64              `json:"observedGeneration"`
		Conditions []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

// unsealed reports whether the controller has unsealed what is there: known is
// false while it has not looked.
func (s *sealedSecret) unsealed() (ok, known bool) {
	if s.Status.Observed != s.Generation {
		return false, false
	}
	for i := range s.Status.Conditions {
		if c := &s.Status.Conditions[i]; c.Type == "Synced" && c.Status != metav1.ConditionUnknown {
			return c.Status == metav1.ConditionTrue, true
		}
	}
	return false, false
}

func (s *sealed) moves() []string { return []string{moveRotated, moveSeen} }

func (s *sealed) name() string { return s.target(sealedSecrets, s.spec.Sealed.Name) }

func (s *sealed) read(ctx context.Context) (*sealedSecret, fence.Fence, error) {
	var o sealedSecret
	there, err := s.get(ctx, sealedSecrets, s.spec.Sealed.Name, "", &o)
	if err != nil {
		return nil, fence.Fence{}, err
	}
	if !there {
		return nil, fence.Fence{}, reach.Refused("%s is not there: make the first one by hand, a rotation only replaces it", s.name())
	}
	f, blocked := fence.In(o.Annotations, annotationFence,
		fmt.Sprintf("kubectl -n %s annotate sealedsecret %s %s-", reach.Quote(s.namespace), reach.Quote(s.spec.Sealed.Name), annotationFence))
	if blocked != "" {
		return nil, fence.Fence{}, reach.Refused("%s: %s", s.name(), blocked)
	}
	return &o, f, nil
}

// secret reads the metadata of the Secret; nil: it is not there.
func (s *sealed) secret(ctx context.Context) (*metav1.PartialObjectMetadata, error) {
	var m metav1.PartialObjectMetadata
	there, err := s.get(ctx, secrets, s.spec.Sealed.Name, metadataOnly, &m)
	if err != nil || !there {
		return nil, err
	}
	return &m, nil
}

// versionOf is the version of a Secret that may not be there.
func versionOf(m *metav1.PartialObjectMetadata) string {
	if m == nil {
		return "none"
	}
	return m.ResourceVersion
}

func (s *sealed) look(ctx context.Context, move string, f *signalbox.Forecast) error {
	f.Class, f.Takes = signalbox.ClassA, signalbox.Duration(s.spec.Timeout)
	f.Targets = []signalbox.Target{signalbox.Target(s.name()), signalbox.Target(s.target(secrets, s.spec.Sealed.Name))}
	f.Reach = fmt.Sprintf("everything that uses secret %s in namespace %s, each at its next start", s.spec.Sealed.Name, s.namespace)
	o, held, err := s.read(ctx)
	if err != nil {
		return err
	}
	f.Found = fmt.Sprintf("%s in %s", mark(o.Spec.Data), s.name())
	m, err := readManifest(s.spec.Sealed.File, s.namespace, s.spec.Sealed.Name)
	if err != nil {
		return err
	}
	f.Version = replaces(o, m)
	f.NeedsApproval = fmt.Sprintf("a credential is replaced: %s by %s", f.Found, mark(m.data))
	if move == moveSeen {
		f.Version = mark(m.data)
		return s.lookSeen(ctx, o, held, m, f)
	}
	return s.lookRotated(ctx, o, held, m, f)
}

// replaces is what a rotation is approved for. It has no resourceVersion: a seal
// changes that.
func replaces(o *sealedSecret, m *manifest) string { return mark(o.Spec.Data) + " by " + mark(m.data) }

func (s *sealed) lookRotated(ctx context.Context, o *sealedSecret, held fence.Fence, m *manifest, f *signalbox.Forecast) error {
	if mark(o.Spec.Data) == mark(m.data) {
		if held.Action != "" && held.Value == mark(m.data) {
			f.Already = true
			return nil
		}
		return reach.Refused("file %s holds what is there already, %s: seal the new value first", s.spec.Sealed.File, mark(m.data))
	}
	for _, key := range slices.Sorted(maps.Keys(o.Spec.Data)) {
		if _, kept := m.data[key]; !kept {
			return reach.Refused("file %s lacks key %s, which %s has: a rotation keeps the keys", s.spec.Sealed.File, reach.Shown(key), s.name())
		}
	}
	if owner := gitops(&o.ObjectMeta); owner != "" {
		return reach.Refused("%s is kept by %s, which would put the old one back: rotate it there", s.name(), owner)
	}
	return s.may(ctx, sealedSecrets, s.spec.Sealed.Name, "patch")
}

// lookSeen refuses until the new value is in the Secret and in its consumers.
func (s *sealed) lookSeen(ctx context.Context, o *sealedSecret, held fence.Fence, m *manifest, f *signalbox.Forecast) error {
	if held.Action == "" || held.Value != mark(m.data) || mark(o.Spec.Data) != mark(m.data) {
		return reach.Refused("it is not rotated yet: %s holds %s, and file %s %s: take the step to: rotated first", s.name(), mark(o.Spec.Data), s.spec.Sealed.File, mark(m.data))
	}
	if ok, known := o.unsealed(); !ok {
		return reach.Refused("%s is not unsealed yet (the controller has looked: %t): see its conditions", s.name(), known)
	}
	now, err := s.secret(ctx)
	if err != nil {
		return err
	}
	if now == nil || versionOf(now) == held.Was {
		return reach.Refused("secret %s/%s has not changed since the rotation: was the same value sealed again?", s.namespace, s.spec.Sealed.Name)
	}
	changed := lastWritten(now)
	if changed.IsZero() {
		return reach.Refused("secret %s/%s does not tell when it was changed: it has no managedFields", s.namespace, s.spec.Sealed.Name)
	}
	if err := s.onNew(ctx, s.spec.Consumers, changed, ""); err != nil {
		return err
	}
	f.Found = fmt.Sprintf("%s: all consumers began after it was unsealed at %s", mark(m.data), changed.UTC().Format(time.RFC3339))
	f.NeedsApproval = "what comes after it takes the old credential away: " + f.Found
	return nil
}

// lastWritten is when an object was last written, by the API server's clock in
// whole seconds; zero: it does not tell.
func lastWritten(m *metav1.PartialObjectMetadata) time.Time {
	var last time.Time
	for i := range m.ManagedFields {
		if at := m.ManagedFields[i].Time; at != nil && at.After(last) {
			last = at.Time
		}
	}
	return last
}

func (s *sealed) mine(ctx context.Context, a signalbox.Action) (string, bool, error) {
	_, held, err := s.read(ctx)
	if err != nil || a.ID == "" || held.Action != a.ID {
		return "", false, err
	}
	return s.name() + " was applied before", true, nil
}

// write applies the file to the version that was found, with the fence.
func (s *sealed) write(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	if a.Step.To == moveSeen { // looking is all there is to it
		return signalbox.Receipt{At: s.now(), Detail: a.Forecast.Found + ": nothing was written"}, nil
	}
	o, held, err := s.read(ctx)
	if err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	}
	m, err := readManifest(s.spec.Sealed.File, s.namespace, s.spec.Sealed.Name)
	if err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	}
	if replaces(o, m) != a.Forecast.Version { // it is what was approved, to the last look
		return signalbox.Receipt{}, reach.ErrConflict
	}
	if reason := held.Ahead(a); reason != "" {
		return signalbox.Receipt{}, reach.Refused("%s: %s", s.name(), reason)
	}
	before, err := s.secret(ctx)
	if err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	}
	annotations := m.scope()
	annotations[annotationFence] = fence.Fence{Token: max(a.Token, a.Sealed), Action: a.ID, Value: mark(m.data), Was: versionOf(before)}.String()
	body, err := json.Marshal(map[string]any{
		"apiVersion": m.Group, "kind": m.Kind, "spec": m.Spec,
		"metadata": map[string]any{"name": s.spec.Sealed.Name, "namespace": s.namespace, "resourceVersion": o.ResourceVersion, "annotations": annotations},
	})
	if err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	}
	// Forced, since the field manager is whoever applied it before; the version
	// keeps it from what was not looked at.
	request := s.rest.Patch(types.ApplyPatchType).AbsPath(s.path(sealedSecrets, s.spec.Sealed.Name)...).
		Param("fieldManager", reach.FieldManager).Param("force", "true").Body(body)
	var after sealedSecret
	if err := s.api.write(ctx, request, s.call(sealedSecrets, s.spec.Sealed.Name, "patch"), a.Gate, &after); err != nil {
		return signalbox.Receipt{}, err
	}
	if mark(after.Spec.Data) != mark(m.data) {
		return signalbox.Receipt{}, fmt.Errorf("%s: the API server took the file, and answered with %s", s.name(), mark(after.Spec.Data))
	}
	return signalbox.Receipt{At: s.now(), Version: after.ResourceVersion, Detail: fmt.Sprintf("%s holds %s (was %s)", s.name(), mark(m.data), mark(o.Spec.Data))}, nil
}

func (s *sealed) probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	o, held, err := s.read(ctx)
	if err != nil {
		return signalbox.Progress{}, err
	}
	ok, known := o.unsealed()
	switch {
	case a.Step.To == moveSeen:
		return succeeded(s.now(), "the consumers are on the new one: nothing was written"), nil
	case held.Action == a.ID && held.Value != mark(o.Spec.Data):
		return succeeded(s.now(), "%s was applied, and someone else changed it since to %s", s.name(), mark(o.Spec.Data)), nil
	case held.Action == a.ID && ok, a.Forecast.Already && ok:
		return succeeded(s.now(), "%s holds %s, and is unsealed", s.name(), mark(o.Spec.Data)), nil
	case held.Action == a.ID && known:
		p := phase(signalbox.Fell, "%s was applied, and its controller can't unseal it: see its conditions", s.name())
		p.Receipt = signalbox.Receipt{At: s.now(), Version: o.ResourceVersion, Detail: p.Reason}
		return p, nil
	case held.Action == a.ID:
		return phase(signalbox.Running, "%s was applied; its controller has not looked yet", s.name()), nil
	}
	p := held.Unwritten(a)
	p.Reason = fmt.Sprintf("%s holds %s: %s", s.name(), mark(o.Spec.Data), p.Reason)
	return p, nil
}

// seal changes the version, and leaves what is known of the last write. It is a
// merge patch: an apply without the spec would take the spec away.
func (s *sealed) seal(ctx context.Context, a signalbox.Action, t signalbox.Token) error {
	if a.Step.To == moveSeen { // which writes nothing
		return nil
	}
	type look struct {
		*sealedSecret
		held fence.Fence
	}
	return fence.Sealing[look]{
		Look: func(ctx context.Context) (look, error) {
			o, held, err := s.read(ctx)
			return look{o, held}, err
		},
		Held: func(l look) (fence.Fence, error) { return l.held, nil },
		Put: func(ctx context.Context, l look, f fence.Fence) error {
			body, err := json.Marshal(map[string]any{"metadata": map[string]any{
				"resourceVersion": l.ResourceVersion, "annotations": map[string]string{annotationFence: f.String()},
			}})
			if err != nil {
				return err
			}
			request := s.rest.Patch(types.MergePatchType).AbsPath(s.path(sealedSecrets, s.spec.Sealed.Name)...).Param("fieldManager", reach.FieldManager).Body(body)
			return s.api.write(ctx, request, s.call(sealedSecrets, s.spec.Sealed.Name, "patch"), a.Gate, nil)
		},
	}.Do(ctx, a, t)
}

// keepers are the controllers that put back what is in a repository, by how
// their field managers and tracking labels begin.
var keepers = []struct{ prefix, name string }{
	{"argocd", "Argo CD"}, {"kustomize", "Flux"}, {"helm-controller", "Flux"}, {"helm.toolkit.fluxcd.io", "Flux"}, {"flux", "Flux"}, {"helm", "Helm"}, {"meta.helm.sh", "Helm"},
}

// gitops names the controller that keeps an object; "": none is known to.
func gitops(o *metav1.ObjectMeta) string {
	words := slices.Concat(slices.Sorted(maps.Keys(o.Labels)), slices.Sorted(maps.Keys(o.Annotations)))
	for i := range o.ManagedFields {
		words = append(words, o.ManagedFields[i].Manager)
	}
	for _, w := range words {
		for _, k := range keepers {
			if strings.HasPrefix(w, k.prefix) && !strings.HasPrefix(w, "helm.sh/") {
				return k.name
			}
		}
	}
	return ""
}
