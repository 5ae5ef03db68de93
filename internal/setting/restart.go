package setting

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/workload"
)

// What reads a ConfigMap at its start only is restarted after the value was
// written: each workload listed, one after another, each followed to its end.
// Start writes the value, Continue the restarts. A fence on each workload says
// whether the action restarted it, so that whoever leads goes on from there.

// aspectRestart is what the fence of a restart is of.
const aspectRestart = "restart"

// mostRestarts bounds the workloads of a switch.
const mostRestarts = 10

// Restart is a workload that reads the switch at its start only.
type Restart struct {
	// Namespace is where the workload is; absent: that of the ConfigMap.
	Namespace string `yaml:"namespace,omitempty" json:"namespace,omitempty"`
	// Deployment is the name of the Deployment; exactly one kind of workload is given.
	Deployment string `yaml:"deployment,omitempty" json:"deployment,omitempty"`
	// StatefulSet is the name of the StatefulSet.
	StatefulSet string `yaml:"statefulset,omitempty" json:"statefulset,omitempty"`
	// DaemonSet is the name of the DaemonSet.
	DaemonSet string `yaml:"daemonset,omitempty" json:"daemonset,omitempty"`
	// Timeout is how long it may take until its pods are replaced, with what it waits for before.
	Timeout kind.Duration `yaml:"timeout,omitempty" json:"timeout,omitzero" jsonschema:"default=10m"`
	// AllowOutage lets it be restarted also where all pods may be gone at once meanwhile.
	AllowOutage bool `yaml:"allow_outage,omitempty" json:"allow_outage,omitempty"`
}

func (r *Restart) workload() (kindName, name string, given int) {
	return (&Env{Deployment: r.Deployment, StatefulSet: r.StatefulSet, DaemonSet: r.DaemonSet}).workload()
}

func checkRestarts(c *ConfigMap, fail kind.Fail) {
	list := c.Restart
	if len(list) > mostRestarts {
		fail("restart", fmt.Sprintf("must list at most %d workloads", mostRestarts), len(list))
	}
	seen := map[string]bool{}
	for i := range list {
		r, at := &list[i], fmt.Sprintf("restart[%d]", i)
		kindName, name, given := r.workload()
		which := cmp.Or(r.Namespace, c.Namespace) + "/" + kindName + "/" + name
		switch {
		case given != 1:
			fail(at, "must have exactly one of deployment, statefulset and daemonset", given)
		case len(validation.IsDNS1123Subdomain(name)) > 0:
			fail(at+"."+kindName, "must be the name of a workload (lower-case letters, digits, '-' and '.', at most 253)", name)
		case seen[which]:
			fail(at, "must not list a workload twice", name)
		}
		seen[which] = true
		if r.Namespace != "" && len(validation.IsDNS1123Label(r.Namespace)) > 0 {
			fail(at+".namespace", "must be the name of a namespace (lower-case letters, digits and '-', at most 63)", r.Namespace)
		}
		if d := r.Timeout.Std(); d != 0 && (d < leastTimeout || d > mostTimeout) {
			fail(at+".timeout", fmt.Sprintf("must be between %s and %s", leastTimeout, mostTimeout), r.Timeout.String())
		}
	}
}

type restartSpec struct {
	Namespace   string        `json:"namespace"`
	Kind        string        `json:"kind"`
	Workload    string        `json:"workload"`
	Timeout     kind.Duration `json:"timeout"`
	AllowOutage bool          `json:"allow_outage,omitempty"`
}

func resolveRestarts(c *ConfigMap) (list []restartSpec) {
	for i := range c.Restart {
		r := &c.Restart[i]
		s := restartSpec{Namespace: cmp.Or(r.Namespace, c.Namespace), Timeout: cmp.Or(r.Timeout, defaultTimeout), AllowOutage: r.AllowOutage}
		s.Kind, s.Workload, _ = r.workload()
		list = append(list, s)
	}
	return list
}

// restarts are those that a step's write is followed by.
func (s spec) restarts() []restartSpec {
	if s.ConfigMap == nil {
		return nil
	}
	return s.ConfigMap.Restart
}

// within is how long the restarts may take in all.
func (s spec) within() (d time.Duration) {
	for _, r := range s.restarts() {
		d += r.Timeout.Std()
	}
	return d
}

// places are where the workloads are that are restarted.
func (r *remediator) places(sp spec) ([]workload.Place, error) {
	list := sp.restarts()
	if len(list) == 0 {
		return nil, nil
	}
	k, err := r.clients.Cluster(cluster.Access{Kubeconfig: sp.ConfigMap.Kubeconfig, InCluster: sp.ConfigMap.InCluster})
	if err != nil {
		return nil, err
	}
	api, err := k.Objects()
	if err != nil {
		return nil, err
	}
	places := make([]workload.Place, len(list))
	for i, s := range list {
		places[i] = workload.At(api, s.Kind, s.Namespace, s.Workload)
	}
	return places, nil
}

// foresee adds the restarts to what a Preview tells, and says why one could not
// be made.
func (r *remediator) foresee(ctx context.Context, sp spec, f *signalbox.Forecast) (refused string, err error) {
	places, err := r.places(sp)
	if err != nil || len(places) == 0 {
		return "", err
	}
	f.Takes = signalbox.Duration(sp.within() + lastLook)
	f.Reach = "key " + sp.ConfigMap.Key + " of ConfigMap " + sp.ConfigMap.Name + ", and every pod of"
	for i, p := range places {
		f.Targets = append(f.Targets, p.Target())
		f.Reach += map[bool]string{true: ", then ", false: " "}[i > 0] + string(p.Target())
	}
	for i, p := range places {
		o, err := p.Read(ctx)
		if err != nil {
			return definite(err)
		}
		if why := unrestartable(o, sp.restarts()[i]); why != "" {
			return fmt.Sprintf("%s could not be restarted: %s", p.Target(), why), nil
		}
		if !p.API.May(ctx, "patch", p.Resource, p.Name, "") {
			return p.Grant("patch", p.Resource, ""), nil
		}
		if _, err := budget(ctx, p, o); err != nil {
			return definite(err)
		}
	}
	return "", nil
}

// definite tells an answer that is one from one that says nothing.
func definite(err error) (string, error) {
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		return failure.Error(), nil
	}
	return "", err
}

// unrestartable says why a workload could not be restarted whatever is waited
// for; empty: it could.
func unrestartable(o *workload.Object, s restartSpec) string {
	switch {
	case o.DeletionTimestamp != nil:
		return "it is being deleted"
	case o.Unfit() != "":
		return o.Unfit()
	case !s.AllowOutage && o.Outage() != "":
		return o.Outage() + ": give it another strategy, or allow_outage: true"
	}
	return ""
}

// waits says what a restart waits for: another's rollout, or a disruption budget.
// Replacing pods by their controller does not ask a budget, so we do.
func waits(ctx context.Context, p workload.Place, o *workload.Object) (string, error) {
	if rolling := o.Rolling(); rolling != "" {
		return "a rollout of it is under way: " + rolling, nil
	}
	return budget(ctx, p, o)
}

// budget names the PodDisruptionBudget of a workload's pods that allows no
// disruption now.
func budget(ctx context.Context, p workload.Place, o *workload.Object) (string, error) {
	where := reach.Resource{Group: "policy", Version: "v1", Plural: "poddisruptionbudgets", Namespace: p.Resource.Namespace}
	call := reach.Call{Target: string(p.Target()), Verb: "list " + where.Plural, Grant: p.Grant("list", where, ""), Missing: "budgets can't be listed"}
	var list policyv1.PodDisruptionBudgetList
	if err := p.API.List(ctx, where, "", call, &list); err != nil {
		return "", err
	}
	var pods struct {
		Labels map[string]string `json:"labels"`
	}
	if err := decode(o.Spec.Template["metadata"], &pods); err != nil {
		return "", reach.Refused("%s: its pod template can't be read", p.Target())
	}
	for i := range list.Items {
		b := &list.Items[i]
		s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil || !s.Matches(labels.Set(pods.Labels)) {
			continue
		}
		if b.Status.ObservedGeneration < b.Generation {
			return fmt.Sprintf("PodDisruptionBudget %s has not been counted yet", b.Name), nil
		}
		if b.Status.DisruptionsAllowed == 0 && o.Replicas() > 0 {
			return fmt.Sprintf("PodDisruptionBudget %s allows no disruption now (%d of %d healthy)", b.Name, b.Status.CurrentHealthy, b.Status.DesiredHealthy), nil
		}
	}
	return "", nil
}

// restarting tells how far the restarts have come after the value was written.
func (r *remediator) restarting(ctx context.Context, a signalbox.Action, sp spec, st state, done signalbox.Progress) (signalbox.Progress, error) {
	places, err := r.places(sp)
	if err != nil {
		return signalbox.Progress{}, err
	}
	by := a.ClaimedAt
	for i, p := range places {
		by = by.Add(sp.restarts()[i].Timeout.Std())
		o, err := p.Read(ctx)
		if err != nil {
			return signalbox.Progress{}, err
		}
		left, failed, next, err := restarted(ctx, a, p, o)
		if err != nil {
			return signalbox.Progress{}, err
		}
		if failed == "" && left != "" && r.now().After(by) {
			failed = fmt.Sprintf("not by %s: %s", by.UTC().Format(time.TimeOnly+"Z"), left)
		}
		switch {
		case failed != "":
			return r.fell(a, st, fmt.Sprintf("%s; the restart of %s did not come about: %s; what comes after it was left alone", done.Receipt.Detail, p.Target(), failed)), nil
		case left != "":
			return signalbox.Progress{Phase: signalbox.Running, Next: next, Reason: fmt.Sprintf("%s; %s: %s", done.Receipt.Detail, p.Target(), left)}, nil
		}
	}
	if len(places) > 0 {
		done.Receipt.Detail += fmt.Sprintf(", and %d workloads were restarted", len(places))
	}
	return done, nil
}

// restarted says of one workload what is left until the action has restarted it,
// and whether that is for us to write.
func restarted(ctx context.Context, a signalbox.Action, p workload.Place, o *workload.Object) (left, failed string, next bool, err error) {
	f, blocked := p.Fence(o, aspectRestart)
	switch {
	case blocked != "":
		return "", blocked, false, nil
	case f.Action == a.ID:
		left, failed = o.Left()
		return left, failed, false, nil
	case f.Ahead(a) != "":
		return "", f.Ahead(a), false, nil
	}
	why, err := waits(ctx, p, o)
	if err != nil || why != "" {
		return "waits: " + why, "", false, err
	}
	return "to be restarted", "", true, nil
}

// restartNext restarts the first workload that the action has not restarted, if
// those before it are done and nothing holds it.
func (r *remediator) restartNext(ctx context.Context, a signalbox.Action, sp spec) error {
	places, err := r.places(sp)
	if err != nil {
		return err
	}
	for i, p := range places {
		o, err := p.Read(ctx)
		if err != nil {
			return reach.Unsent(err)
		}
		left, failed, next, err := restarted(ctx, a, p, o)
		switch {
		case err != nil:
			return reach.Unsent(err)
		case failed != "" || left != "" && !next:
			return nil
		case next:
			return r.restart(ctx, a, p, sp.restarts()[i])
		}
	}
	return nil
}

// restart writes the annotation of a restart with its fence, if it is still to be
// written: whoever else did meanwhile has changed the version.
func (r *remediator) restart(ctx context.Context, a signalbox.Action, p workload.Place, s restartSpec) error {
	_, err := fence.Writing[*workload.Object]{
		Name: fmt.Sprintf("switch %q: restart of %s", a.Step.Name, p.Target()),
		Look: p.Read,
		Judge: func(o *workload.Object, _ bool) (receipt signalbox.Receipt, done bool, err error) {
			left, failed, next, err := restarted(ctx, a, p, o)
			if err != nil {
				return receipt, false, reach.Unsent(err)
			}
			if why := unrestartable(o, s); next && why != "" {
				return receipt, false, reach.Refused("%s: %s", p.Target(), why)
			}
			if failed != "" {
				return receipt, false, reach.Refused("%s: %s", p.Target(), failed)
			}
			return receipt, !next || left == "", nil
		},
		Put: func(ctx context.Context, o *workload.Object) (signalbox.Receipt, error) {
			ops, value := o.Restart(a.ID, r.now())
			f := fence.Written(a, value, o.Spec.Template.Value())
			f.Standing = false // nothing is left to take back
			_, err := p.Write(ctx, o, aspectRestart, f, ops, a.Gate)
			return signalbox.Receipt{}, err
		},
	}.Do(ctx)
	return err
}
