package sandbox

import (
	"net/http"
	"sync"
	"time"
)

// silence is how long no heartbeat may come before it is noticed.
const silence = 15 * time.Second

// pulse is the receiver of the daemon's heartbeat, the one who notices outside
// that the daemon has gone. Before the first heartbeat it expects none. It is
// safe for concurrent use.
type pulse struct {
	now  func() time.Time
	tell func(text string)

	mu   sync.Mutex
	last time.Time
	lost bool
}

// beat takes a heartbeat, by any method.
func (p *pulse) beat(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost {
		p.tell("the daemon's heartbeat is back")
	}
	p.last, p.lost = p.now(), false
	w.WriteHeader(http.StatusNoContent)
}

// check tells when the heartbeat has stopped.
func (p *pulse) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.lost && !p.last.IsZero() && p.now().Sub(p.last) > silence {
		p.lost = true
		p.tell("no heartbeat of the daemon for " + silence.String() + ": is it running?")
	}
}
