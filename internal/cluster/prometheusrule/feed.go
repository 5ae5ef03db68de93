package prometheusrule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// Options say which resources are meant, and how they are reached.
type Options struct {
	Access     cluster.Access
	Namespaces []string          // none: all
	Selector   map[string]string // labels that the resources have
	Agent      string            // User-Agent
}

// Feed keeps the resources of one cluster in memory. Its methods are safe for
// concurrent use, and none of its errors holds an address or a secret.
type Feed struct {
	o       Options
	changed chan struct{}

	mu      sync.Mutex
	now     *session   // the connection in use; nil: none could be made yet
	last    []Resource // of the last connection that had read everything
	read    bool
	fault   error // why there is no connection
	checked time.Time
	said    error // by the check
}

// New returns a feed that reads nothing before Run.
func New(o Options) *Feed { return &Feed{o: o, changed: make(chan struct{}, 1), fault: errUnread} }

var (
	errUnread  = errors.New("the resources were not read yet")
	errRotated = errors.New("the credentials have changed")
)

// session is one connection.
type session struct {
	client    dynamic.Interface
	informers []cache.SharedIndexInformer
	synced    []cache.ResourceEventHandlerRegistration

	mu    sync.Mutex
	fault error // of the last list or watch
}

// Pauses between two attempts to connect, and between two looks at whether the
// credentials have changed and the API server answers.
const (
	retry     = 2 * time.Second
	lookEvery = 10 * time.Second
)

// Run keeps the connection until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	ctx = klog.NewContext(ctx, klog.Logger{}) // what goes wrong is told by Alive
	for ctx.Err() == nil {
		err := f.connect(ctx)
		pause := retry
		if errors.Is(err, errRotated) {
			pause = 0
		} else {
			f.mu.Lock()
			f.fault = err
			f.mu.Unlock()
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// connect reads and watches until ctx ends or the credentials change.
func (f *Feed) connect(ctx context.Context) error {
	print, err := f.o.Access.Fingerprint()
	if err != nil {
		return err
	}
	s, err := f.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, i := range s.informers {
		running.Go(func() { i.RunWithContext(ctx) })
	}
	f.use(ctx, s)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		// What can't be read now changes nothing: Alive tells when it matters.
		if again, err := f.o.Access.Fingerprint(); err == nil && again != print {
			return errRotated
		}
	}
}

// dial makes a connection; nothing is sent yet.
func (f *Feed) dial() (*session, error) {
	config, err := f.o.Access.Config(f.o.Agent)
	if err != nil {
		return nil, err
	}
	h, err := cluster.HTTPClient(config)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfigAndClient(config, h)
	if err != nil {
		return nil, errors.New("the cluster's address can't be used")
	}
	s := &session{client: client}
	for _, namespace := range f.namespaces() {
		if err := f.watch(s, namespace); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (f *Feed) namespaces() []string {
	if len(f.o.Namespaces) == 0 {
		return []string{metav1.NamespaceAll}
	}
	return f.o.Namespaces
}

func (f *Feed) selector() string { return labels.SelectorFromSet(f.o.Selector).String() }

// watch adds the informer of one namespace.
func (f *Feed) watch(s *session, namespace string) error {
	selector := f.selector()
	i := dynamicinformer.NewFilteredDynamicInformer(s.client, GVR(), namespace, 0, nil,
		func(o *metav1.ListOptions) { o.LabelSelector = selector }).Informer()
	registered, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { s.well(); f.wake() },
		UpdateFunc: func(any, any) { s.well(); f.wake() },
		DeleteFunc: func(any) { s.well(); f.wake() },
	})
	if err := errors.Join(err, i.SetTransform(slim), i.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { s.failed(err) })); err != nil {
		return fmt.Errorf("informer: %w", err)
	}
	s.informers, s.synced = append(s.informers, i), append(s.synced, registered)
	return nil
}

// use puts a connection in force, and tells when it has read everything.
func (f *Feed) use(ctx context.Context, s *session) {
	f.mu.Lock()
	f.now, f.fault, f.checked = s, nil, time.Time{}
	f.mu.Unlock()
	for _, r := range s.synced {
		go func() {
			select {
			case <-r.HasSyncedChecker().Done():
				f.wake()
			case <-ctx.Done():
			}
		}()
	}
}

func (f *Feed) wake() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// failed notes why a list or a watch ended. That it was cut, as happens to each
// within minutes, or is to begin anew is no fault.
func (s *session) failed(err error) {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || strings.HasSuffix(err.Error(), "EOF") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

func (s *session) well() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = nil
}

// Changed tells that Resources may say something else. It is for one reader.
func (f *Feed) Changed() <-chan struct{} { return f.changed }

// Resources are what was last known, by their keys; false when not all of them
// were read since the start. A connection that is begun anew tells nothing
// before it has read everything.
func (f *Feed) Resources() ([]Resource, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now != nil && f.now.whole() {
		f.last, f.read = f.now.list(), true
	}
	return slices.Clone(f.last), f.read
}

func (s *session) whole() bool {
	return !slices.ContainsFunc(s.synced, func(r cache.ResourceEventHandlerRegistration) bool { return !r.HasSynced() })
}

func (s *session) list() (all []Resource) {
	for _, i := range s.informers {
		for _, obj := range i.GetStore().List() {
			if u, ok := obj.(*unstructured.Unstructured); ok {
				all = append(all, read(u))
			}
		}
	}
	slices.SortFunc(all, func(a, b Resource) int { return strings.Compare(a.Key(), b.Key()) })
	return all
}

// Alive says why what Resources tells may be out of date; nil when it is not,
// at about the moment at. A watch may be silent for hours: so at most every ten
// seconds the API server is asked for one resource of each namespace, which
// proves that it answers and lets us see.
func (f *Feed) Alive(ctx context.Context, at time.Time) error {
	f.mu.Lock()
	s, fault, fresh, said := f.now, f.fault, at.Sub(f.checked).Abs() < lookEvery, f.said
	f.mu.Unlock()
	switch {
	case fault != nil:
		return fault
	case s == nil:
		return errUnread
	case fresh:
		return said
	}
	err := f.check(ctx, s)
	if ctx.Err() != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == s {
		f.checked, f.said = at, err
	}
	return err
}

func (f *Feed) check(ctx context.Context, s *session) error {
	for _, namespace := range f.namespaces() {
		o := metav1.ListOptions{Limit: 1, LabelSelector: f.selector()}
		if _, err := s.client.Resource(GVR()).Namespace(namespace).List(ctx, o); err != nil {
			return explain(err)
		}
	}
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if !s.whole() {
		if fault != nil {
			return explain(fault)
		}
		return errUnread
	}
	return nil
}

// explain says what went wrong, without addresses.
func explain(err error) error {
	const what = "PrometheusRule resources (prometheusrules.monitoring.coreos.com)"
	switch {
	case apierrors.IsNotFound(err):
		return errors.New("the API server knows no " + what + ": is the CustomResourceDefinition there?")
	case apierrors.IsForbidden(err):
		return errors.New("the account may not list and watch " + what)
	case apierrors.IsUnauthorized(err):
		return errors.New("the API server refuses the credentials")
	}
	return httpclient.Explain(err)
}
