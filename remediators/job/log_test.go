package job

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// kubelet stands for that of a node, as far as the API server asks it for logs:
// the last lines, and of them the first bytes.
type kubelet struct {
	mu    sync.Mutex
	code  int // 0: 200
	text  string
	asked []*url.URL
}

func (k *kubelet) set(code int, text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.code, k.text, k.asked = code, text, nil
}

func (k *kubelet) requests() []*url.URL {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, r.URL)
	if k.code != 0 {
		http.Error(w, "said by the kubelet", k.code)
		return
	}
	lines := strings.SplitAfter(k.text, "\n")
	if n := len(lines); n > 0 && lines[n-1] == "" {
		lines = lines[:n-1]
	}
	tail, err := strconv.Atoi(r.URL.Query().Get("tailLines"))
	limit, err2 := strconv.Atoi(r.URL.Query().Get("limitBytes"))
	if errors.Join(err, err2) != nil {
		http.Error(w, "a log without its bounds", http.StatusBadRequest)
		return
	}
	text := strings.Join(lines[max(0, len(lines)-tail):], "")
	fmt.Fprint(w, text[:min(limit, len(text))])
}

// node is a node with such a kubelet.
func (w *world) node() *kubelet {
	w.t.Helper()
	k := &kubelet{}
	server := httptest.NewUnstartedServer(k)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	w.t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	w.must(err)
	port, err := strconv.Atoi(u.Port())
	w.must(err)
	nodes := w.admin.CoreV1().Nodes()
	n, err := nodes.Create(w.t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}, metav1.CreateOptions{})
	w.must(err)
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: u.Hostname()}}
	n.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port) //nolint:gosec // a port
	_, err = nodes.UpdateStatus(w.t.Context(), n, metav1.UpdateOptions{})
	w.must(err)
	return k
}

// placed puts the pod of an action's Job on the node.
func (w *world) placed(a signalbox.Action) {
	w.t.Helper()
	pods := w.admin.CoreV1().Pods("core")
	servers.Await(w.t, servers.Patience, "the pod of the Job", func(ctx context.Context) error {
		list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + nameOf(a.ID)})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("%d pods", len(list.Items))
		}
		if err != nil {
			return err
		}
		return pods.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: list.Items[0].Name}, Target: corev1.ObjectReference{Kind: "Node", Name: "n1"}}, metav1.CreateOptions{})
	})
}

// TestRealLog: the end of a Job's log is kept as evidence, bounded and masked.
// That it can't be read is said in its place, and is no failure of the Job.
func TestRealLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cronJob(func(*corev1.PodSpec) {})
	kubelet := w.node()
	keeping := func(lines int) signalbox.Step {
		return w.stepOf(func(j *Job) { j.KeepLogLines = lines }, "evt_aaaa")
	}
	a := w.claim(keeping(20), "a1")
	if _, err := w.r.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	w.placed(a)
	w.end(a, corev1.PodSucceeded, signalbox.Succeeded)
	numbered := func(n, width int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "line %d %s\n", i, strings.Repeat("x", width))
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		lines, code int
		text        string
		has         []string
		hasNot      []string
	}{
		"the last lines":              {20, 0, numbered(30, 3), []string{"is complete\nline 10 xxx\n", "line 29 xxx"}, []string{"line 9 "}},
		"a secret":                    {20, 0, "token=hunter2hunter2\nsent evt_aaaa\n", []string{"token=…", "sent evt_aaaa"}, []string{"hunter2"}},
		"more than is read at once":   {200, 0, numbered(300, 2000), []string{"line 299 xx"}, []string{"line 100 "}},
		"one line without end":        {20, 0, strings.Repeat("y", 1<<20), []string{"yyy"}, nil},
		"nothing was said":            {20, 0, "", []string{"its log is empty"}, nil},
		"it can't be read (400)":      {20, 400, "", []string{"its log can't be read", "400"}, nil},
		"its container is gone (404)": {20, 404, "", []string{"its log can't be read: its pod is gone"}, nil},
		"its kubelet is ill (500)":    {20, 500, "", []string{"its log can't be read", "500"}, nil},
		"none is wanted":              {0, 0, numbered(3, 3), nil, []string{"line", "log"}},
	} {
		kubelet.set(c.code, c.text)
		x := a
		x.Step = keeping(c.lines)
		p, err := w.r.Probe(t.Context(), x)
		if err != nil || p.Phase != signalbox.Succeeded || len(p.Receipt.Detail) > 5<<10 {
			t.Errorf("%s: got %.300q, %v", name, p.Receipt.Detail, err)
		}
		for _, s := range c.has {
			if !strings.Contains(p.Receipt.Detail, s) {
				t.Errorf("%s: no %q in %.300q", name, s, p.Receipt.Detail)
			}
		}
		for _, s := range c.hasNot {
			if strings.Contains(p.Receipt.Detail, s) {
				t.Errorf("%s: %q in %.300q", name, s, p.Receipt.Detail)
			}
		}
		if n := len(kubelet.requests()); (n == 0) != (c.lines == 0) || n > 8 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
	kubelet.set(0, "why it failed\n")
	b := w.claim(keeping(20), "b1")
	if _, err := w.r.Start(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	w.placed(b)
	if p := w.end(b, corev1.PodFailed, signalbox.Fell); !strings.HasSuffix(p.Reason, "\nwhy it failed") {
		t.Errorf("got %+v", p)
	}
}

// TestRealCleanedUp: a Job is kept for its ttl, and once it is gone its action
// creates no other.
func TestRealCleanedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "ttl-after-finished-controller", "garbage-collector-controller")
	w.cronJob(func(*corev1.PodSpec) {})
	a := w.claim(w.step("evt_aaaa"), "a1")
	if _, err := w.r.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	w.end(a, corev1.PodSucceeded, signalbox.Succeeded)
	jobs := w.admin.BatchV1().Jobs("core")
	j, err := jobs.Get(t.Context(), nameOf(a.ID), metav1.GetOptions{})
	w.must(err)
	if *j.Spec.TTLSecondsAfterFinished != 3600 {
		t.Errorf("it is kept for %d s", *j.Spec.TTLSecondsAfterFinished)
	}
	again := a // a process that died before it knew asks again, an hour later
	again.Stage = signalbox.Doubt
	w.now = w.now.Add(defaultTTL.Std() + 1)
	if _, err := w.r.Start(t.Context(), again); err != nil {
		t.Errorf("it is still there: %v", err)
	}
	_, err = jobs.Patch(t.Context(), j.Name, types.MergePatchType, []byte(`{"spec":{"ttlSecondsAfterFinished":0}}`), metav1.PatchOptions{})
	w.must(err)
	servers.Await(t, servers.Patience, "the end of its time", func(context.Context) error {
		if w.made(a.ID) {
			return errors.New("it is there")
		}
		return nil
	})
	if p, err := w.r.Probe(t.Context(), again); err != nil || p.Phase != signalbox.InDoubt || !strings.Contains(p.Reason, "there is no Job") {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := w.r.Start(t.Context(), again); err == nil || isFailure(err) || !strings.Contains(err.Error(), "may have run and been cleaned up") {
		t.Errorf("got %v", err)
	}
	w.awaitMade(1)
}
