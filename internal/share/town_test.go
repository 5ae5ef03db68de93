package share_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/share"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
)

// town is a store, and the replicas on it.
type town struct {
	t     testing.TB
	store *mem.Store
	mu    sync.Mutex
	there map[string]string // configuration of who is present, by name
}

func newTown(t testing.TB) *town {
	t.Helper()
	s := mem.New()
	t.Cleanup(func() { s.Close() })
	return &town{t: t, store: s, there: map[string]string{}}
}

// present is in place of the engine's: who is there is a key of the store.
const presence = "lead-of-a-test/"

func (w *town) set(name, config string) {
	w.t.Helper()
	w.mu.Lock()
	if config == "" {
		delete(w.there, name)
	} else {
		w.there[name] = config
	}
	w.mu.Unlock()
	if _, err := w.store.Commit(w.t.Context(), store.Txn{Puts: []store.Put{{Key: presence + name, Value: []byte(config)}}}); err != nil {
		w.t.Fatal(err)
	}
}

// node is one replica: its part of the asking, and a source that notes what it
// was asked.
type node struct {
	*share.Share
	town   *town
	name   string
	source *noted
	stop   func()
	listen net.Listener
}

type noted struct {
	mu     sync.Mutex
	asked  map[string]int // by query
	at     []time.Time
	answer func(ctx context.Context, q signalbox.Question) signalbox.Answer
	skew   time.Duration
}

func (n *noted) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	out := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		n.mu.Lock()
		n.asked[q.Query]++
		n.at = append(n.at, at)
		answer := n.answer
		n.mu.Unlock()
		if ctx.Err() != nil {
			out[i] = signalbox.Answer{Question: q, Err: ctx.Err()}
			continue
		}
		if answer != nil {
			out[i] = answer(ctx, q)
			out[i].Question = q
			continue
		}
		out[i] = signalbox.Answer{Question: q, At: at, Samples: []signalbox.Sample{{Labels: map[string]string{"q": q.Query}, Value: 1, At: at}}}
	}
	return out
}

func (n *noted) Skew() (time.Duration, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.skew, true
}

func (n *noted) queries() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.asked))
}

func (n *noted) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.asked)
	n.at = nil
}

// options of a node that a test changes.
type with func(*share.Options, *share.Place)

func (w *town) join(name string, change ...with) *node {
	w.t.Helper()
	n := &node{town: w, name: name, source: &noted{asked: map[string]int{}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	n.listen = l
	o := share.Options{
		Replica: name, Config: func() string { return "c1" }, Now: time.Now, Registerer: prometheus.NewRegistry(),
		Source: func(source string) (signalbox.Source, bool) { return n.source, source == "metrics" },
		Log:    slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	at := share.Place{
		Store: w.store, Listener: l, Address: l.Addr().String(), Presence: presence,
		Present: func(context.Context) (map[string]string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return maps.Clone(w.there), nil
		},
	}
	for _, c := range change {
		c(&o, &at)
	}
	if n.Share, err = share.New(o); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.Run(ctx, at); err != nil {
			w.t.Errorf("%s: %v", name, err)
		}
	}()
	n.stop = sync.OnceFunc(func() { cancel(); <-ended })
	w.t.Cleanup(n.stop)
	w.set(name, o.Config())
	return n
}

func questions(n int) []signalbox.Question {
	qs := make([]signalbox.Question, n)
	for i := range qs {
		qs[i] = signalbox.Question{Source: "metrics", Query: fmt.Sprintf("lag{i=%q}", fmt.Sprint(i))}
	}
	return qs
}

// eventually polls until f says nothing more.
func eventually(t testing.TB, what string, f func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		why := f()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20s: %s", what, why)
		}
		wait, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		<-wait.Done()
		cancel()
	}
}

// round has the leader ask all, and returns who asked how many of them.
func round(t testing.TB, leader *node, qs []signalbox.Question, nodes ...*node) map[string]int {
	t.Helper()
	for _, n := range nodes {
		n.source.forget()
	}
	at := time.Now().UTC()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answers := leader.Source("metrics", leader.source).Ask(ctx, qs, at)
	if len(answers) != len(qs) {
		t.Fatalf("%d answers to %d questions", len(answers), len(qs))
	}
	for i, a := range answers {
		if a.Question != qs[i] || a.Err != nil || len(a.Samples) != 1 || a.Samples[0].Labels["q"] != qs[i].Query || !a.At.Equal(at) {
			t.Fatalf("answer %d: %+v", i, a)
		}
	}
	by := map[string]int{}
	for _, n := range nodes {
		by[n.name] = len(n.source.queries())
	}
	return by
}

// spread waits until a round is asked by all of the nodes, each question once.
func spread(t testing.TB, leader *node, qs []signalbox.Question, nodes ...*node) map[string]int {
	t.Helper()
	var by map[string]int
	eventually(t, "all to ask", func() string {
		by = round(t, leader, qs, nodes...)
		for _, n := range nodes {
			if by[n.name] == 0 {
				return fmt.Sprint(by)
			}
		}
		return ""
	})
	total := 0
	for _, n := range by {
		total += n
	}
	if total != len(qs) {
		t.Errorf("%d questions were asked as %v", len(qs), by)
	}
	return by
}

// held is a proxy that can stop to pass anything on, with its connections open.
type held struct {
	t    *testing.T
	mu   sync.Mutex
	cond *sync.Cond
	held bool
}

func newHeld(t *testing.T) *held {
	h := &held{t: t}
	h.cond = sync.NewCond(&h.mu)
	return h
}

func (h *held) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = true
}

func (h *held) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = false
	h.cond.Broadcast()
}

func (h *held) pass() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.held {
		h.cond.Wait()
	}
}

// front returns an address whose connections go to another.
func (h *held) front(to string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { h.release(); l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			go h.copy(out, in)
			go h.copy(in, out)
		}
	}()
	return l.Addr().String()
}

func (h *held) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		h.pass()
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}
