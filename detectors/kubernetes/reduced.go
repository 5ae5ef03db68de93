package kubernetes

import (
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// page reduces a list.
func (r resource) page(whole runtime.Object) (runtime.Object, error) {
	m, err := meta.ListAccessor(whole)
	if err != nil {
		return nil, err
	}
	p := &objectList{ListMeta: metav1.ListMeta{ResourceVersion: m.GetResourceVersion(), Continue: m.GetContinue()}}
	err = meta.EachListItem(whole, func(item runtime.Object) error {
		o := r.reduce(item)
		if o == nil {
			return fmt.Errorf("a list of %s holds a %T", r.gvr.Resource, item)
		}
		p.Items = append(p.Items, o)
		return nil
	})
	return p, err
}

// event reduces an object that came, changed or went. A bookmark, and an error,
// have none.
func (r resource) event(e watch.Event) watch.Event {
	switch e.Type {
	case watch.Added, watch.Modified, watch.Deleted:
	default:
		return e
	}
	o := r.reduce(e.Object)
	if o == nil {
		err := apierrors.NewInternalError(fmt.Errorf("a watch of %s holds a %T", r.gvr.Resource, e.Object))
		return watch.Event{Type: watch.Error, Object: &err.ErrStatus}
	}
	e.Object = o
	return e
}

// reduced is a watch whose events are reduced. Unlike watch.Filter's, it ends
// when it is stopped also while nobody reads from it.
type reduced struct {
	watch.Interface

	reduce  func(watch.Event) watch.Event
	events  chan watch.Event
	stopped chan struct{}
	once    sync.Once
}

func newReduced(of watch.Interface, reduce func(watch.Event) watch.Event) *reduced {
	r := &reduced{Interface: of, reduce: reduce, events: make(chan watch.Event), stopped: make(chan struct{})}
	go r.run()
	return r
}

func (r *reduced) run() {
	defer close(r.events)
	for e := range r.Interface.ResultChan() {
		select {
		case r.events <- r.reduce(e):
		case <-r.stopped:
			return
		}
	}
}

// ResultChan returns the events.
func (r *reduced) ResultChan() <-chan watch.Event { return r.events }

// Stop ends the watch.
func (r *reduced) Stop() {
	r.once.Do(func() { close(r.stopped) })
	r.Interface.Stop()
}
