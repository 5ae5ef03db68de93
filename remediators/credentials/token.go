package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// Annotations of a Secret that replaces another: the uid of that one, and the
// action that made it.
const (
	annotationReplaces = "signalbox.io/replaces"
	annotationAction   = "signalbox.io/action"
)

// labelLastUsed is where the API server notes the day on which a token Secret
// was last used.
const labelLastUsed = "kubernetes.io/legacy-token-last-used"

// token is a service account's token in a Secret.
type token struct {
	*api
	spec spec
	now  func() time.Time
}

// tokenSecret is what is kept of a Secret that was read.
type tokenSecret struct {
	metav1.ObjectMeta
	kind   string
	mark   string // fingerprint of its token
	filled bool
}

func (t *token) moves() []string { return []string{moveRotated, moveRevoked} }

func (t *token) old() string { return t.target(secrets, t.spec.Token.Secret) }
func (t *token) new() string { return t.target(secrets, t.spec.Token.Replacement) }

// read reads a token Secret; nil: it is not there. Its token is kept as a
// fingerprint alone.
func (t *token) read(ctx context.Context, name string) (*tokenSecret, error) {
	var s struct {
		metav1.ObjectMeta `json:"metadata"`

		Type string `json:"type"`
		Data struct {
			Token []byte `json:"token"`
		} `json:"data"`
	}
	there, err := t.get(ctx, secrets, name, "", &s)
	if err != nil || !there {
		return nil, err
	}
	k := &tokenSecret{ObjectMeta: s.ObjectMeta, kind: s.Type, filled: len(s.Data.Token) > 0, mark: "no token"}
	if k.filled {
		k.mark = fingerprint("token", s.Data.Token)
	}
	return k, nil
}

// misfit says why a Secret is not a token of the service account.
func (t *token) misfit(target string, s *tokenSecret) error {
	if s.kind != string(corev1.SecretTypeServiceAccountToken) {
		return reach.Refused("%s is of type %s, and not %s", target, reach.Shown(s.kind), corev1.SecretTypeServiceAccountToken)
	}
	if got := s.Annotations[corev1.ServiceAccountNameKey]; got != t.spec.Token.ServiceAccount {
		return reach.Refused("%s is the token of service account %q, and not of %q", target, reach.Shown(got), t.spec.Token.ServiceAccount)
	}
	return nil
}

func (t *token) look(ctx context.Context, move string, f *signalbox.Forecast) error {
	f.Targets = []signalbox.Target{signalbox.Target(t.old()), signalbox.Target(t.new())}
	f.Class, f.Takes = signalbox.ClassB, signalbox.Duration(t.spec.Timeout)
	if move == moveRevoked {
		f.Class, f.Takes, f.Latency = signalbox.ClassC, signalbox.Duration(latency), signalbox.Duration(latency)
	}
	old, err := t.read(ctx, t.spec.Token.Secret)
	if err != nil {
		return err
	}
	next, err := t.read(ctx, t.spec.Token.Replacement)
	if err != nil {
		return err
	}
	if old == nil {
		if move == moveRevoked && next != nil && next.Annotations[annotationReplaces] != "" {
			f.Found, f.Already = t.old()+" is gone", true
			return nil
		}
		return reach.Refused("%s is not there: name must be of the Secret whose token leaked", t.old())
	}
	f.Found = fmt.Sprintf("%s of %s, made %s", old.mark, t.old(), old.CreationTimestamp.UTC().Format(time.RFC3339))
	if err := t.misfit(t.old(), old); err != nil {
		return err
	}
	if next != nil && next.Annotations[annotationReplaces] != string(old.UID) {
		return reach.Refused("%s is there already, and was not made to replace %s (its uid is %s): give replacement another name", t.new(), t.old(), old.UID)
	}
	if move == moveRotated {
		return t.lookRotated(ctx, old, next, f)
	}
	return t.lookRevoked(ctx, old, next, f)
}

func (t *token) lookRotated(ctx context.Context, old, next *tokenSecret, f *signalbox.Forecast) error {
	f.Version = string(old.UID)
	f.Reach = fmt.Sprintf("a second token of service account %s/%s is made; the old one stays valid", t.namespace, t.spec.Token.ServiceAccount)
	f.NeedsApproval = fmt.Sprintf("a credential is replaced: %s", f.Found)
	f.ByHand = fmt.Sprintf("kubectl -n %s delete secret %s", reach.Quote(t.namespace), reach.Quote(t.spec.Token.Replacement))
	if next != nil {
		f.Found, f.Already = fmt.Sprintf("%s is there, with %s", t.new(), next.mark), true
		return t.misfit(t.new(), next)
	}
	var account metav1.PartialObjectMetadata
	there, err := t.get(ctx, serviceAccounts, t.spec.Token.ServiceAccount, metadataOnly, &account)
	if err != nil {
		return err
	}
	if !there {
		return reach.Refused("%s is not there: the new Secret would be removed again", t.target(serviceAccounts, t.spec.Token.ServiceAccount))
	}
	return t.may(ctx, secrets, "", "create")
}

func (t *token) lookRevoked(ctx context.Context, old, next *tokenSecret, f *signalbox.Forecast) error {
	f.Reach = fmt.Sprintf("whoever still uses the old token of service account %s/%s is shut out, at once and for good", t.namespace, t.spec.Token.ServiceAccount)
	f.NeedsApproval = fmt.Sprintf("a credential is taken away for good: %s", f.Found)
	if day := old.Labels[labelLastUsed]; day != "" {
		f.NeedsApproval += ", last used on " + reach.Shown(day)
	}
	if next == nil {
		return reach.Refused("it is not rotated yet: %s is not there: take the step to: rotated first", t.new())
	}
	f.Version = string(old.UID) + " replaced by " + string(next.UID)
	if err := t.misfit(t.new(), next); err != nil {
		return err
	}
	if !next.filled || next.DeletionTimestamp != nil {
		return reach.Refused("%s holds no token yet", t.new())
	}
	if err := t.onNew(ctx, t.spec.Consumers, next.CreationTimestamp.Time, t.spec.Token.Secret); err != nil {
		return err
	}
	return t.may(ctx, secrets, t.spec.Token.Secret, "delete")
}

func (t *token) mine(ctx context.Context, a signalbox.Action) (string, bool, error) {
	if a.Step.To != moveRotated {
		return "", false, nil
	}
	next, err := t.read(ctx, t.spec.Token.Replacement)
	if err != nil || next == nil || next.Annotations[annotationAction] != string(a.ID) {
		return "", false, err
	}
	return t.new() + " was made before", true, nil
}

func (t *token) write(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	if a.Step.To == moveRevoked {
		return t.remove(ctx, a)
	}
	return t.create(ctx, a)
}

// create makes the new Secret, which a controller fills in. Its name is the
// key of class B: a second one is refused, and the first bears the action's id.
func (t *token) create(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": corev1.SecretTypeServiceAccountToken,
		"metadata": map[string]any{
			"name": t.spec.Token.Replacement, "namespace": t.namespace,
			"annotations": map[string]string{
				corev1.ServiceAccountNameKey: t.spec.Token.ServiceAccount,
				annotationReplaces:           a.Forecast.Version, annotationAction: string(a.ID),
			},
		},
	})
	if err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	}
	request := t.rest.Post().AbsPath(t.path(secrets, "")...).Param("fieldManager", reach.FieldManager).
		SetHeader("Content-Type", "application/json").SetHeader("Accept", metadataOnly).Body(body)
	var made metav1.PartialObjectMetadata
	err = t.api.write(ctx, request, t.call(secrets, t.spec.Token.Replacement, "create"), a.Gate, &made)
	if err == nil {
		return signalbox.Receipt{At: t.now(), Version: string(made.UID), Detail: t.new() + " is made; the old one stays valid until it is revoked"}, nil
	}
	var failure *signalbox.Failure
	if errors.As(err, &failure) { // its name may have been taken by an earlier Start of ours
		if detail, done, lookErr := t.mine(ctx, a); lookErr == nil && done {
			return signalbox.Receipt{At: t.now(), Detail: detail}, nil
		}
	}
	return signalbox.Receipt{}, err
}

// remove deletes the Secret that Preview saw, and no other of its name.
func (t *token) remove(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	uid := uidOf(a.Forecast.Version)
	body, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}, Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if err != nil || uid == "" {
		return signalbox.Receipt{}, reach.Refused("the forecast names no Secret")
	}
	request := t.rest.Delete().AbsPath(t.path(secrets, t.spec.Token.Secret)...).SetHeader("Content-Type", "application/json").Body(body)
	if err := t.api.write(ctx, request, t.call(secrets, t.spec.Token.Secret, "delete"), a.Gate, nil); err != nil {
		return signalbox.Receipt{}, err
	}
	return signalbox.Receipt{At: t.now(), Version: string(uid), Detail: t.old() + " is deleted: its token is not valid any more"}, nil
}

func uidOf(version string) types.UID {
	for i := range version {
		if version[i] == ' ' {
			return types.UID(version[:i])
		}
	}
	return types.UID(version)
}

func (t *token) probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	if a.Step.To == moveRevoked {
		return t.probeRevoked(ctx, a)
	}
	next, err := t.read(ctx, t.spec.Token.Replacement)
	switch {
	case err != nil:
		return signalbox.Progress{}, err
	case next == nil && !late(t.now(), a):
		return phase(signalbox.InDoubt, "%s is not there yet; a late request may still come", t.new()), nil
	case next == nil && a.Receipt.Version != "":
		return phase(signalbox.Fell, "%s was made, and is gone: is the service account there?", t.new()), nil
	case next == nil:
		return phase(signalbox.NotStarted, "%s was not made", t.new()), nil
	case next.Annotations[annotationAction] != string(a.ID) && !a.Forecast.Already:
		return phase(signalbox.Fell, "%s was made by someone else", t.new()), nil
	case !next.filled:
		return phase(signalbox.Running, "%s holds no token yet: the token controller fills it in", t.new()), nil
	}
	return succeeded(t.now(), "%s holds the new %s", t.new(), next.mark), nil
}

func (t *token) probeRevoked(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	old, err := t.read(ctx, t.spec.Token.Secret)
	switch {
	case err != nil:
		return signalbox.Progress{}, err
	case old == nil:
		return succeeded(t.now(), "%s is gone: its token is not valid any more", t.old()), nil
	case old.UID != uidOf(a.Forecast.Version):
		return succeeded(t.now(), "%s was deleted, and someone made another of its name", t.old()), nil
	case old.DeletionTimestamp != nil:
		return phase(signalbox.Running, "%s is being deleted", t.old()), nil
	case !late(t.now(), a):
		return phase(signalbox.InDoubt, "%s is still there; the API server may take %s", t.old(), latency), nil
	}
	return phase(signalbox.NotStarted, "%s is still there, %s after the last moment of sending", t.old(), latency), nil
}
