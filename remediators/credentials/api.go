package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// api reads and writes objects of one namespace, as JSON. Nothing is tried
// twice by itself.
type api struct {
	cluster   reach.Cluster
	rest      rest.Interface
	namespace string
}

// resource is a kind of object.
type resource struct{ group, version, plural, kind string }

var (
	secrets         = resource{"", "v1", "secrets", "Secret"}
	serviceAccounts = resource{"", "v1", "serviceaccounts", "ServiceAccount"}
	pods            = resource{"", "v1", "pods", "Pod"}
	deployments     = resource{"apps", "v1", "deployments", "Deployment"}
	sealedSecrets   = resource{"bitnami.com", "v1alpha1", "sealedsecrets", "SealedSecret"}
)

// Accept headers by which the API server leaves everything but the metadata
// out: what is not sent can't leak.
const (
	metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	metadataList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

func newAPI(k reach.Cluster, namespace string) (*api, error) {
	config := rest.CopyConfig(k.Config)
	config.GroupVersion = &schema.GroupVersion{}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, k.HTTP)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return &api{cluster: k, rest: client, namespace: namespace}, nil
}

func (a *api) path(r resource, name string) []string {
	root := []string{"/apis", r.group, r.version}
	if r.group == "" {
		root = []string{"/api", r.version}
	}
	root = append(root, "namespaces", a.namespace, r.plural)
	if name != "" {
		root = append(root, name)
	}
	return root
}

// target is an object as it locks.
func (a *api) target(r resource, name string) string {
	return fmt.Sprintf("%s %s/%s", strings.ToLower(r.kind), a.namespace, name)
}

func (a *api) call(r resource, name, verb string) reach.Call {
	return reach.Call{
		Target: a.target(r, name), Verb: verb, Write: verb != "get" && verb != "list",
		Missing: fmt.Sprintf("there must be a %s %s in namespace %s", r.kind, name, a.namespace),
		Grant:   a.grant(r, name, verb),
	}
}

// grant says which permission to give.
func (a *api) grant(r resource, name, verb string) string {
	only := fmt.Sprintf(" with resourceNames [%s]", name)
	if name == "" || verb == "create" || verb == "list" {
		only = ""
	}
	return fmt.Sprintf("%s: the daemon's account may not %s it: grant verb %s on %s%s by a Role in namespace %s",
		a.target(r, name), verb, verb, r.plural, only, a.namespace)
}

// do sends a request and decodes the answer. Neither a decoder's error nor a
// body is repeated: it may hold the value.
func (a *api) do(ctx context.Context, request *rest.Request, call reach.Call, out any) error {
	ctx, cancel := a.cluster.Bound(ctx)
	defer cancel()
	body, err := send(ctx, request)
	if err != nil {
		return call.Explain(ctx, err)
	}
	if out == nil { // an answer that is none of the API server's says nothing
		out = &json.RawMessage{}
	}
	if json.Unmarshal(body, out) != nil {
		return fmt.Errorf("%s: %s: the answer can't be read", call.Target, call.Verb)
	}
	return nil
}

func send(ctx context.Context, request *rest.Request) ([]byte, error) {
	result := request.MaxRetries(0).Do(ctx)
	if err := result.Error(); err != nil { // unlike Raw's, it is the API server's Status
		return nil, err
	}
	return result.Raw()
}

// get reads an object; false: it is not there.
func (a *api) get(ctx context.Context, r resource, name, accept string, out metav1.Object) (bool, error) {
	call := a.call(r, name, "get")
	request := a.rest.Get().AbsPath(a.path(r, name)...)
	if accept != "" {
		request = request.SetHeader("Accept", accept)
	}
	ctx, cancel := a.cluster.Bound(ctx)
	defer cancel()
	body, err := send(ctx, request)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, call.Explain(ctx, err)
	}
	if json.Unmarshal(body, out) != nil || out.GetName() != name || out.GetNamespace() != a.namespace || out.GetUID() == "" || out.GetResourceVersion() == "" {
		return false, fmt.Errorf("%s: the answer is not the object that was asked for", call.Target)
	}
	return true, nil
}

// missing reports that the API server says of the object that it is not there.
func missing(err error) bool {
	var status interface{ Status() metav1.Status }
	if !errors.As(err, &status) {
		return false
	}
	s := status.Status()
	return s.Code == 404 && s.Reason == metav1.StatusReasonNotFound && s.Details != nil && s.Details.Name != "" && len(s.Details.Causes) == 0
}

// write asks the last check, and sends.
func (a *api) write(ctx context.Context, request *rest.Request, call reach.Call, gate func() error, out any) error {
	if err := reach.Pass(ctx, gate); err != nil {
		return err
	}
	return a.do(ctx, request, call, out)
}

// may asks the API server, by a SelfSubjectAccessReview, which changes nothing.
// A failure is what is to be granted; where it can't be asked, the write itself
// will tell.
func (a *api) may(ctx context.Context, r resource, name, verb string) error {
	attributes := &authorizationv1.ResourceAttributes{Namespace: a.namespace, Verb: verb, Group: r.group, Version: r.version, Resource: r.plural, Name: name}
	body, err := json.Marshal(&authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec:     authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes},
	})
	if err != nil {
		return err
	}
	var answer authorizationv1.SelfSubjectAccessReview
	request := a.rest.Post().AbsPath("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").SetHeader("Content-Type", "application/json").Body(body)
	err = a.do(ctx, request, reach.Call{Target: a.target(r, name), Verb: "review"}, &answer)
	if err != nil || answer.Status.Allowed || answer.Status.EvaluationError != "" {
		return nil //nolint:nilerr // not known
	}
	return &signalbox.Failure{Reason: a.grant(r, name, verb)}
}
