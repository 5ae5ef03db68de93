package argocd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// target is one Application in one cluster.
type target struct {
	spec          spec
	cluster       reach.Cluster
	api           rest.Interface
	authorization rest.Interface
}

func newTarget(s spec, k reach.Cluster) (*target, error) {
	config := rest.CopyConfig(k.Config)
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	api, err := rest.UnversionedRESTClientForConfigAndClient(config, k.HTTP)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	authorization, err := authorizationclient.NewForConfigAndClient(k.Config, k.HTTP)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return &target{spec: s, cluster: k, api: api, authorization: authorization.RESTClient()}, nil
}

func (t *target) name() signalbox.Target {
	return signalbox.Target("application " + t.spec.Namespace + "/" + t.spec.Application)
}

func (t *target) path() string {
	return "/apis/argoproj.io/v1alpha1/namespaces/" + url.PathEscape(t.spec.Namespace) + "/applications/" + url.PathEscape(t.spec.Application)
}

// call is a request, for what its errors mean.
func (t *target) call(verb string, write bool) reach.Call {
	return reach.Call{
		Target: string(t.name()), Verb: verb, Write: write, Grant: t.grant(verb),
		Missing: fmt.Sprintf("there must be an Application %s in namespace %s, and Argo CD's definitions", t.spec.Application, t.spec.Namespace),
	}
}

func (t *target) grant(verb string) string {
	return fmt.Sprintf("%s: the daemon's account may not %s it: grant verbs get and patch on applications.argoproj.io with resourceNames [%s] by a Role in namespace %s",
		t.name(), verb, t.spec.Application, t.spec.Namespace)
}

// state is the Application as it was read at one moment.
type state struct {
	application
	fence   fence.Fence
	blocked string // why it can't be written, whatever is wanted
}

func (t *target) read(ctx context.Context) (state, error) {
	ctx, cancel := t.cluster.Bound(ctx)
	defer cancel()
	raw, err := t.api.Get().AbsPath(t.path()).MaxRetries(0).Do(ctx).Raw()
	if err != nil {
		return state{}, t.call("get", false).Explain(ctx, err)
	}
	return t.decode(raw)
}

func (t *target) decode(raw []byte) (state, error) {
	var s state
	if err := json.Unmarshal(raw, &s.application); err != nil {
		return state{}, fmt.Errorf("%s: the answer is not an Application", t.name())
	}
	if m := s.Metadata; m.Name != t.spec.Application || m.Namespace != t.spec.Namespace || m.ResourceVersion == "" {
		return state{}, fmt.Errorf("%s: the answer is not the Application that was asked for", t.name())
	}
	s.fence, s.blocked = fence.In(s.Metadata.Annotations, fenceAnnotation,
		fmt.Sprintf("kubectl -n %s annotate application %s %s-", reach.Quote(t.spec.Namespace), reach.Quote(t.spec.Application), fenceAnnotation))
	if s.Metadata.Deleted != nil {
		s.blocked = "it is being deleted"
	}
	return s, nil
}

// write sends a merge patch (RFC 7386) with the version that was read and the
// fence: reach.ErrConflict where the Application changed meanwhile. dry only
// tries it.
func (t *target) write(ctx context.Context, s state, f fence.Fence, change map[string]any, dry bool, gate func() error) (state, error) {
	text, err := f.Encode()
	if err != nil {
		return state{}, &signalbox.Failure{Reason: "the fence can't be written", Err: err}
	}
	patch := map[string]any{"metadata": map[string]any{
		"resourceVersion": s.Metadata.ResourceVersion, "annotations": map[string]any{fenceAnnotation: string(text)},
	}}
	for k, v := range change {
		patch[k] = v
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return state{}, &signalbox.Failure{Reason: "the patch can't be written", Err: err}
	}
	ctx, cancel := t.cluster.Bound(ctx)
	defer cancel()
	request := t.api.Patch(types.MergePatchType).AbsPath(t.path()).Param("fieldManager", reach.FieldManager).MaxRetries(0).Body(body)
	if dry {
		request = request.Param("dryRun", "All")
	} else if err := reach.Pass(ctx, gate); err != nil {
		return state{}, err
	}
	raw, err := request.Do(ctx).Raw()
	if err != nil {
		return state{}, t.call("patch", true).Explain(ctx, err)
	}
	after, err := t.decode(raw)
	if err == nil && after.fence != f {
		err = errors.New("the API server accepted the patch, and answered with another fence than ours")
	}
	return after, err
}

// may says why the daemon is not allowed to write; empty: it is, or that can't
// be asked.
func (t *target) may(ctx context.Context) string {
	ctx, cancel := t.cluster.Bound(ctx)
	defer cancel()
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: t.spec.Namespace, Verb: "patch", Group: "argoproj.io", Resource: "applications", Version: "v1alpha1", Name: t.spec.Application,
		},
	}}
	var answer authorizationv1.SelfSubjectAccessReview
	err := t.authorization.Post().Resource("selfsubjectaccessreviews").Body(review).MaxRetries(0).Do(ctx).Into(&answer)
	if err != nil || answer.Status.Allowed || answer.Status.EvaluationError != "" {
		return "" // not known: the write itself will tell
	}
	return t.grant("patch")
}
