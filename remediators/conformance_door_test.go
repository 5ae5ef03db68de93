package remediators_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// fault is what one write meets in place of its answer.
type fault struct {
	name  string
	code  int  // that is answered; 0: the connection is closed without an answer
	cut   bool // the answer breaks off within its body
	after bool // the target does what it was asked first: the answer alone is lost
}

// faults are what may come in place of an answer. A status that refuses comes
// from a target that has done nothing; of the others nobody can tell, so that
// they come before and after the effect.
func faults() []fault {
	var list []fault
	for _, code := range []int{400, 401, 403, 404, 409, 422, 429} {
		list = append(list, fault{name: fmt.Sprint(code), code: code})
	}
	for _, code := range []int{500, 502, 503} {
		list = append(list, fault{name: fmt.Sprint(code), code: code}, fault{name: fmt.Sprint(code, " after the effect"), code: code, after: true})
	}
	return append(list, lost, dropped, fault{name: "broken body", code: http.StatusOK, cut: true, after: true})
}

var (
	lost    = fault{name: "closed after the effect", after: true}
	dropped = fault{name: "closed before the effect"}
)

// retryAfter is what a 429 and a 503 ask for, in seconds.
const retryAfter = 7

// door stands before a target: what goes wrong between us and it goes wrong
// there.
type door interface {
	// can reports whether a fault can happen at this door.
	can(f fault) bool
	// meet lets the n-th write from the beginning, counted from 1, meet a fault;
	// 0: every read.
	meet(n int, f fault)
	mend()
	// hold keeps the n-th write on its way; reached is closed when it is there,
	// and release lets it go on to the target, whether or not its sender still
	// waits, and returns when the target has answered.
	hold(n int) (reached <-chan struct{}, release func())
	// asked are the requests that came, each true where it was a write; forget
	// begins to count anew.
	asked() []bool
	forget()
}

// webDoor is a door before a server that speaks HTTP.
type webDoor struct {
	to      http.Handler
	isWrite func(r *http.Request, body []byte) bool

	mu     sync.Mutex
	log    []bool
	writes int
	plan   map[int]fault
	held   map[int]*stay
}

// stay is a write on its way.
type stay struct {
	reached, goes, over chan struct{}
}

func newWebDoor(to http.Handler, isWrite func(*http.Request, []byte) bool) *webDoor {
	if isWrite == nil {
		isWrite = byMethod
	}
	return &webDoor{to: to, isWrite: isWrite, plan: map[int]fault{}, held: map[int]*stay{}}
}

// byMethod tells a write by its method; what is only tried out, or asks for
// rights, is none.
func byMethod(r *http.Request, _ []byte) bool {
	reads := []string{http.MethodGet, http.MethodHead, http.MethodOptions}
	return !slices.Contains(reads, r.Method) && !r.URL.Query().Has("dryRun") && !strings.Contains(r.URL.Path, "/selfsubject")
}

func (d *webDoor) can(fault) bool { return true }

func (d *webDoor) meet(n int, f fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plan[n] = f
}

func (d *webDoor) mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.plan)
}

func (d *webDoor) hold(n int) (<-chan struct{}, func()) {
	s := &stay{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held[n] = s
	return s.reached, func() { close(s.goes); <-s.over }
}

func (d *webDoor) asked() []bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.log)
}

func (d *webDoor) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log, d.writes = nil, 0
}

// comes takes a request down, and tells what it meets.
func (d *webDoor) comes(write bool) (f *fault, s *stay) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, write)
	n := 0
	if write {
		d.writes++
		n = d.writes
		s = d.held[n]
	}
	if planned, ok := d.plan[n]; ok {
		f = &planned
	}
	return f, s
}

// ServeHTTP implements http.Handler.
func (d *webDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	again := func() *http.Request { // goes on though its sender has gone
		q := r.Clone(context.WithoutCancel(r.Context()))
		q.Body = io.NopCloser(bytes.NewReader(body))
		return q
	}
	f, s := d.comes(d.isWrite(r, body))
	if s != nil {
		close(s.reached)
		<-s.goes
		d.to.ServeHTTP(httptest.NewRecorder(), again())
		close(s.over)
		panic(http.ErrAbortHandler)
	}
	if f == nil {
		d.to.ServeHTTP(w, again())
		return
	}
	if f.after {
		d.to.ServeHTTP(httptest.NewRecorder(), again())
	}
	f.answer(w, r, body)
}

// answer says what the request held, as servers and proxies do.
func (f *fault) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	if f.code == 0 {
		panic(http.ErrAbortHandler)
	}
	if f.code == http.StatusTooManyRequests || f.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", fmt.Sprint(retryAfter))
	}
	text := fmt.Sprintf(`{"message": %q, "msg": %q, "error": %q, "ok": fal`, r.Header, body, r.URL)
	w.Header().Set("Content-Type", "application/json")
	if f.cut {
		w.Header().Set("Content-Length", fmt.Sprint(len(text)+100))
	} else {
		text += "se}"
	}
	w.WriteHeader(f.code)
	_, _ = io.WriteString(w, text)
}
