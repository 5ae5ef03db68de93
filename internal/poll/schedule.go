package poll

import (
	"container/heap"
	"time"
)

// due is when an entry is asked for next.
type due struct {
	at    time.Time
	entry *entry
}

type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// idle is how long the schedule sleeps when nothing is due.
const idle = time.Hour

// batch is what is asked of one source at once: detectors of one group
// with one deadline.
type batch struct {
	source  *source
	entries []*entry
	due     []time.Time // when each entry was; nil: beside the schedule
	bound   time.Duration
}

type batchKey struct {
	source *source
	group  string
	bound  time.Duration
}

// take removes what is due, puts each back for its next round, and says how
// long it is until the next is due. An entry whose round is still under way is
// passed over: that round ends by its own deadline.
func (p *Poller) take() (batches []batch, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.o.Now()
	index := map[batchKey]int{}
	for len(p.due) > 0 && !p.due[0].at.After(now) {
		d := &p.due[0]
		e, was := d.entry, d.at
		e.mu.Lock()
		def, busy := e.def, e.running
		e.running = true
		e.mu.Unlock()
		// Rounds that were slept through are not made up for.
		if d.at = d.at.Add(def.Interval); !d.at.After(now) {
			d.at = e.next(def.Interval, now)
		}
		heap.Fix(&p.due, 0)
		if busy {
			p.metrics.round(def.Source, resultLate)
			continue
		}
		key := batchKey{p.sources[def.Source], def.Group, def.bound()}
		i, ok := index[key]
		if !ok {
			i = len(batches)
			index[key] = i
			batches = append(batches, batch{source: key.source, bound: key.bound})
		}
		batches[i].entries, batches[i].due = append(batches[i].entries, e), append(batches[i].due, was)
	}
	if len(p.due) == 0 {
		return batches, idle
	}
	return batches, min(idle, max(0, p.due[0].at.Sub(now)))
}

// bound is the deadline of a round: it ends before the next one is due.
func (d Detector) bound() time.Duration {
	bound := d.Interval * 9 / 10
	if d.Timeout > 0 {
		bound = min(bound, d.Timeout)
	}
	return bound
}
