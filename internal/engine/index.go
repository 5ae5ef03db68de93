package engine

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// seriesKey names one episode of one series.
type seriesKey struct{ detector, series, episode string }

func keyOf(r *signalbox.Reading) seriesKey {
	return seriesKey{r.Detector, r.Series, r.Episode}
}

// subjectKey names what a detector says of one subject.
type subjectKey struct{ detector, subject string }

// index finds incidents by what they are about and by what their decision
// read.
type index struct {
	open    map[seriesKey]signalbox.IncidentID
	latest  map[subjectKey]signalbox.IncidentID // opened last, by detector and subject
	newest  map[seriesKey]time.Time             // onset of the newest episode, by detector and series
	readers map[signalbox.Key]map[signalbox.IncidentID]struct{}
	reads   map[signalbox.IncidentID][]signalbox.Key
}

func newIndex(s *signalbox.State) *index {
	x := &index{
		open: map[seriesKey]signalbox.IncidentID{}, newest: map[seriesKey]time.Time{}, latest: map[subjectKey]signalbox.IncidentID{},
		readers: map[signalbox.Key]map[signalbox.IncidentID]struct{}{}, reads: map[signalbox.IncidentID][]signalbox.Key{},
	}
	byAge := slices.SortedFunc(maps.Values(s.Incidents), func(a, b *signalbox.Incident) int {
		return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	for _, inc := range byAge {
		x.incident(inc, inc.ID)
		if inc.EndReason != overUnseen {
			x.latest[subjectKey{inc.Reading.Detector, inc.Reading.Subject}] = inc.ID // also of those that are over
		}
	}
	return x
}

// incident takes in that an incident was put.
func (x *index) incident(inc *signalbox.Incident, id signalbox.IncidentID) {
	if inc == nil {
		return
	}
	k := keyOf(&inc.Reading)
	if !inc.Closed() {
		if x.open[k] != id { // it opens
			x.latest[subjectKey{inc.Reading.Detector, inc.Reading.Subject}] = id
		}
		x.open[k] = id
	} else if x.open[k] == id {
		delete(x.open, k)
		x.read(id, nil)
	}
	series := seriesKey{detector: k.detector, series: k.series}
	if inc.OnsetAt.After(x.newest[series]) {
		x.newest[series] = inc.OnsetAt
	}
}

// forget takes in that a key was deleted.
func (x *index) forget(k signalbox.Key) {
	if id, ok := strings.CutPrefix(string(k), signalbox.IncidentPrefix); ok {
		x.read(signalbox.IncidentID(id), nil)
	}
}

// read notes what the newest decision of an incident read.
func (x *index) read(id signalbox.IncidentID, keys []signalbox.Key) {
	if slices.Equal(x.reads[id], keys) {
		return // as nearly always
	}
	for _, k := range x.reads[id] {
		if set := x.readers[k]; set != nil {
			delete(set, id)
			if len(set) == 0 {
				delete(x.readers, k)
			}
		}
	}
	if len(keys) == 0 {
		delete(x.reads, id)
		return
	}
	x.reads[id] = keys
	for _, k := range keys {
		if x.readers[k] == nil {
			x.readers[k] = map[signalbox.IncidentID]struct{}{}
		}
		x.readers[k][id] = struct{}{}
	}
}

// dueSet holds which incidents must be decided: now, or at a time. Those that
// are due now wait in lines, one for each detector, which are served in turn: a
// storm of one keeps no other waiting.
type dueSet struct {
	now   map[signalbox.IncidentID]string // the line of each
	lines map[string]map[signalbox.IncidentID]struct{}
	at    map[signalbox.IncidentID]timed
	times timeHeap
}

func newDueSet() *dueSet {
	return &dueSet{now: map[signalbox.IncidentID]string{}, lines: map[string]map[signalbox.IncidentID]struct{}{}, at: map[signalbox.IncidentID]timed{}}
}

func (d *dueSet) clear() { *d = *newDueSet() }

func (d *dueSet) add(id signalbox.IncidentID, line string) {
	if _, there := d.now[id]; there {
		return
	}
	d.now[id] = line
	if d.lines[line] == nil {
		d.lines[line] = map[signalbox.IncidentID]struct{}{}
	}
	d.lines[line][id] = struct{}{}
}

// schedule makes id due at t, instead of any time set before; zero: never.
func (d *dueSet) schedule(id signalbox.IncidentID, line string, t time.Time) {
	if t.IsZero() {
		delete(d.at, id)
		return
	}
	if old, ok := d.at[id]; ok && old.at.Equal(t) {
		return
	}
	d.at[id] = timed{t, id, line}
	heap.Push(&d.times, d.at[id])
}

// next is when something is due; false: nothing is.
func (d *dueSet) next() (time.Time, bool) {
	if len(d.now) > 0 {
		return time.Time{}, true
	}
	for len(d.times) > 0 {
		top := d.times[0]
		if set, ok := d.at[top.id]; ok && set.at.Equal(top.at) {
			return top.at, true
		}
		heap.Pop(&d.times)
	}
	return time.Time{}, false
}

// pop returns at most n incidents that are due by now.
func (d *dueSet) pop(now time.Time, n int) []signalbox.IncidentID {
	for len(d.times) > 0 && !d.times[0].at.After(now) {
		top := heap.Pop(&d.times).(timed) //nolint:forcetypeassert // the heap holds nothing else
		if set, ok := d.at[top.id]; ok && set.at.Equal(top.at) {
			delete(d.at, top.id)
			d.add(top.id, top.line)
		}
	}
	ids := make([]signalbox.IncidentID, 0, min(n, len(d.now)))
	for len(ids) < n && len(d.now) > 0 {
		share := max(1, (n-len(ids))/len(d.lines))
		for line, waiting := range d.lines {
			ids = d.take(ids, line, waiting, min(share, n-len(ids)))
		}
	}
	return ids
}

// take moves at most n of a line to ids.
func (d *dueSet) take(ids []signalbox.IncidentID, line string, waiting map[signalbox.IncidentID]struct{}, n int) []signalbox.IncidentID {
	for id := range waiting {
		if n == 0 {
			return ids
		}
		ids, n = append(ids, id), n-1
		delete(waiting, id)
		delete(d.now, id)
	}
	delete(d.lines, line)
	return ids
}

type timed struct {
	at   time.Time
	id   signalbox.IncidentID
	line string
}

type timeHeap []timed

func (h timeHeap) Len() int           { return len(h) }
func (h timeHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timeHeap) Push(x any)        { *h = append(*h, x.(timed)) } //nolint:forcetypeassert // only schedule pushes
func (h *timeHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
