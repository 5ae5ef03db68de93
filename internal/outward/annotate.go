package outward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/store"
)

// Records is where the records of actions and incidents are: a part of
// store.Store.
type Records interface {
	List(ctx context.Context, prefix string) ([]store.KV, store.Revision, error)
	Get(ctx context.Context, key string) (kv store.KV, ok bool, err error)
	Watch(ctx context.Context, prefix string, from store.Revision) (<-chan store.Batch, error)
}

// AnnotationOptions is what Annotations are made of; all fields are needed.
type AnnotationOptions struct {
	Records Records
	To      map[string]kind.Annotator // by source
	Leads   func() bool               // whether this process leads now
	Log     *slog.Logger
	Metrics *Metrics
}

// annotating bounds one call of an annotator.
const annotating = 15 * time.Second

// Annotations tells the states of actions to annotators.
type Annotations struct {
	o     AnnotationOptions
	queue *notes
}

// NewAnnotations returns Annotations that have told nothing yet.
func NewAnnotations(o AnnotationOptions) *Annotations {
	o.Log = o.Log.With("component", "annotations")
	return &Annotations{o: o, queue: newNotes(o.Metrics)}
}

// Run follows the records of actions, and tells them, until ctx ends.
func (a *Annotations) Run(ctx context.Context) {
	telling := make(chan struct{})
	go func() {
		defer close(telling)
		a.tell(ctx)
	}()
	a.follow(ctx)
	<-telling
}

// follow queues actions while this process leads.
func (a *Annotations) follow(ctx context.Context) {
	pause := time.Duration(0)
	for sleep(ctx, pause) {
		if !a.o.Leads() {
			a.queue.clear()
			pause = every
			continue
		}
		err := a.term(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			pause = min(max(2*pause, firstPause), lastPause)
			a.o.Metrics.noteErrors.Inc()
			a.o.Log.Warn("actions can't be followed", "error", err, "again_in", pause)
		default:
			pause = every
		}
	}
}

// term lists all actions and then follows their changes, until this process
// leads no more or the watch breaks.
func (a *Annotations) term(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kvs, rev, err := a.o.Records.List(ctx, signalbox.ActionPrefix)
	if err != nil {
		return err
	}
	events := make([]store.Event, len(kvs))
	for i, kv := range kvs {
		events[i] = store.Event{KV: kv}
	}
	if err := a.take(events); err != nil {
		return err
	}
	changes, err := a.o.Records.Watch(ctx, signalbox.ActionPrefix, rev)
	if err != nil {
		return err
	}
	look := time.NewTicker(every)
	defer look.Stop()
	for {
		select {
		case b, ok := <-changes:
			if !ok || b.Err != nil {
				return errors.Join(errors.New("the watch broke"), b.Err)
			}
			if err := a.take(b.Events); err != nil {
				return err
			}
		case <-look.C:
			if !a.o.Leads() {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take queues what events say of actions.
func (a *Annotations) take(events []store.Event) error {
	for _, ev := range events {
		if ev.Deleted {
			a.queue.forget(ev.Key)
			continue
		}
		s := signalbox.NewState()
		if _, err := journal.ApplyEvents(s, []store.Event{ev}); err != nil {
			return err
		}
		for _, action := range s.Actions {
			a.queue.add(ev.Key, action, ev.Mod)
		}
	}
	return nil
}

// tell tells what is queued, one at a time.
func (a *Annotations) tell(ctx context.Context) {
	for {
		n, ok := a.queue.next(ctx)
		if !ok {
			return
		}
		err := a.annotate(ctx, n.action)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			a.o.Metrics.noteErrors.Inc()
			a.o.Log.Warn("annotation", "action", n.action.ID, "error", err, "attempt", n.attempts+1)
		}
		if a.queue.done(n, err) {
			a.o.Log.Error("an action is not annotated: it failed for too long", "action", n.action.ID)
		}
	}
}

// annotate tells one action to every annotator. An action whose incident is
// gone has no detector any more, and no dashboard.
func (a *Annotations) annotate(ctx context.Context, action *signalbox.Action) error {
	ctx, cancel := context.WithTimeout(ctx, annotating)
	defer cancel()
	inc, err := a.incident(ctx, action.Incident)
	if err != nil || inc == nil {
		return err
	}
	note := annotation(action, inc)
	var errs []error
	for _, source := range slices.Sorted(maps.Keys(a.o.To)) {
		if err := a.o.To[source].Annotate(ctx, note); err != nil {
			errs = append(errs, fmt.Errorf("source %s: %w", source, err))
		}
	}
	return errors.Join(errs...)
}

func (a *Annotations) incident(ctx context.Context, id signalbox.IncidentID) (*signalbox.Incident, error) {
	kv, ok, err := a.o.Records.Get(ctx, string(signalbox.IncidentKey(id)))
	if err != nil || !ok {
		return nil, err
	}
	s := signalbox.NewState()
	if _, err := journal.ApplyEvents(s, []store.Event{{KV: kv}}); err != nil {
		return nil, err
	}
	return s.Incidents[id], nil
}

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
