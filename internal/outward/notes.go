package outward

import (
	"context"
	"errors"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// The bounds of what waits to be annotated, and of how long it is tried: about
// an hour and a quarter.
const (
	maxNotes       = 1000
	maxAttempts    = 20
	firstNotePause = 5 * time.Second
	lastNotePause  = 5 * time.Minute
)

// note is the newest state of one action.
type note struct {
	key      string
	action   *signalbox.Action
	rev      store.Revision
	attempts int
	resting  bool // until its pause is over
}

// notes is the queue of annotations: each action once, in the order in which
// they came, with its newest state. It is safe for concurrent use, and nobody
// waits for room in it.
type notes struct {
	metrics *Metrics
	wake    chan struct{}

	mu    sync.Mutex
	order []*note
	told  map[string]store.Revision // of each action that is there: the state that was told, or given up
}

func newNotes(m *Metrics) *notes {
	return &notes{metrics: m, wake: make(chan struct{}, 1), told: map[string]store.Revision{}}
}

func (q *notes) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// add queues a state of an action, instead of the one that waits.
func (q *notes) add(key string, a *signalbox.Action, rev store.Revision) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.told[key] >= rev {
		return
	}
	defer q.signal()
	for i, n := range q.order {
		if n.key == key {
			q.order[i] = &note{key: key, action: a, rev: rev}
			return
		}
	}
	if len(q.order) >= maxNotes {
		q.metrics.notTold.Inc()
		q.told[q.order[0].key] = q.order[0].rev
		q.order = q.order[1:]
	}
	q.order = append(q.order, &note{key: key, action: a, rev: rev})
	q.count()
}

func (q *notes) count() { q.metrics.annotations.Set(float64(len(q.order))) }

// forget drops what is known of an action whose record is gone. Its incident
// goes with it, so that what still waits finds no dashboard.
func (q *notes) forget(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.told, key)
}

// clear forgets everything: another replica tells now.
func (q *notes) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.order, q.told = nil, map[string]store.Revision{}
	q.count()
}

// next waits for something to tell; it stays in the queue until done. False:
// ctx has ended.
func (q *notes) next(ctx context.Context) (note, bool) {
	for {
		if n, ok := q.first(); ok {
			return n, ctx.Err() == nil
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return note{}, false
		}
	}
}

func (q *notes) first() (note, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range q.order {
		if !n.resting {
			return *n, true
		}
	}
	return note{}, false
}

// done takes a note out that was told, or lets it rest after an error. It
// reports whether it was given up.
func (q *notes) done(was note, err error) (gaveUp bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := -1
	for i, n := range q.order {
		if n.key == was.key && n.rev == was.rev {
			at = i
		}
	}
	if err == nil {
		q.metrics.annotated.Inc()
	}
	if at < 0 {
		return false // a newer state waits, or another replica leads
	}
	n := q.order[at]
	if n.attempts++; err != nil && n.attempts < maxAttempts {
		n.resting = true
		time.AfterFunc(rest(n.attempts, err), func() {
			q.mu.Lock()
			n.resting = false
			q.mu.Unlock()
			q.signal()
		})
		return false
	}
	if err != nil {
		q.metrics.notTold.Inc()
	}
	q.order = append(q.order[:at:at], q.order[at+1:]...)
	q.told[was.key] = was.rev
	q.count()
	return err != nil
}

// rest is the pause after so many attempts, or what the server asks for.
func rest(attempts int, err error) time.Duration {
	pause := min(firstNotePause<<min(attempts-1, 10), lastNotePause)
	if r, ok := errors.AsType[*signalbox.RetryAfter](err); ok {
		pause = max(pause, min(r.After, time.Hour))
	}
	return pause
}
