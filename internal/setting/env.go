package setting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/workload"
)

// env is an environment variable of one container of a workload. A value is
// applied server-side with its fence and the resourceVersion that was read, so
// that nothing else of the workload is named. A seal is a JSON patch of the
// fence alone: an apply without the variable would give it up. The workload's
// controller then replaces the pods, which is followed to its end.
type env struct {
	spec  envSpec
	place workload.Place
}

func newEnv(s envSpec, k reach.Cluster) (*env, error) {
	switch s.Kind {
	case workload.Deployment, workload.StatefulSet, workload.DaemonSet:
	default:
		return nil, fmt.Errorf("step's spec is of a workload of an unknown kind, %q", s.Kind)
	}
	api, err := k.Objects()
	if err != nil {
		return nil, err
	}
	return &env{spec: s, place: workload.At(api, s.Kind, s.Namespace, s.Workload)}, nil
}

func (e *env) target() signalbox.Target {
	return signalbox.Target(fmt.Sprintf("%s env %s %s", e.place.Target(), e.spec.Container, e.spec.Name))
}

func (e *env) reach() string {
	return fmt.Sprintf("every pod of the %s %s %s: all are replaced", e.spec.Kind, e.spec.Workload, e.place.In())
}

// aspect is what the fence is of.
func (e *env) aspect() string { return "env." + e.spec.Container + "." + e.spec.Name }

// manager is the field manager of this variable alone: what one manager applied
// before and does not name again goes, and there may be more variables.
func (e *env) manager() string {
	const most = 128 // of a field manager's name
	name := reach.FieldManager + "/" + e.spec.Container + "/" + e.spec.Name
	if len(name) > most {
		name = reach.FieldManager + "/" + strings.TrimPrefix(fence.Annotation(name), "signalbox.io/")
	}
	return name
}

func (e *env) byHand(value string) string {
	return fmt.Sprintf("%s set env %s/%s -c %s %s", e.place.Kubectl(), e.spec.Kind, reach.Quote(e.spec.Workload), reach.Quote(e.spec.Container), reach.Quote(e.spec.Name+"="+value))
}

func (e *env) handBack() string { return e.place.HandBack(e.aspect()) }

func (e *env) may(ctx context.Context) string {
	if e.place.API.May(ctx, "patch", e.place.Resource, e.place.Name, "") {
		return ""
	}
	return e.place.Grant("patch", e.place.Resource, "")
}

func (e *env) read(ctx context.Context) (state, error) {
	o, err := e.place.Read(ctx)
	if err != nil {
		return state{}, err
	}
	return e.state(o)
}

func (e *env) state(o *workload.Object) (state, error) {
	value, err := e.value(o)
	if err != nil {
		return state{}, err
	}
	owners := o.Owners(e.path()...)
	st := state{value: value, version: o.ResourceVersion, class: signalbox.ClassA, editor: lastOf(owners), workload: o}
	st.fence, st.blocked = e.place.Fence(o, e.aspect())
	st.left, st.failed = o.Left()
	switch {
	case o.DeletionTimestamp != nil:
		st.unfit = "it is being deleted"
	case o.Unfit() != "":
		st.unfit = o.Unfit()
	case !e.spec.AllowOutage && o.Outage() != "":
		st.unfit = o.Outage() + ": give it another strategy, or allow_outage: true"
	}
	switch rolling := o.Rolling(); {
	case e.keptBy(o, owners) != "":
		st.taken = e.keptBy(o, owners)
	case o.Stuck() != "":
		st.taken = "its last rollout did not get there (" + o.Stuck() + "): bring it to its end, or take it back"
	case o.Unseen() != "":
		st.unseen = "its last change is too new: " + o.Unseen()
	case rolling != "":
		st.taken = "a rollout of it is under way: " + rolling
	}
	return st, nil
}

// value is the variable's value, if it has a plain one.
func (e *env) value(o *workload.Object) (string, error) {
	var spec corev1.PodSpec
	if err := decode(o.Spec.Template["spec"], &spec); err != nil {
		return "", reach.Refused("%s: its pod template can't be read", e.place.Target())
	}
	var names []string
	for i := range spec.Containers {
		c := &spec.Containers[i]
		if names = append(names, c.Name); c.Name != e.spec.Container {
			continue
		}
		return e.variable(c)
	}
	return "", reach.Refused("%s: it has no container %s: it has %s", e.place.Target(), e.spec.Container, strings.Join(names, ", "))
}

func (e *env) variable(c *corev1.Container) (string, error) {
	var found []corev1.EnvVar
	for _, v := range c.Env {
		if v.Name == e.spec.Name {
			found = append(found, v)
		}
	}
	switch {
	case len(found) == 0:
		return "", reach.Refused("%s: container %s has no variable %s under env: add it with the value of one of the positions", e.place.Target(), c.Name, e.spec.Name)
	case len(found) > 1:
		return "", reach.Refused("%s: container %s has variable %s %d times: leave one", e.place.Target(), c.Name, e.spec.Name, len(found))
	case found[0].ValueFrom != nil:
		return "", reach.Refused("%s: variable %s of container %s takes its value from elsewhere (valueFrom): throw what it is taken from, or give it a plain value", e.place.Target(), e.spec.Name, c.Name)
	}
	return found[0].Value, nil
}

// decode reads a part of a template.
func decode(part, into any) error {
	b, err := json.Marshal(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// path is where managedFields say who wrote the value.
func (e *env) path() []string {
	named := func(name string) string {
		b, err := json.Marshal(map[string]string{"name": name})
		if err != nil { // strings always marshal
			return ""
		}
		return "k:" + string(b)
	}
	return []string{"f:spec", "f:template", "f:spec", "f:containers", named(e.spec.Container), "f:env", named(e.spec.Name), "f:value"}
}

// keptBy says who would put the value back: a GitOps tool, by its hand or its
// mark, or whoever applies it server-side, since that is declared somewhere. Who
// set it in another way did it once, and is followed by us.
func (e *env) keptBy(o *workload.Object, owners []metav1.ManagedFieldsEntry) string {
	if e.spec.GitOpsIgnores {
		return ""
	}
	advice := fmt.Sprintf("would put it back: change %s there, or tell it to leave the variable alone and give gitops_ignores: true", e.spec.Name)
	for i := range owners {
		m := &owners[i]
		switch keeper := workload.Keeper(m.Manager); {
		case workload.Ours(m.Manager):
		case keeper != "":
			return fmt.Sprintf("%s (field manager %q) owns it, and %s", keeper, reach.Shown(m.Manager), advice)
		case m.Operation == metav1.ManagedFieldsOperationApply:
			return fmt.Sprintf("field manager %q applies it server-side, and %s", reach.Shown(m.Manager), advice)
		}
	}
	if keeper := o.MarkedBy(); keeper != "" {
		return fmt.Sprintf("%s keeps the %s, and %s", keeper, e.spec.Kind, advice)
	}
	return ""
}

// kinds are the names of kinds as objects bear them.
var kinds = map[string]string{workload.Deployment: "Deployment", workload.StatefulSet: "StatefulSet", workload.DaemonSet: "DaemonSet"}

func (e *env) write(ctx context.Context, s state, c change, gate func() error) (string, error) {
	if c.value == nil {
		return e.place.Write(ctx, s.workload, e.aspect(), c.fence, nil, gate)
	}
	type object = map[string]any
	at := fence.Annotation(e.aspect())
	fields := object{
		"apiVersion": "apps/v1", "kind": kinds[e.spec.Kind],
		"metadata": object{
			"name": e.spec.Workload, "namespace": e.spec.Namespace, "resourceVersion": s.version,
			"annotations": object{at: c.fence.String()},
		},
		"spec": object{"template": object{"spec": object{"containers": []object{
			{"name": e.spec.Container, "env": []object{{"name": e.spec.Name, "value": *c.value}}},
		}}}},
	}
	after := &workload.Object{Kind: e.spec.Kind}
	if err := e.place.API.Apply(ctx, e.place.Resource, e.place.Name, e.manager(), fields, e.place.Call("patch"), gate, after); err != nil {
		return "", err
	}
	if put, err := e.value(after); err != nil || put != *c.value || after.Annotations[at] != c.fence.String() {
		return "", errors.New("the API server accepted the value, and answered with another, or with another fence than ours")
	}
	return after.ResourceVersion, nil
}
