package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Classes of targets, as the first letter of a target's name. K is of class B,
// with a cooldown that is longer than a restart; P has no target: its alerts
// are paged.
const (
	classA, classB, classC, classD = "a", "b", "c", "d"
	classK, classP                 = "k", "p"
)

// mishap is what befalls one write at its target.
type mishap string

const (
	fine       mishap = ""
	answerLost mishap = "answer lost after the effect"
	lateEffect mishap = "late effect"
	answer500  mishap = "500 after the effect"
	doubled    mishap = "doubled delivery"
)

// arrival is one write that reached a target: a line of its log.
type arrival struct {
	Target  string
	At      time.Time // it arrived
	Done    time.Time // it was applied, or refused
	Action  string    // as the request names it; empty: it does not
	Token   int64     // class A
	Episode string    // as the body tells it
	Value   string
	Effect  bool // it changed what the target does; a seal does not
	Applied bool // something was written: an effect or a seal
	Why     string
}

// town is the targets of one cell, with the log that the oracle believes: of
// what arrived and what came of it, in the order in which it came about. A
// request lives on when its sender is gone, as on a network.
type town struct {
	url     string
	mu      sync.Mutex
	latency time.Duration
	places  map[string]*place
	log     []arrival
	mishaps map[string]mishap // of the next write, by target
	holds   map[string]*held  // of the next write, by target
	pending sync.WaitGroup
}

// place is one target.
type place struct {
	value, fence string
	version      int
	keys         map[string]bool // of class B: false while the first is at work
}

func newTown(t testing.TB) *town {
	w := &town{places: map[string]*place{}, mishaps: map[string]mishap{}, holds: map[string]*held{}}
	server := httptest.NewServer(w)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	w.url = server.URL
	return w
}

func (w *town) at(name string) *place {
	p := w.places[name]
	if p == nil {
		p = &place{value: "a", version: 1, keys: map[string]bool{}}
		w.places[name] = p
	}
	return p
}

// arrivals is the log as it is now.
func (w *town) arrivals() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]arrival(nil), w.log...)
}

// next says what befalls the next write at a target.
func (w *town) next(target string, m mishap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mishaps[target] = m
}

// held is a write that has left its sender and has not reached its target.
type held struct{ sent, release chan struct{} }

// hold keeps the next write to a target on its way until it is released.
func (w *town) hold(target string) *held {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := &held{make(chan struct{}), make(chan struct{})}
	w.holds[target] = h
	return h
}

// slow sets how long a write takes from its arrival until it is applied.
func (w *town) slow(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latency = d
}

// ServeHTTP implements http.Handler.
func (w *town) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if r.Method == http.MethodGet {
		w.show(rw, name)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it was cut off on its way
	}
	w.mu.Lock()
	h := w.holds[name]
	delete(w.holds, name)
	w.mu.Unlock()
	if h != nil {
		close(h.sent)
		<-h.release
	}
	w.mu.Lock()
	m, latency := w.mishaps[name], w.latency
	delete(w.mishaps, name)
	w.mu.Unlock()
	if m == lateEffect {
		latency = 12 * time.Second // beyond the client's patience
	}
	in := arrival{Target: name, At: time.Now()}
	code, answer := http.StatusOK, make(chan int, 1)
	w.pending.Add(1)
	go func() {
		defer w.pending.Done()
		code := w.apply(in, r.Method, r.Header, body, latency)
		if m == doubled {
			code = w.apply(arrival{Target: name, At: time.Now()}, r.Method, r.Header, body, 0)
		}
		answer <- code
	}()
	select {
	case code = <-answer:
	case <-r.Context().Done():
		return
	}
	switch m {
	case answerLost:
		if c, _, err := http.NewResponseController(rw).Hijack(); err == nil {
			c.Close()
		}
		return
	case answer500:
		code = http.StatusInternalServerError
	}
	rw.WriteHeader(code)
}

// show answers a read of classes A and C. A place for the fence makes it A.
func (w *town) show(rw http.ResponseWriter, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.at(name)
	object := map[string]json.RawMessage{"value": json.RawMessage(fmt.Sprintf("%q", p.value))}
	if name[:1] == classA {
		object["signalbox"] = json.RawMessage("null")
		if p.fence != "" {
			object["signalbox"] = json.RawMessage(p.fence)
		}
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("ETag", fmt.Sprintf("\"%d\"", p.version))
	_ = json.NewEncoder(rw).Encode(object)
}

// apply does a write once its time has come, and logs it.
func (w *town) apply(in arrival, method string, h http.Header, body []byte, latency time.Duration) int {
	if method == http.MethodPut {
		wait(latency)
		return w.put(in, h.Get("If-Match"), body)
	}
	return w.post(in, h.Get("Idempotency-Key"), body, latency)
}

// put is a write to a setting: it compares and sets at the moment of its effect.
func (w *town) put(in arrival, match string, body []byte) int {
	var object struct {
		Value string
		Fence json.RawMessage `json:"signalbox"`
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return http.StatusBadRequest
	}
	var fence struct {
		Token  int64
		Action string
	}
	_ = json.Unmarshal(object.Fence, &fence) // class C has none
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.at(in.Target)
	in.Value, in.Action, in.Token, in.Done = object.Value, fence.Action, fence.Token, time.Now()
	if match != "*" && match != fmt.Sprintf("\"%d\"", p.version) {
		in.Why = "it has changed"
		w.log = append(w.log, in)
		return http.StatusPreconditionFailed
	}
	in.Applied, in.Effect = true, object.Value != p.value
	p.value, p.fence = object.Value, string(object.Fence)
	p.version++
	w.log = append(w.log, in)
	return http.StatusOK
}

// post is a request to a tool: with a key that the target knows, once.
func (w *town) post(in arrival, key string, body []byte, latency time.Duration) int {
	var said struct{ Episode string }
	if err := json.Unmarshal(body, &said); err != nil {
		return http.StatusBadRequest
	}
	in.Episode, in.Action = said.Episode, key
	w.mu.Lock()
	p := w.at(in.Target)
	done, seen := p.keys[key]
	if key != "" && seen {
		in.Done, in.Why = time.Now(), "the key is known"
		w.log = append(w.log, in)
		w.mu.Unlock()
		if !done {
			return http.StatusConflict // the first is still at work
		}
		return http.StatusOK
	}
	p.keys[key] = false
	w.mu.Unlock()
	wait(latency)
	w.mu.Lock()
	defer w.mu.Unlock()
	p.keys[key] = true
	in.Done, in.Applied, in.Effect = time.Now(), true, true
	w.log = append(w.log, in)
	return http.StatusOK
}

func wait(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}
