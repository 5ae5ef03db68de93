package poll

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/track"
)

// roundsAtOnce bounds the rounds of one source under way. A source bounds its
// own requests too; this bounds what waits when it hangs.
const roundsAtOnce = 32

// maxGrace is how long after its deadline a source may still answer.
const maxGrace = 250 * time.Millisecond

// scheduled is one batch of the schedule.
func (p *Poller) scheduled(ctx context.Context, b batch) {
	defer func() {
		for _, e := range b.entries {
			e.mu.Lock()
			e.running = false
			e.mu.Unlock()
		}
	}()
	p.round(ctx, b)
}

// AskNow asks the named detectors' questions at once, beside the schedule, and
// returns when their readings were emitted. Names that are not polled are
// passed over. When ctx reaches its deadline what was not answered is Unknown,
// and is emitted so; when it is cancelled nothing is emitted for it.
func (p *Poller) AskNow(ctx context.Context, detectors ...string) error {
	var rounds sync.WaitGroup
	for _, b := range p.gather(detectors) {
		rounds.Go(func() { p.round(ctx, b) })
	}
	rounds.Wait()
	return ctx.Err()
}

// gather groups named detectors by their source, and by group. The shortest
// bound holds for all of one, since one person waits for all of them.
func (p *Poller) gather(names []string) []batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	var batches []batch
	index, seen := map[batchKey]int{}, map[*entry]bool{}
	for _, name := range names {
		e := p.detectors[name]
		if e == nil || seen[e] {
			continue
		}
		seen[e] = true
		e.mu.Lock()
		key, bound := batchKey{source: p.sources[e.def.Source], group: e.def.Group}, e.def.bound()
		e.mu.Unlock()
		i, ok := index[key]
		if !ok {
			i = len(batches)
			index[key] = i
			batches = append(batches, batch{source: key.source, bound: bound})
		}
		batches[i].bound = min(batches[i].bound, bound)
		batches[i].entries = append(batches[i].entries, e)
	}
	return batches
}

// asking is one entry's part of a round under way: its definition then, and
// which round of it this is.
type asking struct {
	entry *entry
	def   Detector
	turn  uint64
	since time.Time // how far a stream had been read
	asks  []signalbox.Question
}

// round asks all that a batch wants to know, once, and tells what came of it.
func (p *Poller) round(ctx context.Context, b batch) {
	started := p.o.Now()
	parts := make([]asking, len(b.entries))
	index := map[signalbox.Question]int{}
	var qs []signalbox.Question
	for i, e := range b.entries {
		parts[i] = e.begin()
		for _, q := range parts[i].asks {
			if _, there := index[q]; !there {
				index[q] = len(qs)
				qs = append(qs, q)
			}
		}
	}
	answers := p.ask(ctx, b, parts[0].def.Asks, qs, started)
	if errors.Is(ctx.Err(), context.Canceled) {
		return // nobody wants to know any more; it says nothing about the source
	}
	p.metrics.asked(b.source.name, len(qs), p.o.Now().Sub(started))
	for at, part := range parts {
		given := make([]signalbox.Answer, len(part.asks))
		for i, q := range part.asks {
			given[i] = answers[index[q]]
		}
		p.tell(b.source, part, given, started)
		if b.due != nil {
			p.metrics.late(b.source.name, p.o.Now().Sub(b.due[at]))
		}
	}
	p.tellSource(b.source)
}

func (e *entry) begin() asking {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked++
	a := asking{entry: e, def: e.def, turn: e.asked, since: e.good}
	if !e.durable.IsZero() {
		a.since = e.durable
	}
	if f, ok := e.def.Detector.(signalbox.Follower); ok {
		a.asks = f.QuestionsSince(a.since)
	} else {
		a.asks = e.def.Detector.Questions()
	}
	return a
}

// readOn notes that a stream was read from since.
func (e *entry) readOn(since time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !since.After(e.durable) {
		e.durable = time.Time{}
	}
}

// ask returns an answer to each question within the batch's bound, also when
// the source does not heed its context: then the call is left behind, and
// holds its place until it returns.
func (p *Poller) ask(ctx context.Context, b batch, asks signalbox.Source, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	ctx, cancel := context.WithTimeout(ctx, b.bound)
	select {
	case b.source.slots <- struct{}{}:
	case <-ctx.Done():
		defer cancel()
		return unanswered(qs, at, fmt.Errorf("%d rounds of its source are under way: %w", roundsAtOnce, ctx.Err()))
	}
	done := make(chan []signalbox.Answer, 1)
	go func() {
		defer cancel()
		defer func() { <-b.source.slots }()
		done <- asks.Ask(ctx, qs, at)
	}()
	select {
	case answers := <-done:
		return whole(answers, qs, at)
	case <-ctx.Done():
	}
	// A source that heeds its context answers now, and its answers say more.
	grace := time.NewTimer(min(b.bound/20, maxGrace))
	defer grace.Stop()
	select {
	case answers := <-done:
		return whole(answers, qs, at)
	case <-grace.C:
		return unanswered(qs, at, fmt.Errorf("no answer within %s", b.bound))
	}
}

// whole holds a source to its promise of one answer a question, in order.
func whole(answers []signalbox.Answer, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	if len(answers) != len(qs) {
		return unanswered(qs, at, fmt.Errorf("%d answers came to %d questions", len(answers), len(qs)))
	}
	for i := range answers {
		if answers[i].Question != qs[i] {
			answers[i] = signalbox.Answer{Question: qs[i], At: at, Err: errors.New("the answer is to another question")}
		}
	}
	return answers
}

func unanswered(qs []signalbox.Question, at time.Time, err error) []signalbox.Answer {
	out := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		out[i] = signalbox.Answer{Question: q, At: at, Err: err}
	}
	return out
}

// tell judges the answers for one detector, and emits the round, unless a newer
// one was told before or the detector has another definition by now.
func (p *Poller) tell(src *source, a asking, answers []signalbox.Answer, at time.Time) {
	e := a.entry
	e.turn.Lock()
	defer e.turn.Unlock()
	if e.gone || a.turn < e.told {
		return
	}
	e.told = a.turn
	judged := a.def.Detector.Judge(answers, e.tracker.Last(), at)
	if why := src.distrust(at); why != "" {
		judged = disbelieve(judged, why)
	}
	readings, edges := e.tracker.Step(judged, at)
	e.knows()
	if track.IsGood(readings) {
		e.readOn(a.since)
	}
	r := Round{Detector: a.def.Name, At: at, Readings: readings, Edges: edges, Good: track.IsGood(readings)}
	src.took(a.def, r)
	p.metrics.delays(a.def.Source, readings)
	if r.Good {
		p.metrics.good(a.def.Source, at)
	} else {
		p.metrics.round(a.def.Source, resultUnknown)
		p.o.Log.Debug("a round was unknown", "detector", a.def.Name, "source", a.def.Source, "reason", reason(readings))
	}
	p.o.Emit(r)
}
