package endpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	signalbox "github.com/signalbox/signalbox"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// configMap is one key of a ConfigMap. It reads with GET and writes with a
// merge patch that names the key, the fence's annotation and the
// resourceVersion, and nothing else: so no other key can be changed or brought
// back by it, and the API server answers 409 when the ConfigMap has changed
// (Kubernetes API concepts, "Updates to existing resources").
type configMap struct {
	spec          configMapSpec
	core          rest.Interface
	authorization rest.Interface
	log           logr.Logger
}

// fieldManager is the owner that managedFields names for our writes.
const fieldManager = "signalbox"

func newConfigMap(s configMapSpec, k client, log logr.Logger) *configMap {
	return &configMap{spec: s, core: k.core.RESTClient(), authorization: k.authorization.RESTClient(), log: log}
}

// bound gives a request its deadline, and client-go's logs their way.
func (c *configMap) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(klog.NewContext(ctx, c.log), callTimeout)
}

func (c *configMap) target() signalbox.Target {
	return signalbox.Target(fmt.Sprintf("configmap %s/%s %s", c.spec.Namespace, c.spec.Name, c.spec.Key))
}

func (c *configMap) reach() string {
	return fmt.Sprintf("everything that reads key %s of ConfigMap %s in namespace %s: from a mounted volume within about a minute, as an environment variable only at its next start",
		c.spec.Key, c.spec.Name, c.spec.Namespace)
}

// annotation is where the fence of a key is kept. The name part of an
// annotation has at most 63 characters and ends in a letter or digit; a key
// that does not fit is hashed, under a prefix that no key gives.
func annotation(key string) string {
	const prefix = "signalbox.io/fence."
	last := key[len(key)-1]
	alphanumeric := last >= 'a' && last <= 'z' || last >= 'A' && last <= 'Z' || last >= '0' && last <= '9'
	if alphanumeric && len("fence.")+len(key) <= 63 {
		return prefix + key
	}
	sum := sha256.Sum256([]byte(key))
	return "signalbox.io/fence-sha256." + hex.EncodeToString(sum[:16])
}

// mergePatch is the body of a write (RFC 7386).
type mergePatch struct {
	Metadata patchMetadata     `json:"metadata"`
	Data     map[string]string `json:"data,omitempty"`
}

type patchMetadata struct {
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
}

func (c *configMap) byHand(value string) string {
	body, err := json.Marshal(map[string]any{"data": map[string]string{c.spec.Key: value}})
	if err != nil { // strings always marshal
		return ""
	}
	return fmt.Sprintf("kubectl -n %s patch configmap %s --type merge -p %s", quote(c.spec.Namespace), quote(c.spec.Name), quote(string(body)))
}

func (c *configMap) handBack() string {
	return fmt.Sprintf("kubectl -n %s annotate configmap %s %s", quote(c.spec.Namespace), quote(c.spec.Name), quote(annotation(c.spec.Key)+"-"))
}

func (c *configMap) read(ctx context.Context) (state, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	var cm corev1.ConfigMap
	err := c.core.Get().Namespace(c.spec.Namespace).Resource("configmaps").Name(c.spec.Name).
		MaxRetries(0).Do(ctx).Into(&cm)
	if err != nil {
		return state{}, c.explain(ctx, "get", err, false)
	}
	if cm.Name != c.spec.Name || cm.Namespace != c.spec.Namespace || cm.ResourceVersion == "" {
		return state{}, fmt.Errorf("%s: the answer is not the ConfigMap that was asked for", c.target())
	}
	return c.state(&cm)
}

func (c *configMap) state(cm *corev1.ConfigMap) (state, error) {
	value, ok := cm.Data[c.spec.Key]
	if _, binary := cm.BinaryData[c.spec.Key]; !ok && binary {
		return state{}, refused("%s: the key holds binary data: put its value under data", c.target())
	}
	if !ok {
		return state{}, refused("%s: ConfigMap %s/%s has no key %s under data: add it with the value of one of the positions", c.target(), c.spec.Namespace, c.spec.Name, c.spec.Key)
	}
	st := state{value: value, version: cm.ResourceVersion, class: signalbox.ClassA}
	if cm.Immutable != nil && *cm.Immutable {
		st.blocked = "the ConfigMap is immutable: make it anew without immutable: true"
	}
	if raw, ok := cm.Annotations[annotation(c.spec.Key)]; ok {
		f, err := parseFence([]byte(raw))
		if err != nil {
			st.blocked = fmt.Sprintf("annotation %s %v; to hand it back: %s", annotation(c.spec.Key), err, c.handBack())
		}
		st.fence = f
	}
	return st, nil
}

// may asks the API server, by a SelfSubjectAccessReview, which every
// authenticated account may send and which changes nothing.
func (c *configMap) may(ctx context.Context) string {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: c.spec.Namespace, Verb: "patch", Resource: "configmaps", Version: "v1", Name: c.spec.Name,
		},
	}}
	var answer authorizationv1.SelfSubjectAccessReview
	err := c.authorization.Post().Resource("selfsubjectaccessreviews").Body(review).MaxRetries(0).Do(ctx).Into(&answer)
	if err != nil || answer.Status.Allowed || answer.Status.EvaluationError != "" {
		return "" // not known: the write itself will tell
	}
	return c.grant("patch")
}

// grant says which permission to give.
func (c *configMap) grant(verb string) string {
	return fmt.Sprintf("%s: the daemon's account may not %s it: grant verbs get and patch on configmaps with resourceNames [%s] by a Role in namespace %s",
		c.target(), verb, c.spec.Name, c.spec.Namespace)
}

func (c *configMap) write(ctx context.Context, s state, ch change, gate func() error) (string, error) {
	encoded, err := ch.fence.encode()
	if err != nil {
		return "", &signalbox.Failure{Reason: "the fence can't be written", Err: err}
	}
	patch := mergePatch{Metadata: patchMetadata{ResourceVersion: s.version, Annotations: map[string]string{annotation(c.spec.Key): string(encoded)}}}
	if ch.value != nil {
		patch.Data = map[string]string{c.spec.Key: *ch.value}
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return "", &signalbox.Failure{Reason: "the patch can't be written", Err: err}
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	request := c.core.Patch(types.MergePatchType).Namespace(c.spec.Namespace).Resource("configmaps").Name(c.spec.Name).
		VersionedParams(&metav1.PatchOptions{FieldManager: fieldManager}, metav1.ParameterCodec).MaxRetries(0).Body(body)
	if err := pass(ctx, gate); err != nil {
		return "", err
	}
	var cm corev1.ConfigMap
	if err := request.Do(ctx).Into(&cm); err != nil {
		return "", c.explain(ctx, "patch", err, true)
	}
	if cm.Annotations[annotation(c.spec.Key)] != string(encoded) {
		return "", errors.New("the API server accepted the patch, and answered with another fence than ours")
	}
	return cm.ResourceVersion, nil
}
