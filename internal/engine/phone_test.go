package engine_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// phone is a pager that answers as it is told, and keeps every attempt.
type phone struct {
	mu       sync.Mutex
	attempts []call
	answer   func(n int, c call) error // of the nth attempt, from 0; nil: accepted
	takes    time.Duration
}

type call struct {
	owner, key string
	event      signalbox.PageEvent
	body       signalbox.PageBody
	at         time.Time
	err        error
}

// Page implements kind.Pager.
func (p *phone) Page(ctx context.Context, spec json.RawMessage, key string, event signalbox.PageEvent, body signalbox.PageBody) error {
	p.mu.Lock()
	takes := p.takes
	p.mu.Unlock()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := call{owner: strings.Trim(string(spec), `"`), key: key, event: event, body: body, at: time.Now()}
	if p.answer != nil {
		c.err = p.answer(len(p.attempts), c)
	}
	p.attempts = append(p.attempts, c)
	return c.err
}

// accepted returns the events that it took.
func (p *phone) accepted() []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []call
	for _, c := range p.attempts {
		if c.err == nil {
			out = append(out, c)
		}
	}
	return out
}

func (p *phone) log() string {
	var events []string
	for _, c := range p.accepted() {
		events = append(events, string(c.event))
	}
	return strings.Join(events, " ")
}

// newPhone puts a phone in the place of the world's pager.
func newPhone(w *world) *phone {
	p := &phone{}
	w.set.Pager = p
	for name, step := range w.set.Owners {
		step.Spec = json.RawMessage(`"` + name + `"`)
		w.set.Owners[name] = step
	}
	return p
}
