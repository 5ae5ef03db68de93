package page

import (
	"crypto/sha256"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// PagerDuty takes about 120 events a minute with one routing key, and 960
// requests of the REST API with one API key. A bucket of 60 that gains one a
// second, or 15, never sends more in any minute, and lets a storm of 60 pages
// out at once.
const (
	eventsPerSecond   = 1
	requestsPerSecond = 15
	burst             = 60
	mostKeys          = 1024 // buckets kept: far more than there are owners
)

// spent is how much was sent with each routing key. It holds digests of keys.
type spent struct {
	mu      sync.Mutex
	buckets map[[sha256.Size]byte]*rate.Limiter
}

// spend takes one of a key's bucket. Where there is none it takes nothing and
// returns how long to wait: nobody sleeps here.
func (r *Remediator) spend(url, key string, perSecond rate.Limit) time.Duration {
	now := r.env.Now()
	r.spent.mu.Lock()
	defer r.spent.mu.Unlock()
	reserved := r.spent.bucket(sha256.Sum256([]byte(url+"\x00"+key)), now, perSecond).ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait > 0 {
		reserved.CancelAt(now)
	}
	return wait
}

func (s *spent) bucket(id [sha256.Size]byte, now time.Time, perSecond rate.Limit) *rate.Limiter {
	if b := s.buckets[id]; b != nil {
		return b
	}
	for old, b := range s.buckets { // full again: nothing is lost with it
		if len(s.buckets) >= mostKeys && b.TokensAt(now) >= burst {
			delete(s.buckets, old)
		}
	}
	if s.buckets == nil {
		s.buckets = map[[sha256.Size]byte]*rate.Limiter{}
	}
	b := rate.NewLimiter(perSecond, burst)
	s.buckets[id] = b
	return b
}
