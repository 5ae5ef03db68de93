package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store/etcd"
)

// lateSetting is a setting behind an HTTP API that has no place for a fence, so
// that its switch is of class C. A write takes effect some time after it came
// in, whoever still waits for the answer. It keeps a log of what it was asked
// to write, and of what it did.
type lateSetting struct {
	after time.Duration

	mu      sync.Mutex
	value   string
	version int
	asked   []string
	done    []string
	flights sync.WaitGroup
}

func (s *lateSetting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", strconv.Quote(strconv.Itoa(s.version)))
		_ = json.NewEncoder(w).Encode(map[string]string{"value": s.value})
		return
	}
	var body struct{ Value string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, body.Value)
	s.mu.Unlock()
	code := make(chan int, 1)
	match := r.Header.Get("If-Match")
	s.flights.Go(func() {
		<-time.After(s.after)
		s.mu.Lock()
		defer s.mu.Unlock()
		if match != strconv.Quote(strconv.Itoa(s.version)) {
			code <- http.StatusPreconditionFailed
			return
		}
		s.value, s.version = body.Value, s.version+1
		s.done = append(s.done, body.Value)
		code <- http.StatusNoContent
	})
	select {
	case c := <-code:
		w.WriteHeader(c)
	case <-r.Context().Done():
	}
}

// logs returns both.
func (s *lateSetting) logs() (asked, done []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked), slices.Clone(s.done)
}

// The leader is killed with a write on its way to a target that can't be
// sealed, and that is slower than a successor is there. The successor looks
// only once the target's greatest latency is over: it is asked once, and does
// it once.
func TestReplicasLeaderIsKilledWhereOneCanOnlyLook(t *testing.T) {
	t.Parallel()
	p, h := newProduction(t), newHouseOf(t, etcd.DefaultTTL)
	setting := &lateSetting{after: 9 * time.Second, value: "one"} // more than the lease
	server := httptest.NewServer(setting)
	t.Cleanup(func() { server.Close(); setting.flights.Wait() })
	p.configure(h.box, "never", `
  - name: look
    on: reads-lag
    autonomy: auto
    runbook: [{flip: setting, to: b}]
    verify: {within: 60s}
    guards: {cooldown: 0s, budget: [1000/day]}
`)
	h.write("setting.yaml", fmt.Sprintf(`
switches:
  setting:
    http: {url: %q, latency: 14s}
    undo: never
    positions: {a: one, b: two}
    health: {detector: replica-lag, subject: "replica/{{position}}"}
`, server.URL))
	h.open()
	leader, _ := h.leader()
	leader.watched()
	p.reads(5)
	h.eventually("the write to have come in", func() error {
		if asked, _ := setting.logs(); len(asked) == 0 {
			return errors.New("none has")
		}
		return nil
	})
	leader.kill()
	if _, done := setting.logs(); len(done) > 0 {
		t.Fatalf("the effect came before the leader was killed: %q", done)
	}
	next := h.successor(leader)
	h.eventually("the doubt to be settled", func() error {
		for _, inc := range next.status().Incidents {
			if inc.Verdict == "verify" || inc.Outcome != "" {
				return nil
			}
		}
		return errors.New("not verified yet")
	})
	p.reads(0.01)
	h.eventually("the incident to be acted on", func() error {
		if n := len(next.status().Incidents); n > 0 {
			return fmt.Errorf("open: %d", n)
		}
		return nil
	})
	if asked, done := setting.logs(); !slices.Equal(asked, []string{"two"}) || !slices.Equal(done, asked) {
		t.Errorf("the target was asked %q and did %q, want two once", asked, done)
	}
}
