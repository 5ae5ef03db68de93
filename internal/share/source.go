package share

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

type here struct{}

// Here returns a context in which a shared source asks all by itself.
func Here(ctx context.Context) context.Context { return context.WithValue(ctx, here{}, true) }

// Source returns source, named as the configuration names it, with its
// questions spread over the replicas. A Watcher, which answers from the memory of its own
// connection, must not be spread.
func (s *Share) Source(name string, source signalbox.Source) signalbox.Source {
	return &shared{s: s, name: name, here: source}
}

type shared struct {
	s    *Share
	name string
	here signalbox.Source
}

// Ask implements signalbox.Source.
func (a *shared) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	links := a.s.ready()
	if len(links) == 0 || ctx.Value(here{}) != nil {
		return a.askHere(ctx, qs, at)
	}
	parts := map[*link][]int{} // places in qs; nil: here
	for _, group := range a.together(qs) {
		to := a.s.assigned(links, qs[group[0]])
		parts[to] = append(parts[to], group...)
	}
	if len(parts) == 1 {
		for to := range parts {
			return a.askAt(ctx, to, qs, at)
		}
	}
	answers := make([]signalbox.Answer, len(qs))
	var all sync.WaitGroup
	for to, places := range parts {
		all.Go(func() {
			some := make([]signalbox.Question, len(places))
			for i, at := range places {
				some[i] = qs[at]
			}
			got := a.askAt(ctx, to, some, at)
			for i, at := range places {
				if i < len(got) {
					answers[at] = got[i]
				}
			}
		})
	}
	all.Wait()
	return answers
}

// together are the places of the questions that one replica asks, since they go
// in one request.
func (a *shared) together(qs []signalbox.Question) [][]int {
	if j, ok := a.here.(signalbox.Joiner); ok {
		return j.Together(qs)
	}
	groups := make([][]int, len(qs))
	for i := range qs {
		groups[i] = []int{i}
	}
	return groups
}

// askAt has questions asked by the replica to which they are assigned, or here
// when it does not answer.
func (a *shared) askAt(ctx context.Context, to *link, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	if to == nil {
		return a.askHere(ctx, qs, at)
	}
	answers, err := to.ask(ctx, a.name, qs, at)
	if err == nil {
		a.s.metrics.questions.WithLabelValues(to.to.Replica).Add(float64(len(qs)))
		return answers
	}
	if ctx.Err() == nil {
		a.s.o.Log.Debug("asked here, since another did not answer", "replica", to.to.Replica, "source", a.name, "error", err)
		a.s.metrics.instead.Add(float64(len(qs)))
	}
	return a.askHere(ctx, qs, at)
}

func (a *shared) askHere(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := a.here.Ask(ctx, qs, at)
	a.s.metrics.questions.WithLabelValues(a.s.o.Replica).Add(float64(len(qs)))
	if c, ok := a.here.(signalbox.Clock); ok {
		if skew, known := c.Skew(); known {
			a.s.own.saw(a.name, skew, a.s.o.Now())
		}
	}
	return answers
}

// Skew implements signalbox.Clock: of what those who asked the source lately saw,
// what is furthest off.
func (a *shared) Skew() (time.Duration, bool) {
	now := a.s.o.Now()
	worst, known := a.s.own.of(a.name, now)
	for _, l := range a.s.ready() {
		if skew, ok := l.clocks.of(a.name, now); ok && (!known || skew.Abs() > worst.Abs()) {
			worst, known = skew, true
		}
	}
	return worst, known
}

// assigned is by whom a question is asked: of this replica and those that are
// connected, the one whose name mixes highest with it; nil is this one.
func (s *Share) assigned(links []*link, q signalbox.Question) *link {
	var to *link
	most := weight(s.o.Replica, q)
	for _, l := range links {
		if w := weight(l.to.Replica, q); w > most || w == most && to != nil && l.to.Replica > to.to.Replica {
			to, most = l, w
		}
	}
	return to
}

// weight mixes a replica with a question. Where a stream's question begins is no
// part of it: that moves each round.
func weight(replica string, q signalbox.Question) uint64 {
	h := fnv.New64a()
	for _, part := range []string{replica, q.Source, q.Query} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	// FNV's high bits hardly know its last bytes; this spreads them (the end of MurmurHash3).
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// fresh is how long what was seen of a clock counts.
const fresh = 2 * time.Minute

// clocks are how far sources' clocks are ahead of ours, as somebody saw it last.
type clocks struct {
	mu   sync.Mutex
	seen map[string]seenClock
}

type seenClock struct {
	skew time.Duration
	at   time.Time
}

func (c *clocks) saw(source string, skew time.Duration, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]seenClock{}
	}
	c.seen[source] = seenClock{skew, at}
}

func (c *clocks) of(source string, now time.Time) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, ok := c.seen[source]
	if !ok || now.Sub(was.at).Abs() > fresh {
		return 0, false
	}
	return was.skew, true
}
