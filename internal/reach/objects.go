package reach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	signalbox "github.com/signalbox/signalbox"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// Resource is a kind of object of an API server.
type Resource struct {
	Group, Version, Plural string
	Namespace              string // empty: of the whole cluster
}

// path is the resource's, an object's, or that of its subresource.
func (r Resource) path(parts ...string) string {
	p := "/apis/" + r.Group + "/" + r.Version
	if r.Group == "" {
		p = "/api/" + r.Version
	}
	if r.Namespace != "" {
		p += "/namespaces/" + url.PathEscape(r.Namespace)
	}
	p += "/" + r.Plural
	for _, part := range parts {
		if part != "" {
			p += "/" + url.PathEscape(part)
		}
	}
	return p
}

// Objects reads and writes objects of any kind, as JSON: those of a custom
// resource as well as the API server's own. Nothing is tried twice by itself.
type Objects struct {
	cluster Cluster
	rest    rest.Interface
}

// Objects is a client of the cluster.
func (c Cluster) Objects() (*Objects, error) {
	config := rest.CopyConfig(c.Config)
	config.GroupVersion = &schema.GroupVersion{}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, c.HTTP)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return &Objects{cluster: c, rest: client}, nil
}

// Get reads an object into out. An answer that is another object is an error.
func (o *Objects) Get(ctx context.Context, r Resource, name string, call Call, out metav1.Object) error {
	if err := o.do(ctx, o.rest.Get().AbsPath(r.path(name)), call, out); err != nil {
		return err
	}
	if out.GetName() != name || out.GetNamespace() != r.Namespace || out.GetResourceVersion() == "" {
		return fmt.Errorf("%s: the answer is not the object that was asked for", call.Target)
	}
	return nil
}

// List reads the objects with the labels of selector into out; at most MaxBody
// bytes of them.
func (o *Objects) List(ctx context.Context, r Resource, selector string, call Call, out any) error {
	request := o.rest.Get().AbsPath(r.path())
	if selector != "" {
		request = request.Param("labelSelector", selector)
	}
	return o.do(ctx, request, call, out)
}

// Op is one operation of a JSON patch (RFC 6902).
type Op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// Patch changes an object, or its subresource, if it still has the version. It
// calls gate last thing before it sends.
func (o *Objects) Patch(ctx context.Context, r Resource, name, sub, version string, ops []Op, call Call, gate func() error, out metav1.Object) error {
	body, err := json.Marshal(append([]Op{{Op: "replace", Path: "/metadata/resourceVersion", Value: version}}, ops...))
	if err != nil {
		return &signalbox.Failure{Reason: "the patch can't be written", Err: err}
	}
	request := o.rest.Patch(types.JSONPatchType).AbsPath(r.path(name, sub)).Param("fieldManager", FieldManager).Body(body)
	return o.write(ctx, request, call, gate, out)
}

// Apply applies fields server-side as those of a field manager of its own, if the
// object still has the version (metadata.resourceVersion in the body). It takes
// over the fields that it names, and no others; what the same manager applied
// before and does not name now goes. It calls gate last thing before it sends.
func (o *Objects) Apply(ctx context.Context, r Resource, name, manager string, fields any, call Call, gate func() error, out metav1.Object) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return &signalbox.Failure{Reason: "the fields can't be written", Err: err}
	}
	request := o.rest.Patch(types.ApplyPatchType).AbsPath(r.path(name)).Param("fieldManager", manager).Param("force", "true").Body(body)
	return o.write(ctx, request, call, gate, out)
}

// Create makes an object, or posts to an object's subresource. It calls gate
// last thing before it sends.
func (o *Objects) Create(ctx context.Context, r Resource, name, sub string, in any, call Call, gate func() error, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return &signalbox.Failure{Reason: "the object can't be written", Err: err}
	}
	request := o.rest.Post().AbsPath(r.path(name, sub)).Param("fieldManager", FieldManager).
		SetHeader("Content-Type", "application/json").Body(body)
	return o.write(ctx, request, call, gate, out)
}

// Delete removes the object with that uid, and no other of its name. It calls
// gate last thing before it sends.
func (o *Objects) Delete(ctx context.Context, r Resource, name string, uid types.UID, call Call, gate func() error) error {
	background := metav1.DeletePropagationBackground
	body, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta:      metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background,
	})
	if err != nil {
		return &signalbox.Failure{Reason: "the request can't be written", Err: err}
	}
	request := o.rest.Delete().AbsPath(r.path(name)).SetHeader("Content-Type", "application/json").Body(body)
	return o.write(ctx, request, call, gate, nil)
}

// Text reads the beginning of what is plain text, a pod's log.
func (o *Objects) Text(ctx context.Context, r Resource, name, sub string, query map[string]string, call Call) (string, error) {
	request := o.rest.Get().AbsPath(r.path(name, sub))
	for k, v := range query {
		request = request.Param(k, v)
	}
	ctx, cancel := o.cluster.Bound(ctx)
	defer cancel()
	result := request.SetHeader("Accept", "*/*").MaxRetries(0).Do(ctx)
	if err := result.Error(); err != nil {
		return "", call.Explain(ctx, err)
	}
	raw, err := result.Raw()
	return string(raw), err
}

// May asks whether the daemon's account may do something (a
// SelfSubjectAccessReview, which every authenticated account may send and which
// changes nothing). It is true where that can't be told: the call itself will.
func (o *Objects) May(ctx context.Context, verb string, r Resource, name, sub string) bool {
	review := authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: r.Namespace, Verb: verb, Group: r.Group, Version: r.Version, Resource: r.Plural, Subresource: sub, Name: name,
		},
	}}
	review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
	body, err := json.Marshal(review)
	if err != nil {
		return true
	}
	var answer authorizationv1.SelfSubjectAccessReview
	request := o.rest.Post().AbsPath("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").SetHeader("Content-Type", "application/json").Body(body)
	err = o.do(ctx, request, Call{Target: "cluster", Verb: "review"}, &answer)
	return err != nil || answer.Status.Allowed || answer.Status.EvaluationError != ""
}

func (o *Objects) write(ctx context.Context, request *rest.Request, call Call, gate func() error, out any) error {
	if err := Pass(ctx, gate); err != nil {
		return err
	}
	call.Write = true
	return o.do(ctx, request, call, out)
}

func (o *Objects) do(ctx context.Context, request *rest.Request, call Call, out any) error {
	ctx, cancel := o.cluster.Bound(ctx)
	defer cancel()
	result := request.MaxRetries(0).Do(ctx)
	if err := result.Error(); err != nil {
		return call.Explain(ctx, err)
	}
	raw, err := result.Raw()
	if out == nil { // an answer that is none of the API server's says nothing
		out = &json.RawMessage{}
	}
	if err == nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil { // a decoder's error quotes the answer
		return fmt.Errorf("%s: %s: %w", call.Target, call.Verb, errors.New("the answer can't be read"))
	}
	return nil
}
