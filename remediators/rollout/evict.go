package rollout

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// eviction asks the API server to end one pod.
type eviction struct {
	now  func() time.Time
	spec spec
	api  *reach.Objects
}

// evictLatency is the longest that an eviction that was sent may take until the
// pod shows it.
const evictLatency = 30 * time.Second

func (e *eviction) resource(plural string) reach.Resource {
	return reach.Resource{Version: "v1", Plural: plural, Namespace: e.spec.Namespace}
}

func (e *eviction) place(name string) place {
	return place{API: e.api, Kind: "pod", Name: name, Resource: e.resource("pods")}
}

// found is the pod as a Forecast tells it.
func found(p *corev1.Pod) string { return fmt.Sprintf("pod %s with uid %s", p.Name, p.UID) }

func (e *eviction) pod(ctx context.Context, s signalbox.Step) (*corev1.Pod, place, error) {
	name, err := chosen(*e.spec.Evict, s, "pod")
	if err != nil {
		return nil, place{}, reach.Refused("tool %q: %v", s.Name, err)
	}
	p := e.place(name)
	var pod corev1.Pod
	if err := e.api.Get(ctx, p.Resource, name, p.Call("get"), &pod); err != nil {
		return nil, p, err
	}
	return &pod, p, nil
}

func (e *eviction) preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f := signalbox.Forecast{
		At: e.now(), Class: signalbox.ClassC, Latency: signalbox.Duration(evictLatency),
		Takes: signalbox.Duration(e.spec.Timeout.Std() + time.Minute),
		// Two pods of one selector are not evicted at once.
		Targets: []signalbox.Target{signalbox.Target(fmt.Sprintf("pods %s %s", e.spec.Namespace, e.spec.Evict.Selector))},
	}
	pod, p, err := e.pod(ctx, s)
	if err == nil {
		f.Targets = append(f.Targets, p.Target())
		f.Found, f.Version, f.Reach = found(pod), pod.ResourceVersion, fmt.Sprintf("the pod %s in namespace %s, which its controller replaces", p.Name, e.spec.Namespace)
		f.Refused, err = e.obstacle(ctx, p, pod)
	}
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		f.Refused = failure.Error()
		return f, nil
	}
	if err != nil {
		return signalbox.Forecast{}, fmt.Errorf("tool %q: %w", s.Name, err)
	}
	return f, nil
}

// obstacle says why a pod must not be evicted.
func (e *eviction) obstacle(ctx context.Context, p place, pod *corev1.Pod) (string, error) {
	if why := e.unfit(pod); why != "" {
		return why, nil
	}
	if !e.api.May(ctx, "create", p.Resource, p.Name, "eviction") {
		return p.Grant("create", p.Resource, "eviction"), nil
	}
	return e.budget(ctx, p, pod)
}

func (e *eviction) unfit(pod *corev1.Pod) string {
	switch {
	case !e.spec.Evict.matches(pod.Labels):
		return fmt.Sprintf("pod %s is not one of those that may be evicted: the selector is %s", pod.Name, e.spec.Evict.Selector)
	case metav1.GetControllerOf(pod) == nil:
		return fmt.Sprintf("pod %s has no controller that would replace it", pod.Name)
	case pod.DeletionTimestamp != nil:
		return fmt.Sprintf("pod %s is ending already", pod.Name)
	}
	return ""
}

// budget says which PodDisruptionBudget lets the pod not be evicted now. The API
// server is the judge; this only tells before, by the same rules: a pod that
// does not run is evicted whatever its budget, and none that two budgets select.
func (e *eviction) budget(ctx context.Context, p place, pod *corev1.Pod) (string, error) {
	if pod.Status.Phase != corev1.PodRunning {
		return "", nil
	}
	where := reach.Resource{Group: "policy", Version: "v1", Plural: "poddisruptionbudgets", Namespace: e.spec.Namespace}
	var list policyv1.PodDisruptionBudgetList
	call := reach.Call{Target: string(p.Target()), Verb: "list " + where.Plural, Grant: p.Grant("list", where, ""), Missing: "budgets can't be listed"}
	if err := e.api.List(ctx, where, "", call, &list); err != nil {
		return refusal(err)
	}
	var of []*policyv1.PodDisruptionBudget
	for i := range list.Items {
		if s, err := metav1.LabelSelectorAsSelector(list.Items[i].Spec.Selector); err == nil && s.Matches(labels.Set(pod.Labels)) {
			of = append(of, &list.Items[i])
		}
	}
	switch len(of) {
	case 0:
		return "", nil
	case 1:
		return exhausted(of[0], pod), nil
	}
	return fmt.Sprintf("the PodDisruptionBudgets %s and %s select it, and the API server evicts no pod of two: leave one of them", of[0].Name, of[1].Name), nil
}

// exhausted says that a budget allows nothing now; empty: it does. A pod that is
// not ready is evicted while enough others are: nothing is taken from them.
func exhausted(b *policyv1.PodDisruptionBudget, pod *corev1.Pod) string {
	st, always := b.Status, b.Spec.UnhealthyPodEvictionPolicy
	switch {
	case st.DisruptionsAllowed > 0, st.ObservedGeneration < b.Generation:
		return ""
	case ready(pod):
	case always != nil && *always == policyv1.AlwaysAllow, st.CurrentHealthy >= st.DesiredHealthy && st.DesiredHealthy > 0:
		return ""
	}
	return fmt.Sprintf("not now: PodDisruptionBudget %s allows no disruption (%d healthy, %d must be)", b.Name, st.CurrentHealthy, st.DesiredHealthy)
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// refusal tells a definite answer from one that says nothing.
func refusal(err error) (string, error) {
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		return failure.Error(), nil
	}
	return "", err
}

func (e *eviction) start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	pod, p, err := e.pod(ctx, a.Step)
	switch {
	case err != nil:
		return signalbox.Receipt{}, reach.Unsent(err)
	case found(pod) != a.Forecast.Found:
		return signalbox.Receipt{}, reach.Refused("tool %q: another pod has the name since the preview: it was %s, now it is %s", a.Step.Name, a.Forecast.Found, found(pod))
	}
	if why := e.unfit(pod); why != "" {
		return signalbox.Receipt{}, reach.Refused("tool %q: %s", a.Step.Name, why)
	}
	// With the version the API server answers at once when the pod is another: it
	// tries a conflict about the uid alone again, for ten seconds.
	uid, version := pod.UID, pod.ResourceVersion
	body := policyv1.Eviction{
		TypeMeta:      metav1.TypeMeta{APIVersion: "policy/v1", Kind: "Eviction"},
		ObjectMeta:    metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}},
	}
	call := p.Call("evict")
	call.Grant = p.Grant("create", p.Resource, "eviction")
	err = e.api.Create(ctx, p.Resource, pod.Name, "eviction", body, call, a.Gate, nil)
	if err != nil {
		return signalbox.Receipt{}, notNow(a, err)
	}
	return signalbox.Receipt{At: e.now(), Version: pod.ResourceVersion, Detail: fmt.Sprintf("%s: evicted", p.Target())}, nil
}

// notNow says what a refused eviction means: that a budget forbids it now, or
// that the pod is another.
func notNow(a signalbox.Action, err error) error {
	switch {
	case errors.Is(err, reach.ErrConflict):
		return reach.Refused("tool %q: the pod is another, or changed since the look", a.Step.Name)
	case reach.Caused(err, policyv1.DisruptionBudgetCause):
		return &signalbox.Failure{Reason: "not now: a PodDisruptionBudget allows no disruption", Err: err}
	case reach.Code(err) == http.StatusTooManyRequests:
		return &signalbox.Failure{Reason: "not now: the API server takes no more requests", Err: err}
	}
	return err
}

// probe reads whether the pod with the uid that was found is there.
func (e *eviction) probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	pod, p, err := e.pod(ctx, a.Step)
	gone := func(detail string) (signalbox.Progress, error) {
		return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{At: e.now(), Detail: fmt.Sprintf("%s: %s", p.Target(), detail)}}, nil
	}
	switch {
	case reach.Absent(err):
		return gone("it is gone")
	case err != nil:
		return signalbox.Progress{}, err
	case found(pod) != a.Forecast.Found:
		return gone("it is gone, and another has its name")
	case pod.DeletionTimestamp != nil && e.now().After(a.ClaimedAt.Add(e.spec.Timeout.Std())):
		why := fmt.Sprintf("%s: it was evicted, and has not ended after %s", p.Target(), e.spec.Timeout)
		return signalbox.Progress{Phase: signalbox.Fell, Reason: why, Receipt: signalbox.Receipt{At: e.now(), Version: pod.ResourceVersion, Detail: why}}, nil
	case pod.DeletionTimestamp != nil:
		return signalbox.Progress{Phase: signalbox.Running, Reason: "the pod is ending"}, nil
	case e.now().Before(a.ClaimedAt.Add(evictLatency + sendBound)):
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "the pod runs; an eviction may be under way"}, nil
	}
	return signalbox.Progress{Phase: signalbox.NotStarted, Reason: "the pod runs, longer after the last moment of sending than an eviction takes"}, nil
}

// sendBound is the longest after its claim that a Start is believed to send.
const sendBound = time.Minute

func (e *eviction) seal(context.Context, signalbox.Action, signalbox.Token) error {
	return errors.New("can't be sealed: an eviction has no place for a fence (class C)")
}
