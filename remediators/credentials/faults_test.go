package credentials

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// bout is a write that can go wrong: made as new, and whether its effect is there.
type bout struct {
	backend, to string
	renew       func()
	done        func() bool
	// once: an effect can't be made undone, so that only faults without one are
	// tried.
	once bool
}

func (c *company) there(name string) bool {
	c.t.Helper()
	_, err := c.admin.CoreV1().Secrets("core").Get(c.t.Context(), name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		c.must(err)
	}
	return err == nil
}

func (c *company) bouts() []bout {
	in := c.install()
	c.file("psp-key.yaml", sealedText("AgNew"))
	sealed := func() string {
		o, err := in.Get(c.t.Context(), "psp-key", metav1.GetOptions{})
		c.must(err)
		value, _, err := unstructured.NestedString(o.Object, "spec", "encryptedData", "key")
		c.must(err)
		return value
	}
	replaced := false
	return []bout{
		{
			backend: "kubernetes_token", to: moveRotated, done: func() bool { return c.there("ci-token-2") },
			renew: func() {
				if c.there("ci-token-2") {
					c.must(c.admin.CoreV1().Secrets("core").Delete(c.t.Context(), "ci-token-2", metav1.DeleteOptions{}))
				}
			},
		},
		{
			backend: "sealed_secret", to: moveRotated, done: func() bool { return sealed() == "AgNew" },
			renew: func() {
				body := fmt.Sprintf(`{"metadata":{"annotations":{%q:null}},"spec":{"encryptedData":{"key":"AgOld"}}}`, annotationFence)
				_, err := in.Patch(c.t.Context(), "psp-key", types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "kubectl-create"})
				c.must(err)
			},
		},
		{
			backend: "kubernetes_token", to: moveRevoked, done: func() bool { return !c.there("ci-token") }, once: true,
			renew: func() {
				if replaced {
					return
				}
				replaced = true
				c.must(c.admin.CoreV1().Secrets("core").Delete(c.t.Context(), "ci-token-2", metav1.DeleteOptions{}))
				c.start(c.claim(c.step("kubernetes_token", moveRotated), "replaced", 1))
				c.fill()
				c.nextSecond()
				c.deployer("deployer-new", "ci-token-2")
				c.removePod("deployer-old")
			},
		},
	}
}

// TestRealAnswers: after each answer that says that surely nothing was done,
// nothing was; every other one leaves a doubt, and what became of it is told as
// the class allows. Neither the value nor the daemon's own token is said.
func TestRealAnswers(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.leak()
	c.deployer("deployer-old", "ci-token")
	p := c.Proxy()
	c.conf = c.KubeconfigFor(servers.Daemon, p.URL)
	for _, b := range c.bouts() {
		b.renew()
		for i, f := range servers.KubeFaults() {
			if b.once && f.Done {
				continue
			}
			b.renew()
			what := fmt.Sprintf("%s %s, %s", b.backend, b.to, f.Name)
			a := c.claim(c.step(b.backend, b.to), signalbox.ActionID(what), signalbox.Token(100*(i+1)))
			ctx, giveUp := context.WithCancel(t.Context())
			p.Break(f, func(r *http.Request) bool {
				return r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "selfsubjectaccessreviews")
			}, giveUp)
			receipt, err := c.r.Start(ctx, a)
			met := p.Mend()
			giveUp()
			c.hear(receipt, err)
			var failure *signalbox.Failure
			if err == nil || met == 0 || errors.As(err, &failure) != f.Refused || b.done() != f.Done || strings.Contains(err.Error(), "Bearer") {
				t.Errorf("%s: got %v after %d requests, done: %t", what, err, met, b.done())
				continue
			}
			if !f.Refused {
				c.settled(what, a, f.Done, b)
			}
		}
	}
}

// settled settles a doubt as the engine does.
func (c *company) settled(what string, a signalbox.Action, effect bool, b bout) {
	c.t.Helper()
	phase := func(at time.Duration) signalbox.Phase {
		c.now = time.Now().Add(at)
		defer func() { c.now = time.Time{} }()
		p, err := c.r.Probe(c.t.Context(), a)
		c.hear(p, err)
		c.must(err)
		return p.Phase
	}
	a.Stage = signalbox.Doubt
	first, last := signalbox.InDoubt, signalbox.NotStarted
	if effect { // its controller is still to come
		first, last = signalbox.Running, signalbox.Running
	}
	if got := phase(0); got != first {
		c.t.Errorf("%s: a look at once: %s, want %s", what, got, first)
	}
	if a.Forecast.Class == signalbox.ClassA {
		a.Sealed = a.Token + 5
		c.must(c.r.(signalbox.Sealer).Seal(c.t.Context(), a, a.Sealed))
	}
	if got := phase(sendBound + latency + time.Second); got != last {
		c.t.Errorf("%s: a look when it must be over: %s, want %s", what, got, last)
	}
	if a.Forecast.Class == signalbox.ClassC {
		return
	}
	c.start(a)
	if got := phase(0); got != signalbox.Running || !b.done() {
		c.t.Errorf("%s: again: %s", what, got)
	}
}
