package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/evidence"
	"github.com/signalbox/signalbox/internal/kind"
)

// LookSettings are the keys of an entry of `evidence` on a source of this kind.
// Exactly one of them is given.
type LookSettings struct {
	// Warning events of objects: their reasons and how often, never their messages, which may hold anything.
	Events *EventScope `yaml:"events,omitempty" json:"events,omitempty"`
	// New revisions of Deployments, with the tags of their images: what was deployed lately.
	Revisions *LookScope `yaml:"revisions,omitempty" json:"revisions,omitempty"`
	// What Argo CD deployed lately, by the history of its Applications.
	Applications *LookScope `yaml:"applications,omitempty" json:"applications,omitempty"`
}

// LookScope says where is looked.
type LookScope struct {
	// The namespaces, of those of the source; absent: all of the source's.
	Namespaces []string `yaml:"namespaces,omitempty" json:"namespaces,omitempty"`
}

// EventScope says whose events are looked for.
type EventScope struct {
	LookScope `yaml:",inline" json:",inline"`
	// The kinds of objects.
	Kinds []string `yaml:"kinds,omitempty" json:"kinds,omitempty" default:"[Pod]"`
}

// mostListed bounds one list of a look, newest or not: the API server sorts by
// name.
const mostListed = 2000

// Validate reports every rule that the settings break.
func (s *LookSettings) Validate(fail kind.Fail) {
	given := 0
	for _, there := range []bool{s.Events != nil, s.Revisions != nil, s.Applications != nil} {
		if there {
			given++
		}
	}
	if given != 1 {
		fail("", "must have exactly one of events, revisions and applications", nil)
	}
	if s.Events == nil {
		return
	}
	for i, k := range s.Events.Kinds {
		if k == "" || strings.ContainsAny(k, " ,=") {
			fail(fmt.Sprintf("events.kinds[%d]", i), "must be a kind of objects, like Pod", k)
		}
	}
}

// Field says what is wrong with a field that `same` names.
func (s *LookSettings) Field(name string) string {
	if !slices.Contains([]string{"namespace", "workload"}, name) {
		return "must be namespace or workload"
	}
	return ""
}

// Build makes the look. opened is what this kind's Open returned.
func (s *LookSettings) Build(name string, opened any) (kind.Look, error) {
	source, ok := opened.(*Source)
	if !ok {
		return nil, fmt.Errorf("evidence %s: the source is not of kind kubernetes", name)
	}
	l := &glance{source: source}
	scope := s.Revisions
	switch {
	case s.Events != nil:
		l.resource, l.tell, scope = events, tellEvent(or(s.Events.Kinds, []string{"Pod"})), &s.Events.LookScope
		l.selector = "type=Warning"
	case s.Applications != nil:
		l.resource, l.tell, scope = applications, tellApplication, s.Applications
	default:
		l.resource, l.tell = replicaSets, tellRevision
	}
	var err error
	if l.namespaces, err = source.scope(scope.Namespaces); err != nil {
		return nil, fmt.Errorf("evidence %s: %w", name, err)
	}
	return l, nil
}

func or(list, fallback []string) []string {
	if len(list) > 0 {
		return list
	}
	return fallback
}

// What looks list, beside what detectors watch.
var (
	events      = resource{kind: "Event", gvr: gvr("", "v1", "events")}
	replicaSets = resource{kind: "ReplicaSet", gvr: gvr("apps", "v1", "replicasets")}
)

// glance lists objects around an incident.
type glance struct {
	source     *Source
	resource   resource
	namespaces []string // none: all
	selector   string   // of fields
	tell       func(from runtime.Object) []told
}

// told is what one object tells: of whom, and when.
type told struct {
	namespace, name string
	at              time.Time
	text            string
}

// Look lists the objects, in each namespace by itself, and tells of those that
// are of the incident's namespace and workload. An object is a workload's where
// its name is the workload's, or begins with it and a dash.
func (l *glance) Look(ctx context.Context, a kind.Around) ([]signalbox.Finding, error) {
	var found []signalbox.Finding
	for _, n := range l.where(a.Same["namespace"]) {
		all, err := l.list(ctx, n)
		if err != nil {
			return nil, err
		}
		for _, t := range all {
			if t.at.Before(a.From) || t.at.After(a.To.Add(time.Minute)) || !t.of(a.Same) {
				continue
			}
			found = append(found, signalbox.Finding{At: t.at.UTC(), Text: t.text})
		}
	}
	return evidence.Together(found, a.Most), nil
}

// where are the namespaces that are listed: the one that is named, if the entry
// may see it.
func (l *glance) where(named string) []string {
	switch {
	case named != "" && (len(l.namespaces) == 0 || slices.Contains(l.namespaces, named)):
		return []string{named}
	case named != "":
		return nil
	case len(l.namespaces) == 0:
		return []string{""}
	}
	return l.namespaces
}

func (t *told) of(same map[string]string) bool {
	if n, asked := same["namespace"]; asked && t.namespace != n {
		return false
	}
	w, asked := same["workload"]
	return !asked || t.name == w || strings.HasPrefix(t.name, w+"-")
}

// list reads one list, whole.
func (l *glance) list(ctx context.Context, namespace string) (all []told, err error) {
	r, err := l.source.clients.reader(l.resource, namespace)
	if err != nil {
		return nil, err
	}
	options, read := metav1.ListOptions{Limit: 500, FieldSelector: l.selector}, 0
	for {
		page, err := r.list(ctx, options)
		if err != nil {
			return nil, errors.New(explain(err, "list", &feed{resource: l.resource, namespace: namespace}))
		}
		more, ok := page.(metav1.ListInterface)
		if !ok {
			return nil, errors.New("the answer is no list")
		}
		for _, o := range objectsOf(page) {
			read++
			all = append(all, l.tell(o)...)
		}
		if options.Continue = more.GetContinue(); options.Continue == "" {
			return all, nil
		}
		if read >= mostListed {
			return nil, fmt.Errorf("there are more than %d %s: name namespaces", mostListed, l.resource.place(namespace))
		}
	}
}

// objectsOf are the objects of a list.
func objectsOf(page runtime.Object) (all []runtime.Object) {
	switch p := page.(type) {
	case *corev1.EventList:
		for i := range p.Items {
			all = append(all, &p.Items[i])
		}
	case *appsv1.ReplicaSetList:
		for i := range p.Items {
			all = append(all, &p.Items[i])
		}
	case *unstructured.UnstructuredList:
		for i := range p.Items {
			all = append(all, &p.Items[i])
		}
	}
	return all
}

// tellEvent tells the reason of an event and how often it came.
func tellEvent(kinds []string) func(runtime.Object) []told {
	return func(from runtime.Object) []told {
		e, ok := from.(*corev1.Event)
		if !ok || !slices.Contains(kinds, e.InvolvedObject.Kind) {
			return nil
		}
		at, n := e.LastTimestamp.Time, max(e.Count, 1)
		if e.Series != nil {
			at, n = e.Series.LastObservedTime.Time, max(n, e.Series.Count)
		}
		if at.IsZero() {
			at = e.EventTime.Time
		}
		if at.IsZero() {
			at = e.CreationTimestamp.Time
		}
		o := e.InvolvedObject
		text := fmt.Sprintf("%s %s %s/%s", e.Reason, o.Kind, o.Namespace, o.Name)
		if n > 1 {
			text += fmt.Sprintf(", %d times", n)
		}
		return []told{{o.Namespace, o.Name, at, text}}
	}
}

// revisionKey is where the Deployment controller writes the revision.
const revisionKey = "deployment.kubernetes.io/revision"

// tellRevision tells of a ReplicaSet that a Deployment made. One that was made
// long ago and is scaled up again, by a rollback, keeps its time, and is not
// found.
func tellRevision(from runtime.Object) []told {
	rs, ok := from.(*appsv1.ReplicaSet)
	if !ok {
		return nil
	}
	of, ok := controller(rs)
	if !ok || of.kind != "Deployment" {
		return nil
	}
	text := fmt.Sprintf("Deployment %s/%s revision %s", rs.Namespace, of.name, rs.Annotations[revisionKey])
	for _, c := range rs.Spec.Template.Spec.Containers {
		text += fmt.Sprintf(", %s %s", c.Name, image(c.Image))
	}
	return []told{{rs.Namespace, of.name, rs.CreationTimestamp.Time, text}}
}

// image is the last part of an image's name with its tag: the registry's host
// stays in the building.
func image(ref string) string {
	name, digest, pinned := strings.Cut(ref, "@")
	name = name[strings.LastIndexByte(name, '/')+1:]
	if pinned && !strings.Contains(name, ":") {
		name += "@" + digest[:min(len(digest), 19)]
	}
	return name
}

// tellApplication tells what Argo CD deployed of an Application
// (argoproj.io/v1alpha1 Application, status.history).
func tellApplication(from runtime.Object) (all []told) {
	u, ok := from.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	history, _, err := unstructured.NestedSlice(u.Object, "status", "history")
	if err != nil {
		return nil
	}
	for _, entry := range history {
		fields, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		e := &unstructured.Unstructured{Object: fields}
		revision := text(e, "revision")
		if revision == "" {
			if list, _, err := unstructured.NestedStringSlice(fields, "revisions"); err == nil {
				revision = strings.Join(list, ", ")
			}
		}
		id, _ := number(e, "id")
		all = append(all, told{
			u.GetNamespace(), u.GetName(), moment(e, "deployedAt"),
			"Application " + u.GetName() + " deployed " + short12(revision) + ", history id " + strconv.FormatInt(id, 10),
		})
	}
	return all
}

// short12 shortens a commit's hash.
func short12(s string) string {
	if len(s) == 40 && strings.Trim(s, "0123456789abcdef") == "" {
		return s[:12]
	}
	return s
}
