package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// directPager pages straight from the configuration while there is no store.
// It remembers what it sent, so that a breach is paged once, and the incident
// that the store later gets is known to be paged.
type directPager struct {
	sent    map[string]sentPage // by dedup key
	owed    map[string]owed
	flying  string // the key of the one on its way; empty: none
	storeUp bool   // false: the pager was told that the store is away
	tokens  float64
	filled  time.Time
}

// sentPage is a direct page that was accepted.
type sentPage struct {
	owner  string
	at     time.Time
	second bool // by the second channel: the pager does not know it
}

// owed is a direct page that was not accepted yet.
type owed struct {
	owner, key string
	event      signalbox.PageEvent
	body       signalbox.PageBody
	at         time.Time // not before
}

// The rate of direct pages: a burst, then one every two seconds. What is over
// it waits; nothing is dropped.
const (
	directBurst = 20
	directRate  = 0.5
)

func newDirectPager() *directPager {
	return &directPager{sent: map[string]sentPage{}, owed: map[string]owed{}, storeUp: true, tokens: directBurst}
}

// withoutStore pages what is ill, once the store has been away for long
// enough that waiting for it is no answer.
func (l *loop) withoutStore(now time.Time) {
	gone := now.Sub(l.goneSince)
	if gone < l.e.timing.StoreGone {
		return
	}
	for _, p := range l.pending {
		if p.reading.Condition == signalbox.Breached && p.reading.Suppressed == "" {
			l.oweDirect(p.reading, l.ownerOf(&p.reading), now)
		}
	}
	if l.wasState != nil {
		l.oweUnsent(now)
		for _, inc := range l.wasState.Incidents {
			if !inc.Closed() && inc.Page == "" && inc.Reading.Condition == signalbox.Breached && inc.Reading.Suppressed == "" {
				l.oweDirect(inc.Reading, inc.Owner, now)
			}
		}
	}
	// Who starts a cluster starts one member after the other: until the last
	// has come, nothing is broken.
	patience := l.e.timing.StorePage
	if l.e.o.Forming != nil && l.e.o.Forming() {
		patience = max(patience, l.e.timing.StoreForm)
	}
	if gone >= patience && l.direct.storeUp {
		l.direct.storeUp = false
		l.direct.owed[l.storeKey()] = owed{owner: l.set().DefaultOwner, key: l.storeKey(), event: signalbox.PageTrigger, body: signalbox.PageBody{
			Summary: "signalbox on " + l.e.o.Replica + " has no store: nothing is remediated, what is ill is paged straight", Severity: "critical",
			Source: "signalbox/" + l.e.o.Replica, At: now, Thrown: l.thrownBefore(),
		}}
	}
	l.sendDirect(now)
}

// oweUnsent takes over the pages that were on record and not accepted yet; a
// second copy of one is harmless, the pager knows the key.
func (l *loop) oweUnsent(now time.Time) {
	for key, p := range l.wasState.Pages {
		_, done := l.direct.sent[key]
		if _, waits := l.direct.owed[key]; done || waits || p.Sent >= p.Want || p.Event != signalbox.PageTrigger {
			continue
		}
		l.direct.owed[key] = owed{owner: p.Owner, key: key, event: p.Event, body: p.Body, at: now}
	}
}

// settleDirect ends, in a term, what the direct pages left behind: what is
// owed is sent, and a page whose incident never came is resolved.
func (l *loop) settleDirect(now time.Time) {
	d := l.direct
	for key, s := range d.sent {
		if now.Sub(s.at) < time.Minute || len(l.pending)+len(l.inbox) > 0 {
			continue
		}
		delete(d.sent, key)
		if p := l.state.Pages[key]; p == nil || len(p.Incidents) == 0 && p.Sent == p.Want {
			d.owed[key] = owed{owner: s.owner, key: key, event: signalbox.PageResolve, body: signalbox.PageBody{
				Summary: "over before it could be recorded", Severity: "info", Source: "signalbox/" + l.e.o.Replica, At: now,
			}}
		}
	}
	if len(d.owed) > 0 {
		l.sendDirect(now)
	}
}

func (l *loop) thrownBefore() []signalbox.Thrown {
	if l.wasState == nil {
		return nil
	}
	return l.thrownNow(l.wasState, "")
}

func (l *loop) storeKey() string { return "signalbox-store-" + signalbox.KeyPart(l.e.o.Replica) }

func (l *loop) oweDirect(r signalbox.Reading, owner string, now time.Time) {
	key := signalbox.DedupKey(r)
	if _, done := l.direct.sent[key]; done {
		return
	}
	if _, waits := l.direct.owed[key]; waits {
		return
	}
	inc := &signalbox.Incident{ID: signalbox.NewIncidentID(r), Reading: r, OnsetAt: r.OnsetAt}
	l.direct.owed[key] = owed{owner: owner, key: key, event: signalbox.PageTrigger, body: signalbox.PageBody{
		Summary:  r.Subject + ": " + r.Summary + " (signalbox has no store: it does nothing but page)",
		Severity: "critical", Source: r.Subject, At: now, Evidence: []string{incidentLine(inc)}, Links: r.Links, Labels: r.Labels,
	}}
}

// sendDirect sends one owed page at a time, within the rate.
func (l *loop) sendDirect(now time.Time) {
	d := l.direct
	if !d.filled.IsZero() {
		d.tokens = min(directBurst, d.tokens+directRate*max(0, now.Sub(d.filled).Seconds()))
	}
	d.filled = now
	if d.flying != "" || d.tokens < 1 {
		return
	}
	for key, o := range d.owed {
		if now.Before(o.at) {
			continue
		}
		d.flying = key
		d.tokens--
		set := l.set()
		go func() {
			ctx := context.Background() //nolint:forbidigo // outlives every term
			second, err := sendDirect(ctx, l.e.timing.Start, set, o)
			l.e.post(ctx, func(l *loop) { l.directSent(key, o.event, second, err) })
		}()
		return
	}
}

// sendDirect sends an owed page to its owner, or by the second channel where the
// pager does not take it.
// Each has its own time: a pager that hangs leaves the second all of it.
func sendDirect(ctx context.Context, within time.Duration, set *Set, o owed) (bySecond bool, err error) {
	p := &signalbox.Page{Owner: o.owner, Key: o.key, Event: o.event, Body: o.body}
	first, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err = sendPage(first, set, p); err == nil {
		return false, nil
	}
	second := set.second(o.owner)
	if second == nil {
		return false, err
	}
	again, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if set.pager(*second).Page(again, second.Spec, o.key, o.event, o.body) == nil {
		return true, nil
	}
	return false, err
}

func (l *loop) directSent(key string, event signalbox.PageEvent, second bool, err error) {
	d, now := l.direct, l.now()
	d.flying = ""
	o, ok := d.owed[key]
	if !ok {
		return
	}
	if o.event != event { // meanwhile something else is owed under the key
		l.sendDirect(now)
		return
	}
	failure, after := (*signalbox.Failure)(nil), (*signalbox.RetryAfter)(nil)
	switch {
	case err == nil || errors.As(err, &failure):
		delete(d.owed, key)
		delete(d.sent, key)
		if event == signalbox.PageTrigger {
			d.sent[key] = sentPage{o.owner, now, second}
		}
		l.e.metrics.pages["direct"].Inc()
		l.e.o.Log.Warn("paged straight", "page", key, "owner", o.owner, "event", o.event, "error", err)
	case errors.As(err, &after):
		o.at = now.Add(after.After)
		d.owed[key] = o
	default:
		o.at = now.Add(4 * l.e.timing.Retry)
		d.owed[key] = o
		l.e.o.Log.Warn("direct page was not accepted", "page", key, "error", err)
	}
	l.sendDirect(now)
}

// storeBack ends the direct pages: what waits for the store is recorded, and a
// page about the store is resolved.
func (l *loop) storeBack() {
	l.storeWell()
	l.wasState, l.goneSince = nil, time.Time{}
	l.adoptAll()
	l.flushPending()
}

// storeWell resolves a page about the store, and owes no breach any more: its
// incident is paged by its record, here or by another replica.
func (l *loop) storeWell() {
	d := l.direct
	key := l.storeKey()
	if _, told := d.sent[key]; told || d.flying == key {
		d.owed[key] = owed{owner: l.set().DefaultOwner, key: key, event: signalbox.PageResolve, body: signalbox.PageBody{
			Summary: "the store is back", Severity: "info", Source: "signalbox/" + l.e.o.Replica, At: l.now(),
		}}
		l.sendDirect(l.now())
	} else {
		delete(d.owed, key)
	}
	d.storeUp = true
	for k, o := range d.owed {
		if o.event == signalbox.PageTrigger && d.flying != k {
			delete(d.owed, k)
		}
	}
}

// adoptAll puts on record the direct pages of incidents that were open before.
func (l *loop) adoptAll() {
	if len(l.direct.sent) == 0 {
		return
	}
	w := &write{}
	for id, inc := range l.state.Incidents {
		if inc.Closed() || inc.Page != "" || w.size() > chunk {
			continue
		}
		if _, sent := l.direct.sent[inc.DedupKey]; sent {
			l.adoptDirectPage(w, l.incident(w, id))
		}
	}
	if w.size() > 0 {
		l.commit(w)
	}
}

// adoptDirectPage records a page that was sent straight, so that it is not
// sent again and is resolved with its incident.
func (l *loop) adoptDirectPage(w *write, inc *signalbox.Incident) {
	told, sent := l.direct.sent[inc.DedupKey]
	if !sent || inc.Page != "" || slices.Contains(w.adopted, inc.DedupKey) {
		return
	}
	w.adopted = append(w.adopted, inc.DedupKey)
	p := l.page(w, inc.DedupKey)
	p.Owner, p.Why, p.Event = inc.Owner, "paged straight while there was no store", signalbox.PageTrigger
	p.Incidents, p.Want, p.At = []signalbox.IncidentID{inc.ID}, p.Want+1, told.at
	p.MadeAt, p.Detector = told.at, inc.Reading.Detector
	if told.second {
		p.Second = p.Want // the pager is owed it still
	} else {
		p.Sent, p.SentAt = p.Want, told.at
	}
	p.Body = l.body(w, p)
	inc.Page, inc.PageAfter = inc.DedupKey, p.Why
	w.entry(journal.PageSent, inc.ID, "", p.Why)
}
