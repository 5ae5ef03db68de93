package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// How a watch is kept.
const (
	// pageSize bounds what a list holds in memory at once, where the API server
	// can't stream it.
	pageSize       = 500
	customPageSize = 100 // they may be a megabyte each
	pageWait       = 30 * time.Second
	// syncWait is how long a streamed list may take.
	syncWait = 2 * time.Minute
	// minding is how often a watch is looked after, and after how long a silence
	// it is asked whether it lives. A watch that is silent for longer than
	// resumable is not resumed where it was, but begun anew with a list.
	minding   = 5 * time.Second
	silence   = 10 * time.Second
	probeWait = 5 * time.Second
	resumable = 20 * time.Second
	// mostOwed is how long a watch may take to reach a version that the API server
	// had: bookmarks come about once a minute.
	mostOwed = 3 * time.Minute
	// How long after a failure it is tried again; it doubles up to the greatest, and
	// begins anew after what lasted.
	firstRetry = 100 * time.Millisecond
	mostRetry  = 5 * time.Second
	mostRelist = 30 * time.Second
	steady     = 10 * time.Second
	absentWait = 10 * time.Second // until it is looked whether a kind is there by now
)

// run keeps the feed up to date until ctx ends.
func (f *feed) run(ctx context.Context) {
	ctx = klog.NewContext(ctx, klog.Logger{}) // what goes wrong is told by the readings
	for retry := firstRetry; ctx.Err() == nil; {
		began := f.source.now()
		err := f.life(ctx)
		f.opened(false)
		wait, most := retry, mostRetry
		if f.listed() { // a list costs more than a connection that is refused
			most = mostRelist
		}
		retry = min(2*retry, most)
		switch {
		case errors.Is(err, errAbsent):
			wait, retry = absentWait, firstRetry
		case f.source.now().Sub(began) > steady:
			wait, retry = firstRetry, 2*firstRetry
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// errAbsent: the cluster has no such kind.
var errAbsent = errors.New("the cluster has no such kind")

// life is one list and the watch that follows it, until it breaks. The list is
// the newest that the API server's store has. A watch that the server ends in
// order goes on where it was.
func (f *feed) life(ctx context.Context) error {
	in, err := f.source.clients.reader(f.resource, f.namespace)
	if err != nil {
		f.broke(httpclient.Plain(err.Error(), maxText))
		return err
	}
	began := f.begin()
	err = f.reflect(ctx, in, began)
	if !f.resource.custom || !apierrors.IsNotFound(err) {
		return err
	}
	if f.source.clients.lacks(ctx, f.resource) {
		f.nothing(began)
		return errAbsent
	}
	f.broke(explain(err, "list", f))
	return err
}

// reflect runs client-go's reflector, which lists and watches, and beside it
// what looks after the watch.
func (f *feed) reflect(ctx context.Context, in reader, began time.Time) error {
	ctx, end := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.mind(ctx, end, in, began)
	}()
	defer func() { end(); <-ended }()
	s := stream{f, in}
	r := cache.NewReflectorWithOptions(
		&cache.ListWatch{ListWithContextFunc: s.list, WatchFuncWithContext: s.watch}, nil, f,
		cache.ReflectorOptions{Name: f.String(), Logger: &klog.Logger{}},
	)
	r.WatchListPageSize = pageSize
	if f.resource.custom {
		r.WatchListPageSize = customPageSize
	}
	return r.ListAndWatchWithContext(ctx)
}

// stream is what a reflector reads: objects that are reduced at once. An error
// of it ends the life of the watch, after which it is begun anew: the
// reflector's own patience with some errors is passed by.
type stream struct {
	feed *feed
	in   reader
}

// list reads a page, the first one as the API server's store has it now: not
// what a cache of it remembers, which the reflector would be content with.
func (s stream) list(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, pageWait)
	defer cancel()
	if o.Continue == "" {
		o.ResourceVersion, o.ResourceVersionMatch = "", ""
	}
	whole, err := s.in.list(ctx, o)
	if err != nil {
		return nil, s.failed("list", err)
	}
	p, err := s.feed.resource.page(whole)
	if err != nil {
		return nil, s.failed("list", err)
	}
	return p, nil
}

// watch begins a watch, or goes on with one.
func (s stream) watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	s.feed.opened(false)
	if o.SendInitialEvents != nil {
		o.ResourceVersion = ""
	} else if _, touched := s.feed.ages(s.feed.source.now()); touched > resumable {
		return nil, errors.New("out of touch for too long to go on where it was")
	}
	w, err := s.in.watch(ctx, o)
	switch {
	case err != nil && o.SendInitialEvents != nil: // the reflector lists instead, and that tells more
		return nil, errors.New("the list can't be streamed")
	case err != nil:
		return nil, s.failed("watch", err)
	}
	s.feed.opened(true)
	return newReduced(w, s.feed.resource.event), nil
}

// failed tells what went wrong, and keeps of the error what is needed: with
// more of it, the reflector would try again by itself.
func (s stream) failed(verb string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if s.feed.resource.custom && apierrors.IsNotFound(err) {
		return err // told only once it is known whether there is such a kind: who waits for the first list waits for that
	}
	s.feed.broke(explain(err, verb, s.feed))
	if apierrors.IsNotFound(err) || apierrors.IsResourceExpired(err) && verb == "list" {
		return err
	}
	return errors.New(err.Error())
}

// mind ends a life that has stopped to be one: a list that doesn't come, a
// watch that falls behind. When the watch is silent, it asks the API server for
// a single object: that proves the server, its store, the connection and our
// right to see.
func (f *feed) mind(ctx context.Context, end func(), in reader, began time.Time) {
	t := time.NewTicker(minding)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := f.source.now()
		seen, touched := f.ages(now)
		switch listed := f.listed(); {
		case !listed && now.Sub(began) > syncWait:
			f.broke(fmt.Sprintf("the list of %s did not come within %s", f, syncWait))
			end()
		case listed && touched > resumable:
			end() // why it could not be asked is told already
		case f.behind(now):
			f.broke(fmt.Sprintf("the watch of %s did not reach in %s what the API server had", f, mostOwed))
			end()
		case listed && seen >= silence:
			f.probe(ctx, in)
		}
	}
}

func (f *feed) probe(ctx context.Context, in reader) {
	at := f.source.now()
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	one, err := in.list(ctx, metav1.ListOptions{Limit: 1})
	if err == nil {
		var m metav1.ListInterface
		if m, err = meta.ListAccessor(one); err == nil {
			f.proved(m.GetResourceVersion(), at)
			return
		}
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		f.broke(explain(err, "list", f))
	}
}
