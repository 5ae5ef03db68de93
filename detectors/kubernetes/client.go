package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// clients are the clients of one cluster. They are made anew when the
// kubeconfig changes.
type clients struct {
	access cluster.Access
	agent  string
	most   int64 // bytes of an answer
	clock  *clock

	mu      sync.Mutex
	print   string // of what typed and custom were made
	typed   kubernetes.Interface
	custom  dynamic.Interface
	current *http.Client
}

// protobuf is what built-in kinds are read as: it is a third of JSON's work.
const protobuf = "application/vnd.kubernetes.protobuf,application/json"

// get returns the clients as the kubeconfig is now.
func (c *clients) get() (kubernetes.Interface, dynamic.Interface, error) {
	print, err := c.access.Fingerprint()
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.typed != nil && print == c.print {
		return c.typed, c.custom, nil
	}
	config, err := c.access.Config(c.agent)
	if err != nil {
		return nil, nil, err
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return measured{next, c.clock, c.most} })
	h, err := cluster.HTTPClient(config)
	if err != nil {
		return nil, nil, err
	}
	plain := rest.CopyConfig(config)
	plain.AcceptContentTypes, plain.ContentType = protobuf, "application/vnd.kubernetes.protobuf"
	typed, err := kubernetes.NewForConfigAndClient(plain, h)
	if err != nil {
		return nil, nil, errors.New("the address of the API server can't be used")
	}
	custom, err := dynamic.NewForConfigAndClient(config, h)
	if err != nil {
		return nil, nil, errors.New("the address of the API server can't be used")
	}
	if c.current != nil {
		c.current.CloseIdleConnections()
	}
	c.print, c.typed, c.custom, c.current = print, typed, custom, h
	return typed, custom, nil
}

// close ends the connections that nobody uses.
func (c *clients) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		c.current.CloseIdleConnections()
	}
}

// reader lists and watches one resource.
type reader struct {
	list  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error)
	watch func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
}

// reader returns the reader of a resource, in one namespace or, with "", in all.
func (c *clients) reader(r resource, namespace string) (reader, error) {
	typed, custom, err := c.get()
	if err != nil {
		return reader{}, err
	}
	if r.custom {
		in := custom.Resource(r.gvr).Namespace(namespace)
		return reader{
			list:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return in.List(ctx, o) },
			watch: in.Watch,
		}, nil
	}
	in := typed.CoreV1().RESTClient()
	switch r.gvr.Group {
	case "apps":
		in = typed.AppsV1().RESTClient()
	case "batch":
		in = typed.BatchV1().RESTClient()
	}
	get := func(o *metav1.ListOptions) *rest.Request { // the feed tries again, and says why
		return in.Get().MaxRetries(0).NamespaceIfScoped(namespace, namespace != "").Resource(r.gvr.Resource).VersionedParams(o, metav1.ParameterCodec)
	}
	return reader{
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return get(&o).Do(ctx).Get() },
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.Watch = true
			return get(&o).Watch(ctx)
		},
	}, nil
}

// lacks reports whether the cluster surely has no such resource: discovery
// answers, and doesn't name it. A 404 alone may be a proxy's.
func (c *clients) lacks(ctx context.Context, r resource) bool {
	typed, _, err := c.get()
	if err != nil {
		return false
	}
	var groups metav1.APIGroupList
	in := typed.CoreV1().RESTClient()
	if err := in.Get().AbsPath("/apis").SetHeader("Accept", "application/json").Do(ctx).Into(&groups); err != nil || len(groups.Groups) == 0 {
		return false
	}
	served := false
	for _, g := range groups.Groups {
		for _, v := range g.Versions {
			served = served || v.GroupVersion == r.gvr.GroupVersion().String()
		}
	}
	if !served {
		return true
	}
	var list metav1.APIResourceList
	if err := in.Get().AbsPath("/apis", r.gvr.Group, r.gvr.Version).SetHeader("Accept", "application/json").Do(ctx).Into(&list); err != nil {
		return false
	}
	for _, known := range list.APIResources {
		if known.Name == r.gvr.Resource {
			return false
		}
	}
	return list.GroupVersion != ""
}

// maxAnswer bounds an answer: a page of a list.
const maxAnswer = 128 << 20

// maxText bounds what is repeated of what a library says.
const maxText = 300

// explain says what went wrong, in one line without addresses, and in words of
// our own: an API server may repeat what we sent. verb is what was tried.
func explain(err error, verb string, f *feed) string {
	what := fmt.Sprintf("%s %s", verb, f)
	status, isStatus := errors.AsType[*apierrors.StatusError](err)
	network, isNetwork := errors.AsType[*net.OpError](err)
	long, tooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLong:
		return fmt.Sprintf("%s: the answer has more than %d MiB", what, long.Limit>>20)
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("%s is forbidden: a Role must grant list and watch on %s", what, f.resource.gvr.GroupResource())
	case apierrors.IsUnauthorized(err):
		return what + ": the API server refuses the credentials"
	case isStatus:
		return fmt.Sprintf("%s: the API server answers %d (%s)", what, status.ErrStatus.Code, http.StatusText(int(status.ErrStatus.Code)))
	case isNetwork && !network.Timeout():
		return fmt.Sprintf("%s: %s: %v", what, network.Op, network.Err)
	}
	return what + ": " + httpclient.Explain(err).Error()
}

// clock measures the API server's clock by the Date of its answers.
type clock struct {
	now  func() time.Time
	skew atomic.Int64 // nanoseconds that it is ahead of ours
	seen atomic.Bool
}

// measured is a transport that reads the clock, and bounds answers.
type measured struct {
	next  http.RoundTripper
	clock *clock
	most  int64
}

func (m measured) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := m.clock.now()
	resp, err := m.next.RoundTrip(r)
	if err == nil {
		m.clock.measure(sent, m.clock.now(), resp.Header.Get("Date"))
		if r.URL.Query().Get("watch") == "" { // what a watch sends is bounded by client-go, event by event
			resp.Body = http.MaxBytesReader(nil, resp.Body, m.most)
		}
	}
	return resp, err
}

// WrappedRoundTripper is how client-go finds what it wrapped.
func (m measured) WrappedRoundTripper() http.RoundTripper { return m.next }

// measure takes the distance to the nearer bound of when the Date, cut to the
// second, was true; within the bounds there is none.
func (c *clock) measure(sent, received time.Time, date string) {
	t, err := http.ParseTime(date)
	if err != nil {
		return
	}
	var skew time.Duration
	switch early := sent.Add(-time.Second); {
	case t.Before(early):
		skew = t.Sub(early)
	case t.After(received):
		skew = t.Sub(received)
	}
	c.skew.Store(int64(skew))
	c.seen.Store(true)
}
