package kubernetes

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// object is what is kept of an object of the cluster: a few hundred bytes. It
// is a runtime.Object, so that it can take the place of the whole one between
// client-go's decoder and its reflector. It is immutable once it is in a feed.
type object struct {
	namespace, name string
	version         string // resourceVersion
	owner           owner  // what a person knows it as
	node            string
	labels          labelSet
	created         time.Time
	symptoms        []symptom // nil: nothing can become ill about it
}

// id identifies an object, or a workload: its kind, namespace and name.
type id struct{ kind, namespace, name string }

func (k id) compare(other id) int {
	return cmp.Or(cmp.Compare(k.namespace, other.namespace), cmp.Compare(k.kind, other.kind), cmp.Compare(k.name, other.name))
}

// owner is the workload that an object belongs to; of a workload, itself.
type owner struct{ kind, name string }

// symptom is one thing that is not as it should be about an object, and is ill
// when it has lasted for long enough.
type symptom struct {
	reason    string
	container string
	at        time.Time // since when; zero: the object doesn't tell, and it is when we saw it first
	ours      bool      // at is when we saw it first
	// mark tells one state from the next where at is zero: another mark is a
	// step forward, and its time begins anew.
	mark string
}

// DeepCopyObject, GetObjectKind and GetObjectMeta are what client-go needs.
func (o *object) DeepCopyObject() runtime.Object { c := *o; return &c }

func (o *object) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

func (o *object) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: o.namespace, Name: o.name, ResourceVersion: o.version}
}

// objectList is a list of them, of one page.
type objectList struct {
	metav1.ListMeta
	Items []runtime.Object
}

func (l *objectList) DeepCopyObject() runtime.Object {
	return &objectList{ListMeta: *l.ListMeta.DeepCopy(), Items: slices.Clone(l.Items)}
}

func (l *objectList) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// newObject keeps of an object's metadata what all kinds need.
func newObject(m metav1.Object) *object {
	return &object{
		namespace: intern(m.GetNamespace()), name: strings.Clone(m.GetName()), version: strings.Clone(m.GetResourceVersion()),
		labels: newLabelSet(m.GetLabels()), created: m.GetCreationTimestamp().Time,
	}
}

// intern makes equal texts share their memory: ten thousand pods have few
// namespaces, nodes and owners.
func intern(s string) string { return unique.Make(strings.Clone(s)).Value() }

// labelSet is a set of labels, of which equal ones share their memory. It
// implements labels.Labels.
type labelSet struct{ text unique.Handle[string] }

func newLabelSet(m map[string]string) labelSet {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, n := range names {
		b.WriteString(n)
		b.WriteByte(0)
		b.WriteString(m[n])
		b.WriteByte(0)
	}
	return labelSet{unique.Make(b.String())}
}

// Lookup returns a label's value.
func (l labelSet) Lookup(label string) (string, bool) {
	if l == (labelSet{}) {
		return "", false
	}
	for rest := l.text.Value(); rest != ""; {
		name, tail, _ := strings.Cut(rest, "\x00")
		value, after, _ := strings.Cut(tail, "\x00")
		if name == label {
			return value, true
		}
		rest = after
	}
	return "", false
}

// Has reports whether there is such a label.
func (l labelSet) Has(label string) bool { _, ok := l.Lookup(label); return ok }

// Get returns a label's value, "" where there is none.
func (l labelSet) Get(label string) string { v, _ := l.Lookup(label); return v }

// controller returns the reference to what controls the object.
func controller(m metav1.Object) (owner, bool) {
	for _, r := range m.GetOwnerReferences() {
		if r.Controller != nil && *r.Controller {
			return owner{intern(r.Kind), r.Name}, true
		}
	}
	return owner{}, false
}

// known gives symptoms without a time of their own the one at which they were
// seen first: old is what was known of the object, nil for nothing. Time in
// which nothing was seen, gap, doesn't count: it may have been over meanwhile.
func (o *object) known(old *object, now time.Time, gap time.Duration) {
	for i := range o.symptoms {
		s := &o.symptoms[i]
		if !s.at.IsZero() {
			continue
		}
		s.at, s.ours = now, true
		if old == nil {
			continue
		}
		j := slices.IndexFunc(old.symptoms, func(was symptom) bool {
			return was.ours && was.reason == s.reason && was.container == s.container && was.mark == s.mark
		})
		if j >= 0 {
			s.at = old.symptoms[j].at.Add(gap)
		}
	}
}
