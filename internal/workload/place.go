package workload

import (
	"context"
	"fmt"
	"maps"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// Place is an object's place in a cluster, and how it is reached.
type Place struct {
	API      *reach.Objects
	Resource reach.Resource
	Kind     string
	Name     string
}

// At is the place of a workload.
func At(api *reach.Objects, kind, namespace, name string) Place {
	r := Resources[kind]
	r.Namespace = namespace
	return Place{API: api, Resource: r, Kind: kind, Name: name}
}

// Target names the object for locks.
func (p Place) Target() signalbox.Target {
	if p.Resource.Namespace == "" {
		return signalbox.Target(p.Kind + " " + p.Name)
	}
	return signalbox.Target(p.Kind + " " + p.Resource.Namespace + "/" + p.Name)
}

// In is where the object is, for people.
func (p Place) In() string {
	if p.Resource.Namespace == "" {
		return "in the cluster"
	}
	return "in namespace " + p.Resource.Namespace
}

// Kubectl is how a command for a person begins.
func (p Place) Kubectl() string {
	if p.Resource.Namespace == "" {
		return "kubectl"
	}
	return "kubectl -n " + reach.Quote(p.Resource.Namespace)
}

// Word is the kind as kubectl has it.
func (p Place) Word() string {
	if p.Kind == ArgoRollout {
		return "rollouts.argoproj.io"
	}
	return p.Kind
}

// Call is a request, for what its errors mean.
func (p Place) Call(verb string) reach.Call {
	return reach.Call{
		Target: string(p.Target()), Verb: verb, Grant: p.Grant(verb, p.Resource, ""),
		Missing: fmt.Sprintf("there must be a %s %s %s", p.Kind, p.Name, p.In()),
	}
}

// Grant says which permission to give.
func (p Place) Grant(verb string, r reach.Resource, sub string) string {
	what := r.Plural
	if r.Group != "" {
		what += "." + r.Group
	}
	if sub != "" {
		what += "/" + sub
	}
	role := "a Role in namespace " + r.Namespace
	if r.Namespace == "" {
		role = "a ClusterRole"
	}
	return fmt.Sprintf("%s: the daemon's account may not %s %s: grant it by %s", p.Target(), verb, what, role)
}

// Read reads the object.
func (p Place) Read(ctx context.Context) (*Object, error) {
	o := &Object{Kind: p.Kind}
	if err := p.API.Get(ctx, p.Resource, p.Name, p.Call("get"), o); err != nil {
		return nil, err
	}
	return o, nil
}

// Fence reads the fence of an aspect; blocked says why it can't be written over.
func (p Place) Fence(o *Object, aspect string) (f fence.Fence, blocked string) {
	return fence.In(o.Annotations, fence.Annotation(aspect), p.HandBack(aspect))
}

// HandBack is the command that hands an aspect to the daemon again.
func (p Place) HandBack(aspect string) string {
	return fmt.Sprintf("%s annotate %s %s %s", p.Kubectl(), p.Word(), reach.Quote(p.Name), reach.Quote(fence.Annotation(aspect)+"-"))
}

// Write patches the object as it was read, and puts a fence with it.
func (p Place) Write(ctx context.Context, o *Object, aspect string, f fence.Fence, ops []reach.Op, gate func() error) (version string, err error) {
	encoded, err := f.Encode()
	if err != nil {
		return "", &signalbox.Failure{Reason: "the fence can't be written", Err: err}
	}
	annotations := maps.Clone(o.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[fence.Annotation(aspect)] = string(encoded)
	ops = append([]reach.Op{{Op: "add", Path: "/metadata/annotations", Value: annotations}}, ops...)
	next := &Object{Kind: p.Kind}
	if err := p.API.Patch(ctx, p.Resource, p.Name, "", o.ResourceVersion, ops, p.Call("patch"), gate, next); err != nil {
		return "", err
	}
	if next.Annotations[fence.Annotation(aspect)] != string(encoded) {
		return "", fmt.Errorf("%s: the API server accepted the patch, and answered with another fence than ours", p.Target())
	}
	return next.ResourceVersion, nil
}
