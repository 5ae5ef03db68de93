package datadog

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Bounds of how long is waited when Datadog sends us away and does not say for
// how long: at first, and at most.
const (
	firstPause = time.Second
	lastPause  = time.Minute
	mostPause  = time.Hour // that a header can ask for
)

// limiter is the rate limit of one endpoint, shared by all that ask there. It
// follows X-RateLimit-{Limit,Period,Remaining,Reset} of each answer
// (https://docs.datadoghq.com/api/latest/rate-limits/):
//
//   - while more than half of a period's requests are left, it does not delay
//   - of the second half, requests are spread evenly until the reset
//   - with none left, or after a 429, nothing is sent until the reset; then
//     one request goes ahead, and the others follow when it was answered well
//
// It is safe for concurrent use.
type limiter struct {
	endpoint string // for people
	now      func() time.Time

	mu        sync.Mutex
	inFlight  int
	known     bool // the headers were seen
	limit     int
	period    time.Duration
	remaining int       // by the headers, less what was sent since
	reset     time.Time // of the period under way
	last      time.Time // when a request was let go
	until     time.Time // nothing is sent before
	strikes   int       // times in a row that we were sent away
	changed   chan struct{}
}

func newLimiter(endpoint string, now func() time.Time) *limiter {
	return &limiter{endpoint: endpoint, now: now, changed: make(chan struct{})}
}

// enter waits for a place. It returns a *signalbox.RetryAfter at once where the
// place comes after ctx's deadline.
func (l *limiter) enter(ctx context.Context) error {
	for {
		l.mu.Lock()
		now := l.now()
		wait, changed, refused := l.admit(now), l.changed, ""
		if l.strikes > 0 {
			refused = " after HTTP 429"
		}
		l.mu.Unlock()
		if wait == 0 {
			return nil
		}
		if deadline, ok := ctx.Deadline(); ok && wait < forChange && now.Add(wait).After(deadline) {
			return &signalbox.RetryAfter{After: wait, Err: fmt.Errorf("not asked%s: the rate limit of %s allows the next request in %s", refused, l.endpoint, wait.Round(100*time.Millisecond))}
		}
		if err := pause(ctx, wait, changed); err != nil {
			return err
		}
	}
}

// pause waits for a time, or until something changed.
func pause(ctx context.Context, wait time.Duration, changed <-chan struct{}) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// forChange is a wait that only a change ends.
const forChange = time.Duration(math.MaxInt64)

// admit takes a place, and returns 0; or how long to wait for one.
func (l *limiter) admit(now time.Time) time.Duration {
	if wait := l.until.Sub(now); wait > 0 && wait <= mostPause { // longer: the clock was set back
		return wait
	}
	if l.strikes > 0 && l.inFlight > 0 {
		return forChange // one goes ahead
	}
	l.roll(now)
	if wait := l.spacing(now); wait > 0 {
		return wait
	}
	l.inFlight++
	l.remaining--
	l.last = now
	return 0
}

// roll begins a new period when the one under way has ended.
func (l *limiter) roll(now time.Time) {
	if l.known && !now.Before(l.reset) {
		l.remaining, l.reset = l.limit-l.inFlight, now.Add(l.period)
	}
}

// spacing is how long to wait so that what is left lasts until the reset.
func (l *limiter) spacing(now time.Time) time.Duration {
	left := l.reset.Sub(now)
	switch {
	case !l.known || left > l.period: // the clock was set back
		return 0
	case l.remaining <= 0:
		return left
	case l.remaining > l.limit/2:
		return 0
	}
	return max(0, l.last.Add(left/time.Duration(l.remaining+1)).Sub(now))
}

// leave gives the place back and takes in what the answer's headers say; of no
// answer, h is nil and status 0.
func (l *limiter) leave(status int, h http.Header, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.inFlight--
	l.learn(h, now)
	switch {
	case status == http.StatusTooManyRequests:
		wait := min(firstPause<<l.strikes, lastPause)
		if after > 0 {
			wait = min(after, mostPause)
		}
		if until := now.Add(wait); until.After(l.until) {
			l.until = until
		}
		l.strikes = min(l.strikes+1, 6)
	case status != 0:
		l.strikes = 0
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// learn reads the headers. What does not make sense is as if it wasn't there.
func (l *limiter) learn(h http.Header, now time.Time) {
	limit, ok1 := headerInt(h, "X-RateLimit-Limit")
	period, ok2 := headerInt(h, "X-RateLimit-Period")
	remaining, ok3 := headerInt(h, "X-RateLimit-Remaining")
	reset, ok4 := headerInt(h, "X-RateLimit-Reset")
	if !ok1 || !ok2 || !ok3 || !ok4 || limit == 0 || period == 0 || remaining > limit || reset > period {
		return
	}
	l.known, l.limit, l.period = true, limit, time.Duration(period)*time.Second
	ends := now.Add(time.Duration(reset) * time.Second)
	left := remaining - l.inFlight // the header knows nothing of those under way
	// Answers may come out of order: within one period the fewest counts.
	if ends.Sub(l.reset).Abs() < 1500*time.Millisecond {
		left = min(left, l.remaining)
	}
	l.remaining, l.reset = left, ends
}

func headerInt(h http.Header, name string) (int, bool) {
	v, err := strconv.ParseUint(strings.TrimSpace(h.Get(name)), 10, 31)
	return int(v), err == nil
}
