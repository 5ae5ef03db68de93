package channel

import (
	"crypto/sha256"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Slack takes about one message a second in a channel, and short bursts.
const (
	perSecond    = 1
	burst        = 5
	mostChannels = 1024 // buckets kept: far more than there are owners
)

// pace is how much was told in each channel. It holds digests of secrets.
type pace struct {
	mu      sync.Mutex
	buckets map[[sha256.Size]byte]*rate.Limiter
}

// spend takes one message of a channel's bucket. Where there is none it takes
// nothing and returns how long to wait: nobody sleeps here.
func (p *pace) spend(channel string, now time.Time) time.Duration {
	id := sha256.Sum256([]byte(channel))
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buckets[id]
	if b == nil {
		if len(p.buckets) >= mostChannels || p.buckets == nil {
			p.buckets = map[[sha256.Size]byte]*rate.Limiter{}
		}
		b = rate.NewLimiter(perSecond, burst)
		p.buckets[id] = b
	}
	reserved := b.ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait > 0 {
		reserved.CancelAt(now)
	}
	return wait
}
