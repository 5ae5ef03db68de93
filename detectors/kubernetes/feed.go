package kubernetes

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	signalbox "github.com/signalbox/signalbox"
)

// feed is the memory of one watch, and what it is worth. It is the store of a
// cache.Reflector, which calls it from one goroutine; it is guarded by its
// source's lock.
type feed struct {
	resource  resource
	namespace string // "": all
	source    *Source
	readers   []*asked

	objects map[id]*object
	synced  bool   // objects is a whole list, and what came after it
	absent  bool   // there is no such kind in the cluster, and so no objects
	trouble string // the last thing that went wrong since the watch was in order
	// seen is the moment up to which objects is known to be what is there, as
	// far as the watch is in order.
	seen    time.Time
	touched time.Time // the last sign of life; a list that took long was seen when it began
	open    bool      // the watch is
	version string    // the newest resourceVersion of the watch
	owed    debt
	began   time.Time     // when the life under way began
	heard   chan struct{} // closed when it is known for the first time how it stands
	told    bool          // heard is closed
}

// debt is a version that the API server had at a moment, and that the watch has
// to reach.
type debt struct {
	version string
	at      time.Time // zero: nothing is owed
}

func newFeed(s *Source, r resource, namespace string) *feed {
	return &feed{resource: r, namespace: namespace, source: s, objects: map[id]*object{}, heard: make(chan struct{})}
}

func (f *feed) String() string { return f.resource.place(f.namespace) }

func (f *feed) key(o *object) id { return id{f.resource.kind, o.namespace, o.name} }

// Add takes in an object that came or changed.
func (f *feed) Add(x any) error { return f.take(x, false) }

// Update is Add.
func (f *feed) Update(x any) error { return f.take(x, false) }

// Delete takes in that an object is gone.
func (f *feed) Delete(x any) error { return f.take(x, true) }

func (f *feed) take(x any, gone bool) error {
	o, ok := x.(*object)
	if !ok {
		return fmt.Errorf("got a %T", x)
	}
	now := f.source.now()
	return f.source.alter(func() (changed []signalbox.Question) {
		key := f.key(o)
		old := f.objects[key]
		next := o
		if gone {
			next = nil
			delete(f.objects, key)
		} else {
			o.known(old, now, 0)
			f.objects[key] = o
		}
		f.live(o.version, now)
		for _, a := range f.readers {
			if a.look(key, old, next) {
				changed = append(changed, a.question)
			}
		}
		return changed
	})
}

// Replace takes in a whole list: it takes the place of the memory in one step.
func (f *feed) Replace(list []any, version string) error {
	now := f.source.now()
	return f.source.alter(func() []signalbox.Question {
		gap := time.Duration(0)
		if f.synced {
			gap = max(0, f.began.Sub(f.seen))
		}
		objects := make(map[id]*object, len(list))
		for _, x := range list {
			o, ok := x.(*object)
			if !ok {
				continue // the reflector holds only what reduce made
			}
			key := f.key(o)
			o.known(f.objects[key], now, gap)
			objects[key] = o
		}
		f.objects, f.version, f.owed = objects, version, debt{}
		f.synced, f.absent, f.trouble, f.seen = true, false, "", f.began
		f.touched = now
		return f.renewed()
	})
}

// begin begins a life: what it lists is what was there now.
func (f *feed) begin() time.Time {
	now := f.source.now()
	_ = f.source.alter(func() []signalbox.Question { f.began = now; return nil })
	return now
}

// Bookmark takes in that the watch has come so far without an event.
func (f *feed) Bookmark(version string) error {
	now := f.source.now()
	return f.source.alter(func() []signalbox.Question { f.live(version, now); return nil })
}

// Resync is for stores that others read from.
func (f *feed) Resync() error { return nil }

// live notes a sign of life of the watch itself.
func (f *feed) live(version string, now time.Time) {
	f.version, f.seen, f.touched = version, now, now
	if !f.owed.at.IsZero() && reached(version, f.owed.version) {
		f.owed = debt{}
	}
}

// reached reports whether version is at least as new as target. Versions that
// can't be compared are no proof.
func reached(version, target string) bool {
	order, err := resourceversion.CompareResourceVersion(version, target)
	return err == nil && order >= 0
}

// renewed tells all readers that the memory is another.
func (f *feed) renewed() (changed []signalbox.Question) {
	f.hear()
	for _, a := range f.readers {
		a.fill()
		changed = append(changed, a.question)
	}
	return changed
}

func (f *feed) hear() {
	if !f.told {
		f.told = true
		close(f.heard)
	}
}

// nothing takes in that the cluster has no such kind, as it was at a moment.
func (f *feed) nothing(at time.Time) {
	_ = f.source.alter(func() []signalbox.Question {
		was := f.synced && f.absent
		f.objects, f.version, f.owed, f.open = map[id]*object{}, "", debt{}, false
		f.synced, f.absent, f.trouble, f.seen = true, true, "", at
		f.touched = at
		changed := f.renewed()
		if was {
			return nil
		}
		return changed
	})
}

// broke takes in what went wrong. The memory is worth what it was until it is
// stale, whatever it is: an API server that starts refuses for a moment what it
// will grant.
func (f *feed) broke(why string) {
	_ = f.source.alter(func() []signalbox.Question {
		f.hear()
		f.trouble = why
		return nil
	})
}

// opened notes that the watch is open, or closed.
func (f *feed) opened(open bool) {
	_ = f.source.alter(func() []signalbox.Question { f.open = open; return nil })
}

// proved takes in that, at a moment, the API server answered over the
// connection of the open watch, and that it had this version.
func (f *feed) proved(version string, at time.Time) {
	_ = f.source.alter(func() []signalbox.Question {
		if !f.open || !f.synced {
			return nil
		}
		if at.After(f.seen) {
			f.seen = at
		}
		if at.After(f.touched) {
			f.touched = at
		}
		if f.owed.at.IsZero() && !reached(f.version, version) {
			f.owed = debt{version, at}
		}
		f.trouble = ""
		return nil
	})
}

// behind reports whether the watch owes a version for too long: the API server
// lives, and the watch of it doesn't move.
func (f *feed) behind(now time.Time) (late bool) {
	_ = f.source.alter(func() []signalbox.Question {
		late = !f.owed.at.IsZero() && now.Sub(f.owed.at) > mostOwed
		return nil
	})
	return late
}

// ages are how long ago the memory was known to be true, and how long ago the
// watch showed a sign of life.
func (f *feed) ages(now time.Time) (seen, touched time.Duration) {
	_ = f.source.alter(func() []signalbox.Question {
		seen, touched = now.Sub(f.seen), now.Sub(f.touched)
		return nil
	})
	return seen, touched
}

// listed reports whether the life under way has come to its list.
func (f *feed) listed() (yes bool) {
	_ = f.source.alter(func() []signalbox.Question {
		yes = f.synced && !f.touched.Before(f.began)
		return nil
	})
	return yes
}

// doubt says why nothing may be read from the memory at a moment; "": it may.
// The caller holds the source's lock.
func (f *feed) doubt(at time.Time, stale time.Duration) string {
	after := ""
	if f.trouble != "" {
		after = ": " + f.trouble
	}
	switch age := at.Sub(f.seen); {
	case !f.synced:
		return fmt.Sprintf("the list of %s has not come yet%s", f, after)
	case age > stale:
		return fmt.Sprintf("the watch of %s is out of touch for %s, and at most %s is borne%s", f, age.Round(time.Second), stale, after)
	}
	return ""
}
