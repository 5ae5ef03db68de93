package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

// Observe takes in one round of a polled detector: readings are facts, edges
// become durable. It does not wait for the store.
func (e *Engine) Observe(ctx context.Context, detector string, at time.Time, good bool, readings, edges []signalbox.Reading) {
	e.post(ctx, func(l *loop) {
		if l.standing {
			return // a round that was under way when another began to lead
		}
		if !l.warm {
			l.seen[detector] = true
			l.warmUp()
		}
		if good && at.After(l.good[detector]) {
			l.good[detector] = at
		}
		l.present(detector, readings)
		if len(edges) > 0 {
			l.hold(edges, false)
			l.flushPending()
		}
	})
}

// present takes a round in: it is the detector's whole present state, so that
// what it does not name is forgotten.
func (l *loop) present(detector string, readings []signalbox.Reading) {
	there := make(map[string]bool, len(readings))
	for i := range readings {
		there[readings[i].Series] = true
		l.touch(l.facts.Replace(&readings[i]))
	}
	for _, k := range l.facts.Keep(detector, there) {
		l.touch(k)
	}
	l.touch(signalbox.DetectorKey(detector))
}

// Receive makes a webhook's readings durable before it returns nil. After an
// error nothing may be acknowledged; what is ill is paged straight when the
// store stays away.
func (e *Engine) Receive(ctx context.Context, b signalbox.Batch) error {
	if b.Incomplete != "" {
		return fmt.Errorf("incomplete: %s", b.Incomplete)
	}
	_, err := e.o.Journal.PutInbox(ctx, b)
	if err != nil {
		e.metrics.refused.Add(float64(len(b.Readings)))
		e.post(context.WithoutCancel(ctx), func(l *loop) { l.hold(b.Readings, true) })
		return err
	}
	e.metrics.received.Add(float64(len(b.Readings)))
	return nil
}

// Reconcile compares the present state of a source with the incidents: what was
// lost on the way is recorded and, when the state is whole (Synced), what is
// gone is clear.
func (e *Engine) Reconcile(ctx context.Context, b signalbox.Batch) error {
	if b.Incomplete != "" {
		return fmt.Errorf("incomplete: %s", b.Incomplete)
	}
	return e.call(ctx, func(l *loop) {
		if l.auth == nil {
			return
		}
		if edges := l.differences(b); len(edges) > 0 {
			l.hold(edges, false)
			l.flushPending()
		}
	})
}

// differences returns the readings of a whole state that say something new.
func (l *loop) differences(b signalbox.Batch) []signalbox.Reading {
	var edges []signalbox.Reading
	there := map[seriesKey]bool{}
	for _, r := range b.Readings {
		l.touch(l.facts.Put(&r))
		there[keyOf(&r)] = true
		inc := l.state.Incidents[l.index.open[keyOf(&r)]]
		switch {
		case inc == nil && r.Condition == signalbox.Breached,
			inc != nil && (inc.Reading.Condition != r.Condition || inc.Reading.Suppressed != r.Suppressed):
			edges = append(edges, r)
		}
	}
	if !b.Synced {
		return edges
	}
	for k, id := range l.index.open {
		inc := l.state.Incidents[id]
		d, known := l.set().Detectors[k.detector]
		if there[k] || inc == nil || !known || d.Source != b.Source || d.Polled || inc.Reading.At.After(b.At) ||
			inc.Reading.Condition == signalbox.Clear {
			continue
		}
		gone := inc.Reading
		gone.Condition, gone.At, gone.SampleAt, gone.EndedAt, gone.Confirmed = signalbox.Clear, b.At, b.At, b.At, true
		gone.Summary = "no longer at its source"
		l.touch(l.facts.Put(&gone))
		edges = append(edges, gone)
	}
	return edges
}

// waiting is a reading that could not be recorded yet.
type waiting struct {
	reading signalbox.Reading
	since   time.Time
	refused bool // of a webhook that got no 2xx
}

// maxWaiting bounds what is kept for the store's return.
const maxWaiting = 20_000

func (l *loop) hold(rs []signalbox.Reading, refused bool) {
	for _, r := range rs {
		if len(l.pending) >= maxWaiting {
			l.e.metrics.dropped.Inc()
			continue
		}
		l.pending = append(l.pending, waiting{r, l.now(), refused})
	}
}

// flushPending records what waits, in its order.
func (l *loop) flushPending() {
	if len(l.pending) == 0 || l.auth == nil {
		return
	}
	b := signalbox.Batch{Source: "edges", At: l.now()}
	for _, p := range l.pending {
		b.Readings = append(b.Readings, p.reading)
	}
	_, err := l.e.o.Journal.PutInbox(l.auth.ctx, b)
	if errors.Is(err, journal.ErrTooLarge) {
		b.Readings = l.cutDown(b.Readings)
		_, err = l.e.o.Journal.PutInbox(l.auth.ctx, b)
	}
	if err != nil {
		l.fail(fmt.Errorf("record edges: %w", err))
		return
	}
	l.pending = nil
}

// cutDown leaves out of readings that can't be recorded as they are what only
// explains them.
func (l *loop) cutDown(rs []signalbox.Reading) []signalbox.Reading {
	for i := range rs {
		size := len(rs[i].Summary)
		for k, v := range rs[i].Labels {
			size += len(k) + len(v)
		}
		for _, link := range rs[i].Links {
			size += len(link.Text) + len(link.Href)
		}
		if size < journal.MaxReading/8 {
			continue
		}
		l.e.o.Log.Error("a reading is too large: its labels, links and summary are not recorded", "detector", rs[i].Detector, "subject", rs[i].Subject, "bytes", size)
		rs[i].Labels, rs[i].Links, rs[i].Summary = nil, nil, "too large to be recorded whole"
	}
	return rs
}

// inboxItem is one durable record of the inbox; next is its first reading that
// is not yet in an incident.
type inboxItem struct {
	key   string
	batch signalbox.Batch
	next  int
}

// unpack lists the inbox at the begin of a term.
func (l *loop) unpack() {
	l.inbox, l.taken = nil, map[string]bool{}
	kvs, _, err := l.e.o.Store.List(l.auth.ctx, journal.InboxPrefix)
	if err != nil {
		l.fail(fmt.Errorf("list the inbox: %w", err))
		return
	}
	for _, kv := range kvs {
		l.take(kv)
	}
}

// take queues an inbox record. One that can't be read is set aside, loudly: it
// was acknowledged, so it is never just dropped.
func (l *loop) take(kv store.KV) {
	if l.taken[kv.Key] {
		return
	}
	b, err := journal.DecodeInbox(kv)
	if err != nil {
		l.e.o.Log.Error("inbox record can't be read; it stays", "key", kv.Key, "error", err)
		l.e.metrics.loopFailed("inbox")
		return
	}
	l.taken[kv.Key] = true
	l.inbox = append(l.inbox, inboxItem{key: kv.Key, batch: b})
}

// chunk is how many records one transaction puts at the most: half of what a
// store takes, since each may bring others.
const chunk = store.MaxOps / 2

// consume turns inbox records into incidents, several records or a part of one
// in each transaction. What is too large for one transaction is halved.
func (l *loop) consume() {
	limit := chunk
	for len(l.inbox) > 0 && l.auth != nil {
		w, taken, next := l.gather(limit)
		err := l.tryCommit(w)
		switch {
		case err == nil:
			for _, it := range l.inbox[:taken] {
				delete(l.taken, it.key)
			}
			l.inbox = l.inbox[taken:]
			if len(l.inbox) > 0 {
				l.inbox[0].next = next
			}
			limit = chunk
			l.e.metrics.loopDone("inbox", l.now())
		case errors.Is(err, journal.ErrTooLarge) && limit > 1:
			limit /= 2
		default:
			l.fail(fmt.Errorf("take the inbox in: %w", err))
		}
	}
}

// gather makes the write of the next readings of the inbox, with at most limit
// changes: how many records it takes whole, and where in the one after it
// stops.
func (l *loop) gather(limit int) (w *write, taken, next int) {
	w = &write{opened: map[seriesKey]signalbox.IncidentID{}}
	for i := range l.inbox {
		it := &l.inbox[i]
		next = it.next
		for next < len(it.batch.Readings) && w.size()+len(w.inbox) < limit {
			l.admit(w, it.batch.Readings[next])
			next++
		}
		if next < len(it.batch.Readings) {
			return w, taken, next
		}
		for _, word := range it.batch.Words {
			l.said(w, word)
		}
		if heard := l.set().Heard; heard != nil && !it.batch.Heard.IsZero() {
			heard(it.batch.Source, it.batch.Heard)
		}
		w.inbox = append(w.inbox, it.key)
		taken, next = taken+1, 0
		if w.size()+len(w.inbox) >= limit {
			break
		}
	}
	if taken < len(l.inbox) {
		next = l.inbox[taken].next
	}
	return w, taken, next
}
