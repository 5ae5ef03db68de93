package poll

import (
	"context"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// How often a watched source's detectors are asked at the most, and how long a
// watch that ended is left alone: it doubles up to the greatest.
const (
	watchGap   = 100 * time.Millisecond
	firstRetry = 500 * time.Millisecond
	mostRetry  = 30 * time.Second
)

// Watch keeps the connection of a source that watches until ctx ends, and asks
// the detectors whose answers it says have changed at once, beside the
// schedule. It blocks.
func (p *Poller) Watch(ctx context.Context, name string, w signalbox.Watcher) {
	c := &changes{woken: make(chan struct{}, 1)}
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { p.askChanged(ctx, name, c) })
	retry := firstRetry
	for {
		began := p.o.Now()
		err := w.Watch(ctx, c.note)
		if ctx.Err() != nil {
			return
		}
		if p.o.Now().Sub(began) > mostRetry {
			retry = firstRetry
		}
		p.o.Log.Warn("watch ended, it is begun again", "source", name, "after", retry, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
		retry = min(2*retry, mostRetry)
	}
}

// changes are the questions whose answers may be others.
type changes struct {
	woken chan struct{}

	mu  sync.Mutex
	all bool
	qs  map[signalbox.Question]bool
}

// note never blocks.
func (c *changes) note(qs ...signalbox.Question) {
	c.mu.Lock()
	c.all = c.all || len(qs) == 0
	if c.qs == nil {
		c.qs = make(map[signalbox.Question]bool, len(qs))
	}
	for _, q := range qs {
		c.qs[q] = true
	}
	c.mu.Unlock()
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

func (c *changes) take() (all bool, qs map[signalbox.Question]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, qs = c.all, c.qs
	c.all, c.qs = false, nil
	return all, qs
}

// askChanged asks for what changed: the first change at once, and what comes
// in a burst behind it together.
func (p *Poller) askChanged(ctx context.Context, name string, c *changes) {
	gap := time.NewTimer(0)
	defer gap.Stop()
	<-gap.C
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.woken:
		}
		all, qs := c.take()
		_ = p.AskNow(ctx, p.asking(name, all, qs)...) // what was not answered is Unknown, and told so
		gap.Reset(watchGap)
		select {
		case <-ctx.Done():
			return
		case <-gap.C:
		}
	}
}

// asking names the detectors of a source that ask one of the questions.
func (p *Poller) asking(source string, all bool, qs map[signalbox.Question]bool) (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, e := range p.detectors {
		e.mu.Lock()
		def := e.def
		e.mu.Unlock()
		if def.Source != source {
			continue
		}
		wanted := all
		for _, q := range def.Detector.Questions() {
			wanted = wanted || qs[q]
		}
		if wanted {
			names = append(names, name)
		}
	}
	return names
}
