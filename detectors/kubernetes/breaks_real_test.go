package kubernetes

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// The API server is killed and started again while pods fail, recover and go:
// nothing is missed, and nothing is said that wasn't so.
func TestServerKilledAndRestarted(t *testing.T) {
	t.Parallel()
	for _, cached := range []string{"true", "false"} {
		t.Run("watch-cache="+cached, func(t *testing.T) {
			t.Parallel()
			k := servers.KubeAPI(t, "--watch-cache="+cached)
			grant(t, k, "", "pods")
			c := newCast(t, k, "core")
			pods := map[string]*corev1.Pod{}
			for _, name := range []string{"well", "stays", "recovers", "fails", "goes"} {
				pods[name] = c.pod("core", name, name+"-0")
			}
			w := play(t, k, options{stale: lasting}, map[string]*DetectorSettings{"pods": {Pods: &Scope{}}})
			for _, name := range []string{"stays", "recovers", "goes"} {
				c.status(pods[name], waiting("CrashLoopBackOff"))
				w.await("pods", "core/"+name, signalbox.Breached, "")
			}
			for range 2 {
				k.Kill()
				k.Restart()
				c.status(pods["recovers"], running())
				c.status(pods["fails"], waiting("ImagePullBackOff"))
				w.await("pods", "core/recovers", signalbox.Clear, "")
				w.await("pods", "core/fails", signalbox.Breached, imagePull)
				c.status(pods["recovers"], waiting("CrashLoopBackOff"))
				c.status(pods["fails"], running())
				w.await("pods", "core/recovers", signalbox.Breached, "")
				w.await("pods", "core/fails", signalbox.Clear, "")
			}
			k.Kill()
			k.Restart()
			c.delete("core", "goes-0")
			w.await("pods", "core/goes", signalbox.Clear, "")
			for name, want := range map[string]string{"well": "", "stays": "b", "recovers": "bcbcb", "fails": "bcbc", "goes": "bc"} {
				if got := w.told("pods", "core/"+name); got != want {
					t.Errorf("%s: told %q, want %q", name, got, want)
				}
			}
		})
	}
}

func (c *cast) delete(namespace, name string) {
	c.t.Helper()
	if err := c.admin.CoreV1().Pods(namespace).Delete(c.t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		c.t.Fatal(err)
	}
}

// While the API server is away for longer than stale_after, all is Unknown: not
// well, since nothing is seen, and no longer ill, since that may be over. What
// is known again comes of a whole list.
func TestServerAwayIsUnknown(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]struct{ begin, end func(*servers.Server) }{
		"dead":   {(*servers.Server).Kill, (*servers.Server).Restart},
		"silent": {(*servers.Server).Pause, (*servers.Server).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := servers.KubeAPI(t, "--watch-cache=true")
			grant(t, k, "", "pods")
			c := newCast(t, k, "core")
			ill, healed := c.pod("core", "ill", "ill-0"), c.pod("core", "healed", "healed-0")
			w := play(t, k, options{stale: 12 * time.Second}, map[string]*DetectorSettings{"pods": {Pods: &Scope{}}})
			c.status(ill, waiting("CrashLoopBackOff"))
			c.status(healed, waiting("CrashLoopBackOff"))
			w.await("pods", "core/ill", signalbox.Breached, "")
			w.await("pods", "core/healed", signalbox.Breached, "")
			away.begin(k.Server)
			r := w.await("pods", "core/ill", signalbox.Unknown, "the watch of pods in all namespaces is out of touch for")
			if strings.Contains(r.Reason, "127.0.0.1") {
				t.Errorf("the reason %q holds an address", r.Reason)
			}
			w.await("pods", "core/healed", signalbox.Unknown, "")
			away.end(k.Server)
			c.status(healed, running())
			w.await("pods", "core/ill", signalbox.Breached, "")
			w.await("pods", "core/healed", signalbox.Clear, "")
			if got := w.told("pods", "core/ill"); got != "bub" {
				t.Errorf("told %q of what is ill all the time", got)
			}
			if got := w.told("pods", "core/healed"); got != "buc" && got != "bubc" {
				t.Errorf("told %q of what has healed", got)
			}
		})
	}
}

// A watch without any event is alive as long as the API server proves it.
func TestSilentWatchStaysAlive(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t, "--watch-cache=false") // which sends no bookmarks for ten minutes
	grant(t, k, "", "pods")
	c := newCast(t, k, "core")
	c.pod("core", "well", "well-0")
	granted(t, k) // or the first list is refused, and that is told
	w := play(t, k, options{stale: 30 * time.Second}, map[string]*DetectorSettings{"pods": {Pods: &Scope{}}})
	w.settled("pods")
	first := w.seen()
	servers.Await(t, patience, "proofs of life for longer than stale_after", func(context.Context) error {
		if got := w.seen(); got.Sub(first) < 35*time.Second {
			return fmt.Errorf("known up to %s, at first up to %s", got, first)
		}
		return nil
	})
	w.settled("pods")
	if got := w.told("pods", "pods"); got != "" {
		t.Errorf("told %q while nothing happened", got)
	}
	for _, e := range k.Audit(servers.Daemon) {
		if e.Verb == "watch" || !strings.Contains(e.URI, "limit=1") { // a watch is in the audit log when it ended
			t.Errorf("the first watch did not last: %s %s", e.Verb, e.URI)
		}
	}
}

// seen is up to when the only watch is known to be true.
func (w *watching) seen() (at time.Time) {
	w.src.mu.Lock()
	defer w.src.mu.Unlock()
	for _, f := range w.src.feeds {
		at = f.seen
	}
	return at
}

// lists are the requests of the daemon that began a whole list anew.
func lists(k *servers.KubeServer, w *watching) (uris []string) {
	w.t.Helper()
	for _, e := range k.Audit(servers.Daemon) {
		u, err := url.Parse(e.URI)
		if err != nil {
			w.t.Fatal(err)
		}
		q := u.Query()
		whole := e.Verb == "list" && q.Get("limit") != "1" && q.Get("continue") == "" || q.Get("sendInitialEvents") == "true"
		if whole && strings.HasPrefix(e.UserAgent, "signalbox-test") && e.ResponseStatus.Code == 200 {
			uris = append(uris, e.URI)
		}
	}
	return uris
}

// The server ends the watch, and the history that the watch would go on from is
// compacted away: 410 Gone. The list is taken anew, and what happened meanwhile
// is in it.
func TestHistoryIsGone(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t, "--watch-cache=false")
	grant(t, k, "", "pods")
	c := newCast(t, k, "core")
	fails, recovers, goes := c.pod("core", "fails", "fails-0"), c.pod("core", "recovers", "recovers-0"), c.pod("core", "goes", "goes-0")
	c.status(recovers, waiting("CrashLoopBackOff"))
	between := newProxy(t, k)
	w := play(t, k, options{url: between.url, stale: lasting}, map[string]*DetectorSettings{"pods": {Pods: &Scope{}}})
	w.await("pods", "core/recovers", signalbox.Breached, "")
	c.status(goes, waiting("CrashLoopBackOff")) // a watch without an event is not resumed by client-go
	w.await("pods", "core/goes", signalbox.Breached, "")
	before := len(lists(k, w))
	between.hold()
	c.status(fails, waiting("CrashLoopBackOff"))
	c.status(recovers, running())
	c.delete("core", "goes-0")
	for i := range 20 {
		if _, err := c.admin.CoreV1().ConfigMaps("core").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i)}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	k.Compact()
	between.end()
	w.await("pods", "core/fails", signalbox.Breached, "")
	w.await("pods", "core/recovers", signalbox.Clear, "")
	w.await("pods", "core/goes", signalbox.Clear, "")
	for name, want := range map[string]string{"fails": "b", "recovers": "bc", "goes": "bc"} {
		if got := w.told("pods", "core/"+name); got != want {
			t.Errorf("%s: told %q, want %q", name, got, want)
		}
	}
	servers.Await(t, patience, "a list after 410", func(context.Context) error {
		if after := lists(k, w); len(after) <= before {
			return fmt.Errorf("%d lists, as before: %q", before, after)
		}
		return nil
	})
	resumed := slices.ContainsFunc(k.Audit(servers.Daemon), func(e servers.AuditEntry) bool {
		u, err := url.Parse(e.URI)
		return err == nil && e.Verb == "watch" && u.Query().Get("resourceVersion") != "" && u.Query().Get("sendInitialEvents") == ""
	})
	if !resumed {
		t.Error("the watch did not try to go on where it was: 410 was not played")
	}
}

// proxy stands before an API server. It can keep back what watches send, and end
// them as the server does when their time is over.
type proxy struct {
	url string

	mu   sync.Mutex
	held bool
	over chan struct{} // closed to end the watches under way
}

func newProxy(t *testing.T, k *servers.KubeServer) *proxy {
	t.Helper()
	to, err := url.Parse(k.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{over: make(chan struct{})}
	through := httputil.NewSingleHostReverseProxy(to)
	through.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // loopback, in a test
	through.FlushInterval = -1
	through.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	through.ModifyResponse = func(r *http.Response) error {
		if r.Request.URL.Query().Get("watch") == "true" {
			p.mu.Lock()
			defer p.mu.Unlock()
			r.Body = p.through(r.Body, p.over)
		}
		return nil
	}
	s := httptest.NewUnstartedServer(through)
	s.TLS = k.TLS()
	s.StartTLS()
	t.Cleanup(func() { p.end(); s.CloseClientConnections(); s.Close() })
	p.url = s.URL
	return p
}

// through passes a watch on until it is over: then its body ends in order.
func (p *proxy) through(body io.ReadCloser, over chan struct{}) io.ReadCloser {
	r, w := io.Pipe()
	go func() { <-over; w.Close(); body.Close() }()
	go func() {
		b := make([]byte, 32<<10)
		for {
			n, err := body.Read(b)
			p.mu.Lock()
			held := p.held
			p.mu.Unlock()
			if n > 0 && !held {
				_, _ = w.Write(b[:n])
			}
			if err != nil {
				w.Close()
				return
			}
		}
	}()
	return r
}

// hold loses what watches send from now on.
func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// end ends the watches under way; new ones go through.
func (p *proxy) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
	close(p.over)
	p.over = make(chan struct{})
}

// Without the right to see, all is Unknown, with the verb and the resource
// named; with it again, all is known, and when it is taken away, no more.
func TestRights(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t, "--watch-cache=true")
	c := newCast(t, k, "core")
	ill := c.pod("core", "ill", "ill-0")
	c.status(ill, waiting("CrashLoopBackOff"))
	w := play(t, k, options{namespaces: []string{"core"}}, map[string]*DetectorSettings{"pods": {Pods: &Scope{}}})
	w.await("pods", "pods", signalbox.Unknown, "list pods in namespace core is forbidden: a Role must grant list and watch on pods")
	grant(t, k, "", "pods")
	w.await("pods", "core/ill", signalbox.Breached, "")
	if err := k.Client(servers.Admin).RbacV1().ClusterRoleBindings().Delete(t.Context(), "watch-pods", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await("pods", "core/ill", signalbox.Unknown, "is forbidden")
}
