package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/test/servers"
)

// patience is how long a test waits for what must come, on a busy machine.
const patience = 3 * time.Minute

// lasting is a stale_after for tests of what is told while the API server is
// away for a moment: however long that takes, nothing becomes Unknown.
const lasting = 10 * time.Minute

// watching is the source and its detectors as the daemon runs them: under a
// poller, which asks when the source says that something changed.
type watching struct {
	t   testing.TB
	src *Source

	mu    sync.Mutex
	last  map[string]poll.Round            // by detector
	story map[string][]signalbox.Condition // by detector and subject, each change
}

// options are those of a watch that differ from test to test.
type options struct {
	account    string // default: Daemon
	url        string // default: the server's own
	namespaces []string
	stale      time.Duration
	interval   time.Duration // default: 1s
}

// play begins to watch, and ends with the test.
func play(t testing.TB, k *servers.KubeServer, o options, detectors map[string]*DetectorSettings) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := newWatching(t, k, o, detectors)
	p := w.poller(t, o, detectors)
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	running.Go(func() { p.Watch(ctx, "cluster", w.src) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

func newWatching(t testing.TB, k *servers.KubeServer, o options, _ map[string]*DetectorSettings) *watching {
	t.Helper()
	settings := cluster.New()
	account, url := o.account, o.url
	if account == "" {
		account = servers.Daemon
	}
	if url == "" {
		url = k.URL
	}
	settings.Kubeconfig, settings.Namespaces = k.KubeconfigFor(account, url), o.namespaces
	if o.stale > 0 {
		settings.StaleAfter = kind.Duration(o.stale)
	}
	src, err := open("cluster", settings, kind.Env{Now: time.Now, Agent: "signalbox-test"})
	if err != nil {
		t.Fatal(err)
	}
	return &watching{t: t, src: src, last: map[string]poll.Round{}, story: map[string][]signalbox.Condition{}}
}

func (w *watching) poller(t testing.TB, o options, detectors map[string]*DetectorSettings) *poll.Poller {
	t.Helper()
	interval := o.interval
	if interval == 0 {
		interval = time.Second
	}
	p := poll.New(poll.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Emit: w.emit})
	var list []poll.Detector
	for _, name := range slices.Sorted(maps.Keys(detectors)) {
		d := detectors[name]
		d.Validate(func(path, rule string, value any) { t.Fatalf("%s: %s %s, got %v", name, path, rule, value) })
		c := kind.Common{Name: name, Source: "cluster", Subject: subject(t, d), Interval: interval, UnknownAfter: time.Hour}
		det, timing, err := d.Build(c, w.src)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, poll.Detector{Name: name, Detector: det, Source: "cluster", Asks: w.src, Interval: interval, UnknownAfter: time.Hour, Timing: timing, Hash: name})
	}
	p.Set(list)
	return p
}

func subject(t testing.TB, d *DetectorSettings) (s kind.Subject) {
	t.Helper()
	text := "{{namespace}}/{{workload}}"
	if d.Nodes != nil {
		text = "{{node}}"
	}
	if err := s.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *watching) emit(r poll.Round) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[r.Detector] = r
	for _, x := range r.Readings {
		key := r.Detector + " " + x.Subject
		if s := w.story[key]; len(s) == 0 || s[len(s)-1] != x.Condition {
			w.story[key] = append(s, x.Condition)
		}
	}
}

// reading returns the last reading of a subject, and whether there is one.
func (w *watching) reading(detector, subject string) (signalbox.Reading, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.last[detector].Readings {
		if r.Subject == subject {
			return r, true
		}
	}
	return signalbox.Reading{}, false
}

// told is each change of a subject's condition: "bc" is breached, then clear.
func (w *watching) told(detector, subject string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, c := range w.story[detector+" "+subject] {
		b.WriteByte(c.String()[0])
	}
	return b.String()
}

// subjects are all of which a detector ever said anything. What it can't say at
// all, where a loaded machine has not listed in time, is of none of them.
func (w *watching) subjects(detector string) (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.story {
		if s, ok := strings.CutPrefix(key, detector+" "); ok && s != detector {
			all = append(all, s)
		}
	}
	slices.Sort(all)
	return all
}

// await waits until a subject's reading is so, and holds what is given.
func (w *watching) await(detector, subject string, c signalbox.Condition, holds string) signalbox.Reading {
	w.t.Helper()
	var got signalbox.Reading
	servers.Await(w.t, patience, fmt.Sprintf("%s of %s is %s", detector, subject, c), func(context.Context) error {
		r, ok := w.reading(detector, subject)
		if !ok || r.Condition != c || !strings.Contains(r.Summary, holds) {
			whole, _ := w.reading(detector, detector)
			return fmt.Errorf("got %v %q, want %q in it; of all: %q", r.Condition, r.Summary, holds, whole.Summary)
		}
		got = r
		return nil
	})
	return got
}

// settled waits until the detector has had a good round that began after now.
func (w *watching) settled(detector string) {
	w.t.Helper()
	since := time.Now()
	servers.Await(w.t, patience, detector+" has a good round", func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		r := w.last[detector]
		if !r.Good || !r.At.After(since) {
			return fmt.Errorf("the last round, at %s: good %v, %+v", r.At, r.Good, r.Readings)
		}
		return nil
	})
}

// grant gives the daemon's account list and watch on resources, as the page of
// this kind has it, and no more.
func grant(t testing.TB, k *servers.KubeServer, group string, resources ...string) {
	t.Helper()
	name := "watch-" + strings.Join(resources, "-")
	rbac := k.Client(servers.Admin).RbacV1()
	_, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: resources, Verbs: []string{"list", "watch"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: "User", Name: servers.Daemon}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// granted waits until the daemon's account may list pods: the API server learns
// of a grant a moment after it is written.
func granted(t testing.TB, k *servers.KubeServer) {
	t.Helper()
	daemon := k.Client(servers.Daemon)
	servers.Await(t, patience, "the grant to be in force", func(ctx context.Context) error {
		_, err := daemon.CoreV1().Pods("").List(ctx, metav1.ListOptions{Limit: 1})
		return err
	})
}

// cast is a cluster with a namespace, and what is played in it.
type cast struct {
	t     testing.TB
	admin client.Interface
}

func newCast(t testing.TB, k *servers.KubeServer, namespaces ...string) *cast {
	t.Helper()
	c := &cast{t, k.Client(servers.Admin)}
	for _, n := range namespaces {
		if _, err := c.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// pod creates a pod that a Deployment would have, running and ready.
func (c *cast) pod(namespace, workload, name string) *corev1.Pod {
	c.t.Helper()
	p, err := c.admin.CoreV1().Pods(namespace).Create(c.t.Context(), podOf(namespace, workload, name), metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return c.status(p, running())
}

func podOf(namespace, workload, name string) *corev1.Pod {
	yes := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{"app": workload, deploymentHash: "5d8f"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: workload + "-5d8f", UID: "1", Controller: &yes}},
		},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
	}
}

// status sets a pod's status.
func (c *cast) status(p *corev1.Pod, s corev1.PodStatus) *corev1.Pod {
	c.t.Helper()
	p = p.DeepCopy()
	p.Status = s
	p.ResourceVersion = ""
	p, err := c.admin.CoreV1().Pods(p.Namespace).UpdateStatus(c.t.Context(), p, metav1.UpdateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// running is the status of a pod that is well.
func running() corev1.PodStatus {
	began := metav1.NewTime(time.Now().Add(-time.Hour))
	return corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: &began,
		Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: began}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: began}}}},
	}
}

// waiting is the status of a pod whose container waits.
func waiting(reason string) corev1.PodStatus {
	s := running()
	s.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
	s.Conditions[0].Status, s.Conditions[0].LastTransitionTime = corev1.ConditionFalse, metav1.Now()
	return s
}
