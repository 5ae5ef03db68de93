package datadog

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// maxKept bounds how many values are kept.
const maxKept = 4096

// memory keeps values for a short time, and lets only one caller at a time ask
// for each. An error is shared with those who waited for it, and not kept. It
// is safe for concurrent use; its values are read-only.
type memory[T any] struct {
	keep time.Duration
	now  func() time.Time

	mu   sync.Mutex
	held map[string]*held[T]
}

// held is one value: asked for, or known.
type held[T any] struct {
	done  chan struct{} // closed when it is known
	at    time.Time     // when it was asked for
	value T
	err   error
}

func newMemory[T any](keep time.Duration, now func() time.Time) *memory[T] {
	return &memory[T]{keep: keep, now: now, held: map[string]*held[T]{}}
}

// get returns the value under key, which ask finds out.
func (m *memory[T]) get(ctx context.Context, key string, ask func(context.Context) (T, error)) (T, error) {
	for {
		h, mine := m.find(key)
		if mine {
			h.value, h.err = ask(ctx)
			m.settle(key, h)
			return h.value, h.err
		}
		select {
		case <-h.done:
		case <-ctx.Done():
			var zero T
			return zero, httpclient.Explain(ctx.Err())
		}
		if h.err == nil || ctx.Err() != nil || !ended(h.err) {
			return h.value, h.err
		}
		// Who asked had no time left; we have.
	}
}

// find returns what is held under key and of use, or what the caller is to
// find out.
func (m *memory[T]) find(key string) (h *held[T], mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	h = m.held[key]
	if h != nil {
		age := now.Sub(h.at)
		select {
		case <-h.done:
			if age >= 0 && age < m.keep {
				return h, false
			}
		default:
			return h, false
		}
	}
	if len(m.held) >= maxKept {
		m.drop(now)
	}
	h = &held[T]{done: make(chan struct{}), at: now}
	m.held[key] = h
	return h, true
}

// settle tells those who wait. An error is forgotten.
func (m *memory[T]) settle(key string, h *held[T]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.err != nil && m.held[key] == h {
		delete(m.held, key)
	}
	close(h.done)
}

// drop forgets what is of no use any more; all that is known, where that is
// not enough.
func (m *memory[T]) drop(now time.Time) {
	for _, all := range []bool{false, true} {
		for key, h := range m.held {
			select {
			case <-h.done:
				if all || now.Sub(h.at) >= m.keep {
					delete(m.held, key)
				}
			default:
			}
		}
		if len(m.held) < maxKept {
			return
		}
	}
}

// ended reports whether an error is only that its asker's time was up.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
