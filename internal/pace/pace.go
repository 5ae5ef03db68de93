// Package pace holds requests back before a vendor does: so many a second to
// each place. Nobody sleeps in it.
package pace

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// mostPlaces bounds the buckets kept: far more than one configuration names.
const mostPlaces = 1024

// Pace is how much was spent at each place. It holds digests of the places'
// names, which may be secrets. It is safe for concurrent use; use New.
type Pace struct {
	perSecond float64
	burst     int

	mu      sync.Mutex
	buckets map[[sha256.Size]byte]*rate.Limiter
}

// New is a pace of so many a second to each place, and bursts.
func New(perSecond float64, burst int) *Pace { return &Pace{perSecond: perSecond, burst: burst} }

// Spend takes one of a place's bucket. Where there is none it takes nothing and
// returns how long to wait.
func (p *Pace) Spend(place string, now time.Time) time.Duration {
	id := sha256.Sum256([]byte(place))
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buckets[id]
	if b == nil {
		if len(p.buckets) >= mostPlaces || p.buckets == nil {
			p.buckets = map[[sha256.Size]byte]*rate.Limiter{}
		}
		b = rate.NewLimiter(rate.Limit(p.perSecond), p.burst)
		p.buckets[id] = b
	}
	reserved := b.ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait > 0 {
		reserved.CancelAt(now)
	}
	return wait
}

// Wait waits until it may spend at a place, at most most. It returns how long
// it would have to wait still; 0: it has spent one, or ctx ended.
func (p *Pace) Wait(ctx context.Context, place string, now func() time.Time, most time.Duration) time.Duration {
	for {
		wait := p.Spend(place, now())
		if wait <= 0 || wait > most {
			return max(wait, 0)
		}
		most -= wait
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return 0
		case <-t.C:
		}
	}
}
