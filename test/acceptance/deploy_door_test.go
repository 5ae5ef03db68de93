package acceptance

import (
	"net/http"
	"strings"
	"sync"
)

// deployDoor stands before GitHub, Slack or an API server: the answer to one write
// can be held back, so that the daemon is killed when the write was taken and it
// does not know.
type deployDoor struct {
	to   http.Handler
	mu   sync.Mutex
	next *held
}

func (d *deployDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	h := d.next
	if h != nil && deployWrite(r) {
		d.next = nil
	} else {
		h = nil
	}
	d.mu.Unlock()
	if h == nil {
		d.to.ServeHTTP(w, r)
		return
	}
	h.pass(w, r, d.to)
}

// deployWrite reports whether a request is a dispatch, a message or a patch.
func deployWrite(r *http.Request) bool {
	patch := r.Method == http.MethodPatch && !r.URL.Query().Has("dryRun")
	return patch || strings.HasSuffix(r.URL.Path, "/dispatches") || strings.HasSuffix(r.URL.Path, "/chat.postMessage")
}

// holdNextAnswer holds back the answer to the next write.
func (d *deployDoor) holdNextAnswer() *held {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = &held{arrived: make(chan struct{}), release: make(chan struct{}), done: make(chan int, 1), after: true}
	return d.next
}

// killedAt kills the daemon when a write of it was taken, and not answered; then
// it is started again.
func (b *box) killedAt(what string, h *held) {
	b.t.Helper()
	b.eventually(what, h.isHere)
	b.kill()
	close(h.release)
	h.answered(b.t)
	b.launch()
	b.ready()
}
