package rollout

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// behind puts a proxy before the API server, for the daemon's account.
func (c *world) behind() *servers.KubeProxy {
	c.t.Helper()
	p := c.Proxy()
	c.conf[servers.Daemon] = c.KubeconfigFor(servers.Daemon, p.URL)
	return p
}

// bare creates a pod of a controller that does nothing.
func (c *world) bare(name string) {
	c.t.Helper()
	yes := true
	_, err := c.admin.CoreV1().Pods("core").Create(c.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"app": "web"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "0", Controller: &yes}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:1"}}},
	}, metav1.CreateOptions{})
	c.must(err)
}

// evict is a step about one of the pods of an app.
func (c *world) evict(app, pod string) signalbox.Step {
	c.t.Helper()
	s := c.step(&Evict{Source: "cluster", Namespace: "core", Selector: "app=" + app, Label: "pod", Timeout: defaultTimeout}, "")
	s.About = &signalbox.About{Labels: map[string]string{"pod": pod}}
	return s
}

// bout is a write that can go wrong: its step, made anew, and whether its effect
// is there.
type bout struct {
	step func(i int) signalbox.Step
	done func(i int) bool
}

func (c *world) bouts() map[string]bout {
	pod := func(i int) string { return fmt.Sprintf("web-%d", i) }
	return map[string]bout{
		"pause": {
			func(int) signalbox.Step {
				c.patch("web", "kubectl", `{"spec":{"paused":false},"metadata":{"annotations":{"signalbox.io/fence.paused":null}}}`)
				return c.step(web(), movePaused)
			},
			func(int) bool { return c.deployment("web").Spec.Paused },
		},
		"evict": {
			func(i int) signalbox.Step { c.bare(pod(i)); return c.evict("web", pod(i)) },
			func(i int) bool {
				_, err := c.admin.CoreV1().Pods("core").Get(c.t.Context(), pod(i), metav1.GetOptions{})
				return apierrors.IsNotFound(err)
			},
		},
		"abort": {
			func(int) signalbox.Step {
				c.argoStatus(`{"abort":false}`)
				return c.step(&Workload{Source: "cluster", Namespace: "core", ArgoRollout: "web", Timeout: defaultTimeout}, moveAborted)
			},
			func(int) bool { return c.argo().Status.Abort },
		},
	}
}

// TestRealAnswers: after each answer that says that surely nothing was done,
// nothing was; every other one leaves a doubt, and what became of it is told as
// the class allows. In all there is one effect.
func TestRealAnswers(t *testing.T) {
	t.Parallel()
	c := newServer(t)
	c.create("web", 1)
	c.defineArgo()
	p := c.behind()
	writes := 0
	for name, b := range c.bouts() {
		for i, f := range servers.KubeFaults() {
			a := c.claim(b.step(i), signalbox.ActionID(fmt.Sprintf("%s-%d", name, i)), signalbox.Token(100*(i+1)))
			ctx, giveUp := context.WithCancel(t.Context())
			p.Break(f, func(r *http.Request) bool { return r.Method != http.MethodGet }, giveUp)
			_, err := c.r.Start(ctx, a)
			met := p.Mend()
			giveUp()
			var later *signalbox.RetryAfter
			switch {
			case err == nil || met == 0 || isFailure(err) != f.Refused || b.done(i) != f.Done || strings.Contains(err.Error(), "Bearer"):
				t.Errorf("%s, %s: got %v after %d requests, done: %t", name, f.Name, err, met, b.done(i))
				continue
			case f.After > 0 && (!errors.As(err, &later) || later.After != f.After):
				t.Errorf("%s, %s: got %v, want to be told to wait for %s", name, f.Name, err, f.After)
			}
			if f.Done {
				writes++
			}
			if !f.Refused {
				writes += c.settled(name+", "+f.Name, a, f.Done, func() bool { return b.done(i) })
			}
		}
	}
	c.awaitWrites(writes)
}

// settled settles a doubt as the engine does, and returns how many writes that
// took.
func (c *world) settled(what string, a signalbox.Action, effect bool, done func() bool) (writes int) {
	c.t.Helper()
	before, after := signalbox.InDoubt, signalbox.NotStarted
	if effect {
		before, after = signalbox.Succeeded, signalbox.Succeeded
	}
	a.Stage = signalbox.Doubt
	if p := c.probe(a); p.Phase != before {
		c.t.Errorf("%s: a look at once: %+v, want %s", what, p, before)
	}
	if a.Forecast.Class == signalbox.ClassA {
		a.Sealed = a.Token + 5
		c.must(c.r.Seal(c.t.Context(), a, a.Sealed))
	} else if err := c.r.Seal(c.t.Context(), a, a.Token+5); err == nil {
		c.t.Errorf("%s: class C was sealed", what)
	}
	now := c.now
	c.now = now.Add(sendBound + evictLatency + time.Second)
	if p := c.probe(a); p.Phase != after {
		c.t.Errorf("%s: a look when it must be over: %+v, want %s", what, p, after)
	}
	c.now = now
	if a.Forecast.Class != signalbox.ClassA {
		return 0
	}
	c.start(a)
	if p := c.probe(a); p.Phase != signalbox.Succeeded || !done() {
		c.t.Errorf("%s: again: %+v", what, p)
	}
	if effect {
		return 0
	}
	return 2 // the seal, and then the effect
}

// TestRealUnreached: what can't be read says nothing of an action, and what was
// not sent had surely no effect.
func TestRealUnreached(t *testing.T) {
	t.Parallel()
	c := newServer(t)
	c.create("web", 1)
	c.defineArgo()
	p := c.behind()
	for name, b := range c.bouts() {
		a := c.claim(b.step(99), signalbox.ActionID(name), 10)
		for _, f := range servers.KubeFaults() {
			if f.Done || name == "evict" && f.Name == "404 NotFound" { // it says that the pod is gone
				continue
			}
			look, giveUp := context.WithCancel(t.Context())
			p.Break(f, func(r *http.Request) bool { return r.Method == http.MethodGet }, giveUp)
			forecast, err := c.r.Preview(look, a.Step)
			if (err == nil) != (forecast.Refused != "") || strings.Contains(fmt.Sprint(forecast.Refused, err), "Bearer") {
				t.Errorf("%s, %s: the preview refused for %q, %v", name, f.Name, forecast.Refused, err)
			}
			if progress, err := c.r.Probe(look, a); err == nil && progress.Phase != signalbox.InDoubt {
				t.Errorf("%s, %s: the probe is sure: %+v", name, f.Name, progress)
			}
			if _, err := c.r.Start(look, a); !isFailure(err) {
				t.Errorf("%s, %s: nothing was sent: %v", name, f.Name, err)
			}
			doubt := a
			doubt.Stage = signalbox.Doubt
			if _, err := c.r.Start(look, doubt); err == nil || isFailure(err) {
				t.Errorf("%s, %s: an earlier attempt may still come through: %v", name, f.Name, err)
			}
			p.Mend()
			giveUp()
		}
		held := a
		held.Gate = func() error { return errors.New("killed") }
		if _, err := c.r.Start(t.Context(), held); !isFailure(err) || !strings.Contains(err.Error(), "killed") {
			t.Errorf("%s: the gate: %v", name, err)
		}
		gone := a // the server is away between the last look and the write
		ctx, cancel := context.WithCancel(t.Context())
		gone.Gate = func() error { cancel(); return nil }
		if _, err := c.r.Start(ctx, gone); !isFailure(err) || b.done(99) {
			t.Errorf("%s: its context ended: %v", name, err)
		}
	}
	c.awaitWrites(0)
}

// TestRealReplacedPod: a pod that its StatefulSet made anew under the same name
// is another one, and is left alone.
func TestRealReplacedPod(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	queue := c.statefulSet()
	queue.create("1", 1)
	queue.settle("1", 1)
	pods := c.admin.CoreV1().Pods("core")
	replace := func() (uid types.UID) {
		t.Helper()
		was, err := pods.Get(t.Context(), "queue-0", metav1.GetOptions{})
		c.must(err)
		c.must(pods.Delete(t.Context(), "queue-0", metav1.DeleteOptions{}))
		servers.Await(t, servers.Patience, "another queue-0", func(ctx context.Context) error {
			p, err := pods.Get(ctx, "queue-0", metav1.GetOptions{})
			if err == nil && p.UID == was.UID {
				err = errors.New("the same pod")
			}
			uid = was.UID
			if err == nil {
				uid = p.UID
			}
			return err
		})
		return uid
	}
	for at, want := range map[string]string{"before the look": "another pod has the name since the preview", "after the look": "the pod is another"} {
		a := c.claim(c.evict("queue", "queue-0"), signalbox.ActionID(at), 10)
		var uid types.UID
		if at == "before the look" {
			uid = replace()
		} else {
			a.Gate = func() error { uid = replace(); return nil }
		}
		if _, err := c.r.Start(t.Context(), a); !isFailure(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", at, err)
		}
		if p, err := pods.Get(t.Context(), "queue-0", metav1.GetOptions{}); err != nil || p.UID != uid || p.DeletionTimestamp != nil {
			t.Errorf("%s: the new pod was evicted: %v", at, err)
		}
	}
	c.awaitWrites(0)
}
