package engine

import (
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// admit brings one durable reading to its incident. It is idempotent, and late
// or doubled deliveries change nothing.
func (l *loop) admit(w *write, r signalbox.Reading) {
	if r.Series == "" && r.Condition == signalbox.Unknown {
		return // of no series: the source's own incident tells it
	}
	id, open := l.openIncident(w, keyOf(&r))
	switch {
	case open:
		l.continued(w, id, r)
	case r.Condition == signalbox.Breached:
		l.opened(w, r)
	case r.Condition == signalbox.Clear && r.Episode != "":
		l.resolvedUnseen(w, r)
	}
}

func (l *loop) openIncident(w *write, k seriesKey) (signalbox.IncidentID, bool) {
	if id, ok := w.opened[k]; ok {
		return id, true
	}
	id, ok := l.index.open[k]
	if inc := w.incs[id]; ok && inc != nil && inc.Closed() {
		return "", false
	}
	return id, ok
}

// opened makes the incident of a breach, unless the message is a late copy.
func (l *loop) opened(w *write, r signalbox.Reading) {
	id := signalbox.NewIncidentID(r)
	if old := l.known(w, id); old != nil {
		if !r.Confirmed || !r.At.After(old.ClosedAt) {
			return // it has ended already: a late or doubled delivery
		}
		// The source shows it present after its end: it is ill again, under
		// the same onset.
		again := r
		again.Episode += "+" + old.ClosedAt.UTC().Format(time.RFC3339Nano)
		if id = signalbox.NewIncidentID(again); l.known(w, id) != nil {
			return
		}
	}
	newest := l.index.newest[seriesKey{detector: r.Detector, series: r.Series}]
	if r.Episode != "" && !r.Confirmed && r.OnsetAt.Before(newest) {
		return // an older episode, delivered after a newer one
	}
	l.touch(l.facts.Put(&r))
	inc := l.incident(w, id)
	*inc = signalbox.Incident{
		ID: id, DedupKey: signalbox.DedupKey(r), Reading: r, Owner: l.ownerOf(&r),
		OnsetAt: r.OnsetAt, OpenedAt: l.now(), WellAt: r.WellAt,
	}
	inc.Recent = l.recent(w, &r)
	if w.opened != nil {
		w.opened[keyOf(&r)] = id
	}
	l.adoptDirectPage(w, inc)
	l.wantLook(inc)
	w.entry(journal.IncidentOpened, id, "", map[string]any{"says": r.Summary, "value": r.Value, "threshold": r.Threshold})
	l.e.metrics.opened.Inc()
	l.e.o.Log.Info("incident opened", "incident", id, "detector", r.Detector, "subject", r.Subject, "owner", inc.Owner, "says", r.Summary)
}

// The least that an incident remembers of the openings before it, whatever
// `flapping` needs.
const (
	recentFor  = 24 * time.Hour
	recentMost = 32
)

// recent are the openings of earlier incidents of a detector on a subject, as
// far as the one before it is remembered, since a person last released one.
func (l *loop) recent(w *write, r *signalbox.Reading) []time.Time {
	k := subjectKey{r.Detector, r.Subject}
	before := l.known(w, l.index.latest[k])
	if before == nil {
		return nil
	}
	all := append(slices.Clone(before.Recent), before.OpenedAt)
	now, flapping := l.now(), l.set().Handbook.Flapping()
	kept := max(recentFor, flapping.Window)
	all = slices.DeleteFunc(all, func(at time.Time) bool { return now.Sub(at) > kept || !at.After(before.ReleasedAt) })
	return all[max(0, len(all)-max(recentMost, flapping.Stop)):]
}

func (l *loop) known(w *write, id signalbox.IncidentID) *signalbox.Incident {
	if inc := w.incs[id]; inc != nil {
		return inc
	}
	return l.state.Incidents[id]
}

// overUnseen is why an incident ended whose begin never came. It never opened.
const overUnseen = "over before it was seen"

// resolvedUnseen remembers the end of an episode whose begin never came, so
// that a late firing message of it opens nothing.
func (l *loop) resolvedUnseen(w *write, r signalbox.Reading) {
	id := signalbox.NewIncidentID(r)
	if l.known(w, id) != nil {
		return
	}
	inc := l.incident(w, id)
	*inc = signalbox.Incident{
		ID: id, DedupKey: signalbox.DedupKey(r), Reading: r, Owner: l.ownerOf(&r), OnsetAt: r.OnsetAt, OpenedAt: l.now(),
		ClosedAt: l.now(), ClearAt: r.At, End: signalbox.Suppressed, EndReason: overUnseen,
	}
	w.entry(journal.IncidentClosed, id, "", inc.EndReason)
}

// continued takes a further reading of an open incident in.
func (l *loop) continued(w *write, id signalbox.IncidentID, r signalbox.Reading) {
	old := l.known(w, id)
	late := r.Episode != "" && r.At.Before(old.Reading.At) // what is polled comes in order, also when the clock went back
	if late || r.Episode != "" && r.Condition == signalbox.Breached && old.Reading.Condition == signalbox.Clear && !r.Confirmed {
		return // an alert's end stands until the source itself shows it present
	}
	l.touch(l.facts.Put(&r))
	items, beyond := withItems(old.Reading.Items, r.Items)
	r.Unlisted = max(r.Unlisted, old.Reading.Unlisted, beyond)
	more := len(items) > len(old.Reading.Items) || r.Unlisted > old.Reading.Unlisted
	if old.Reading.Condition == r.Condition && old.Reading.Suppressed == r.Suppressed && !more {
		return
	}
	r.Items = items
	inc := l.incident(w, id)
	r.Owner = old.Reading.Owner
	inc.Reading = r
	inc.ClearAt, inc.UnknownAt = time.Time{}, time.Time{}
	switch r.Condition {
	case signalbox.Clear:
		inc.ClearAt = r.At
	case signalbox.Unknown:
		inc.UnknownAt = r.At
	case signalbox.Breached:
	}
	w.entry(journal.IncidentChanged, id, "", map[string]any{"condition": r.Condition, "suppressed": r.Suppressed, "says": r.Summary})
	l.e.o.Log.Info("incident changed", "incident", id, "subject", r.Subject, "condition", r.Condition, "says", r.Summary)
}

// maxItems bounds, in bytes, the items of one incident: it must fit into a
// record of the store.
const maxItems = journal.MaxReading / 2

// withItems adds to the items of an incident those that are new: they only ever
// become more, also where the series was well in between and its detector lists
// anew. beyond counts those that do not fit.
func withItems(old, found []string) (items []string, beyond int) {
	if len(found) == 0 {
		return old, 0
	}
	known, size := make(map[string]bool, len(old)), 0
	for _, it := range old {
		known[it] = true
		size += len(it)
	}
	items = slices.Clip(old)
	for _, it := range found {
		switch {
		case known[it]:
			continue
		case size+len(it) <= maxItems:
			size += len(it)
			items = append(items, it)
		default:
			beyond++
		}
		known[it] = true
	}
	return items, beyond
}

// ownerOf is who is paged for a reading.
func (l *loop) ownerOf(r *signalbox.Reading) string {
	set := l.set()
	for _, owner := range []string{r.Owner, set.Detectors[r.Detector].Owner, set.Handbook.OwnerOf(r)} {
		if _, ok := set.Owners[owner]; ok {
			return owner
		}
	}
	return set.DefaultOwner
}
