package rollout

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/workload"
	"github.com/signalbox/signalbox/test/servers"
)

// keeper is a workload whose revisions are ControllerRevisions, two pods of it.
type keeper struct {
	*world

	tool   Workload
	create func(image string, pods int32)
	patch  func(body string)
	// state is the present template, and what of the workload is not as it
	// should be.
	state func(ctx context.Context, image string, pods int32) (corev1.PodTemplateSpec, error)
}

func app(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "queue"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:" + image}}},
	}
}

func runs(t corev1.PodTemplateSpec, image string) error {
	if got := t.Spec.Containers[0].Image; got != "registry.example/app:"+image {
		return fmt.Errorf("its image is %s", got)
	}
	return nil
}

func (c *world) statefulSet() *keeper {
	in := c.admin.AppsV1().StatefulSets("core")
	return &keeper{
		world: c, tool: Workload{Source: "cluster", Namespace: "core", StatefulSet: "queue", Timeout: defaultTimeout},
		create: func(image string, pods int32) {
			_, err := in.Create(c.t.Context(), &appsv1.StatefulSet{
				ObjectMeta: metav1.ObjectMeta{Name: "queue"},
				Spec:       appsv1.StatefulSetSpec{Replicas: &pods, ServiceName: "queue", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "queue"}}, Template: app(image)},
			}, metav1.CreateOptions{})
			c.must(err)
		},
		patch: func(body string) {
			_, err := in.Patch(c.t.Context(), "queue", types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{})
			c.must(err)
		},
		state: func(ctx context.Context, image string, pods int32) (corev1.PodTemplateSpec, error) {
			s, err := in.Get(ctx, "queue", metav1.GetOptions{})
			if err == nil && (s.Status.ObservedGeneration < s.Generation || s.Status.CurrentRevision != s.Status.UpdateRevision || s.Status.AvailableReplicas != pods) {
				err = fmt.Errorf("status %+v", s.Status)
			}
			if err == nil {
				err = runs(s.Spec.Template, image)
			}
			return s.Spec.Template, err
		},
	}
}

func (c *world) daemonSet() *keeper {
	in := c.admin.AppsV1().DaemonSets("core")
	return &keeper{
		world: c, tool: Workload{Source: "cluster", Namespace: "core", DaemonSet: "queue", Timeout: defaultTimeout},
		create: func(image string, pods int32) {
			for i := range pods {
				name := fmt.Sprintf("worker-%d", i)
				_, err := c.admin.CoreV1().Nodes().Create(c.t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
				c.must(err)
				_, err = c.admin.CoreV1().Nodes().Patch(c.t.Context(), name, types.MergePatchType, []byte(`{"spec":{"taints":null}}`), metav1.PatchOptions{}) // it is ready
				c.must(err)
			}
			_, err := in.Create(c.t.Context(), &appsv1.DaemonSet{
				ObjectMeta: metav1.ObjectMeta{Name: "queue"},
				Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "queue"}}, Template: app(image)},
			}, metav1.CreateOptions{})
			c.must(err)
		},
		patch: func(body string) {
			_, err := in.Patch(c.t.Context(), "queue", types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{})
			c.must(err)
		},
		state: func(ctx context.Context, image string, pods int32) (corev1.PodTemplateSpec, error) {
			d, err := in.Get(ctx, "queue", metav1.GetOptions{})
			if err == nil && (d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedNumberScheduled != pods || d.Status.NumberAvailable != pods) {
				err = fmt.Errorf("status %+v", d.Status)
			}
			if err == nil {
				err = runs(d.Spec.Template, image)
			}
			return d.Spec.Template, err
		},
	}
}

// settle lets pods come until all of them run an image.
func (k *keeper) settle(image string, pods int32) {
	k.t.Helper()
	servers.Await(k.t, servers.Patience, "image "+image, func(ctx context.Context) error {
		if err := servers.RunPods(ctx, k.admin, "core"); err != nil {
			return err
		}
		_, err := k.state(ctx, image, pods)
		return err
	})
}

func (k *keeper) image(v string) {
	k.t.Helper()
	k.patch(fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.example/app:%s"}]}}}}`, v))
	k.settle(v, 2)
}

func (k *keeper) to(move string, revision int64) signalbox.Step {
	k.t.Helper()
	tool := k.tool
	tool.Revision = revision
	return k.step(&tool, move)
}

// TestRealRevisions: a StatefulSet and a DaemonSet are restarted to the end and
// taken back, to what ran before and to a revision that is named.
func TestRealRevisions(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(*world) *keeper{"statefulset": (*world).statefulSet, "daemonset": (*world).daemonSet} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			k := of(c)
			k.create("1", 2)
			k.settle("1", 2)
			k.image("2")
			k.image("3")
			for i, move := range []struct {
				to       string
				revision int64
				image    string
			}{{moveRestarted, 0, "3"}, {movePrevious, 0, "2"}, {movePrevious, 1, "1"}} {
				a := c.claim(k.to(move.to, move.revision), signalbox.ActionID(fmt.Sprint("a", i)), signalbox.Token(10*(i+1)))
				c.start(a)
				c.start(a)
				if p := c.probe(a); p.Phase != signalbox.Running || a.Forecast.Undo != nil {
					t.Errorf("%+v: at once: %+v", move, p)
				}
				c.awaitDone(a)
				template, err := k.state(t.Context(), move.image, 2)
				if by := template.Annotations[workload.RestartedBy]; err != nil || (move.to == moveRestarted) != (by == string(a.ID)) {
					t.Errorf("%+v: %v, restarted by %q", move, err, by)
				}
			}
			c.awaitWrites(3)
			k.refusals()
			c.awaitWrites(3)
		})
	}
}

// refusals are the moves that its workload can't take; it runs image 1.
func (k *keeper) refusals() {
	k.t.Helper()
	refused := func(s signalbox.Step, want string) {
		k.t.Helper()
		if f := k.preview(s); !strings.Contains(f.Refused, want) || f.Undo != nil {
			k.t.Errorf("refused for %q, want %q", f.Refused, want)
		}
	}
	refused(k.to(movePaused, 0), `move "paused" is not one of a `)
	refused(k.to(moveAborted, 0), `move "aborted" is not one of a `)
	refused(k.to(movePrevious, 77), "revision 77 is not kept (revisionHistoryLimit)")
	refused(k.to(movePrevious, 6), "revision 6 is what runs")
	late := k.claim(k.to(moveRestarted, 0), "late", 90)
	k.patch(`{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null}}}`)
	refused(k.to(moveRestarted, 0), "its updateStrategy is OnDelete, so that nothing would be replaced")
	if _, err := k.r.Start(k.t.Context(), late); !isFailure(err) || !strings.Contains(err.Error(), "OnDelete") {
		k.t.Errorf("since the preview it became OnDelete: %v", err)
	}
	if k.tool.StatefulSet != "" {
		k.patch(`{"spec":{"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":1}}}}`)
		refused(k.to(movePrevious, 0), "its updateStrategy has partition 1, so that not all would be replaced")
	}
}

// TestRealScaledStatefulSet: a count is there when its pods are available, and
// not as soon as they are ready (minReadySeconds).
func TestRealScaledStatefulSet(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	k := c.statefulSet()
	k.create("1", 1)
	k.settle("1", 1)
	k.tool.Replicas = map[string]int32{"one": 1, "two": 2}
	a := c.claim(k.to("two", 0), "a1", 10)
	c.start(a)
	k.settle("1", 2)
	k.patch(`{"spec":{"minReadySeconds":86400}}`) // the pods say that they are ready for a minute
	servers.Await(t, servers.Patience, "pods that are ready, and not available", func(ctx context.Context) error {
		s, err := c.admin.AppsV1().StatefulSets("core").Get(ctx, "queue", metav1.GetOptions{})
		if err == nil && (s.Status.ReadyReplicas != 2 || s.Status.AvailableReplicas != 0 || s.Status.ObservedGeneration < s.Generation) {
			err = fmt.Errorf("status %+v", s.Status)
		}
		return err
	})
	if p := c.probe(a); p.Phase != signalbox.Running || !strings.Contains(p.Reason, "0 of 2 pods are available") {
		t.Errorf("its pods are ready, and not available: %+v", p)
	}
	k.patch(`{"spec":{"minReadySeconds":0}}`)
	c.awaitDone(a)
	u := c.claim(*a.Forecast.Undo, "u1", 20)
	u.Undoes = a.ID
	c.start(u)
	c.awaitDone(u)
	if n, err := c.admin.AppsV1().StatefulSets("core").Get(t.Context(), "queue", metav1.GetOptions{}); err != nil || *n.Spec.Replicas != 1 || u.Step.To != "one" {
		t.Errorf("restored to %v, %s", n.Spec.Replicas, u.Step.To)
	}
	c.awaitWrites(2)
}
