package setting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// configMap is one key of a ConfigMap. It reads with GET and writes with a
// merge patch that names the key, the fence's annotation and the
// resourceVersion, and nothing else: so no other key can be changed or brought
// back by it, and the API server answers 409 when the ConfigMap has changed
// (Kubernetes API concepts, "Updates to existing resources").
type configMap struct {
	spec          configMapSpec
	cluster       reach.Cluster
	core          rest.Interface
	authorization rest.Interface
}

func newConfigMap(s configMapSpec, k reach.Cluster) (*configMap, error) {
	core, err := coreclient.NewForConfigAndClient(k.Config, k.HTTP)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	authorization, err := authorizationclient.NewForConfigAndClient(k.Config, k.HTTP)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return &configMap{spec: s, cluster: k, core: core.RESTClient(), authorization: authorization.RESTClient()}, nil
}

// call is a request, for what its errors mean.
func (c *configMap) call(verb string, write bool) reach.Call {
	return reach.Call{
		Target: string(c.target()), Verb: verb, Write: write, Grant: c.grant(verb),
		Missing: fmt.Sprintf("there must be a ConfigMap %s in namespace %s", c.spec.Name, c.spec.Namespace),
	}
}

func (c *configMap) target() signalbox.Target {
	return signalbox.Target(fmt.Sprintf("configmap %s/%s %s", c.spec.Namespace, c.spec.Name, c.spec.Key))
}

func (c *configMap) reach() string {
	return fmt.Sprintf("everything that reads key %s of ConfigMap %s in namespace %s: from a mounted volume within about a minute, as an environment variable only at its next start",
		c.spec.Key, c.spec.Name, c.spec.Namespace)
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
	return fmt.Sprintf("kubectl -n %s patch configmap %s --type merge -p %s", reach.Quote(c.spec.Namespace), reach.Quote(c.spec.Name), reach.Quote(string(body)))
}

func (c *configMap) handBack() string {
	return fmt.Sprintf("kubectl -n %s annotate configmap %s %s", reach.Quote(c.spec.Namespace), reach.Quote(c.spec.Name), reach.Quote(fence.Annotation(c.spec.Key)+"-"))
}

func (c *configMap) read(ctx context.Context) (state, error) {
	ctx, cancel := c.cluster.Bound(ctx)
	defer cancel()
	var cm corev1.ConfigMap
	err := c.core.Get().Namespace(c.spec.Namespace).Resource("configmaps").Name(c.spec.Name).
		MaxRetries(0).Do(ctx).Into(&cm)
	if err != nil {
		return state{}, c.call("get", false).Explain(ctx, err)
	}
	if cm.Name != c.spec.Name || cm.Namespace != c.spec.Namespace || cm.ResourceVersion == "" {
		return state{}, fmt.Errorf("%s: the answer is not the ConfigMap that was asked for", c.target())
	}
	return c.state(&cm)
}

func (c *configMap) state(cm *corev1.ConfigMap) (state, error) {
	value, ok := cm.Data[c.spec.Key]
	if _, binary := cm.BinaryData[c.spec.Key]; !ok && binary {
		return state{}, reach.Refused("%s: the key holds binary data: put its value under data", c.target())
	}
	if !ok {
		return state{}, reach.Refused("%s: ConfigMap %s/%s has no key %s under data: add it with the value of one of the positions", c.target(), c.spec.Namespace, c.spec.Name, c.spec.Key)
	}
	st := state{value: value, version: cm.ResourceVersion, class: signalbox.ClassA, editor: editor(cm.ManagedFields, c.spec.Key)}
	if cm.Immutable != nil && *cm.Immutable {
		st.blocked = "the ConfigMap is immutable: make it anew without immutable: true"
	}
	f, blocked := fence.In(cm.Annotations, fence.Annotation(c.spec.Key), c.handBack())
	st.fence = f
	if blocked != "" {
		st.blocked = blocked
	}
	return st, nil
}

// may asks the API server, by a SelfSubjectAccessReview, which every
// authenticated account may send and which changes nothing.
func (c *configMap) may(ctx context.Context) string {
	ctx, cancel := c.cluster.Bound(ctx)
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
	encoded, err := ch.fence.Encode()
	if err != nil {
		return "", &signalbox.Failure{Reason: "the fence can't be written", Err: err}
	}
	patch := mergePatch{Metadata: patchMetadata{ResourceVersion: s.version, Annotations: map[string]string{fence.Annotation(c.spec.Key): string(encoded)}}}
	if ch.value != nil {
		patch.Data = map[string]string{c.spec.Key: *ch.value}
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return "", &signalbox.Failure{Reason: "the patch can't be written", Err: err}
	}
	ctx, cancel := c.cluster.Bound(ctx)
	defer cancel()
	request := c.core.Patch(types.MergePatchType).Namespace(c.spec.Namespace).Resource("configmaps").Name(c.spec.Name).
		VersionedParams(&metav1.PatchOptions{FieldManager: reach.FieldManager}, metav1.ParameterCodec).MaxRetries(0).Body(body)
	if err := reach.Pass(ctx, gate); err != nil {
		return "", err
	}
	var cm corev1.ConfigMap
	if err := request.Do(ctx).Into(&cm); err != nil {
		return "", c.call("patch", true).Explain(ctx, err)
	}
	if cm.Annotations[fence.Annotation(c.spec.Key)] != string(encoded) {
		return "", errors.New("the API server accepted the patch, and answered with another fence than ours")
	}
	return cm.ResourceVersion, nil
}
