package outward

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
)

// fataler is what tests and rapid's checks share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// lab is a journal in a store, and what is told of it.
type lab struct {
	t       fataler
	store   *mem.Store
	journal *journal.Journal
	metrics *Metrics
	sink    *fakeSink
	marks   *faultyMarks
	log     syncBuffer
	leads   atomic.Bool
	written int
}

func newLab(t fataler, dir string) *lab {
	t.Helper()
	l := &lab{t: t, store: mem.New(), metrics: NewMetrics(prometheus.NewRegistry()), sink: newFakeSink()}
	l.marks = &faultyMarks{Marks: l.store}
	l.journal = l.open(dir)
	l.leads.Store(true)
	return l
}

// open opens the journal as a replica does that has its archive in dir.
func (l *lab) open(dir string) *journal.Journal {
	l.t.Helper()
	if dir != "" {
		dir = filepath.Join(dir, "archive")
	}
	j, err := journal.Open(context.Background(), l.store, journal.Options{Now: time.Now, Dir: dir})
	if err != nil {
		l.t.Fatalf("%v", err)
	}
	return j
}

// write writes n entries.
func (l *lab) write(n int) {
	l.t.Helper()
	for range n {
		l.written++
		rec := journal.Record{Kind: journal.Decision, Data: map[string]int{"n": l.written}}
		if _, err := l.journal.Write(context.Background(), nil, nil, []journal.Record{rec}, nil); err != nil {
			l.t.Fatalf("%v", err)
		}
	}
}

func (l *lab) audit(queue int) *Audit {
	return NewAudit(AuditOptions{
		Trail: l.journal, Marks: l.marks, Sink: l.sink, Leads: l.leads.Load, Queue: queue,
		Log: slog.New(slog.NewTextHandler(&l.log, nil)), Metrics: l.metrics,
	})
}

// start runs an audit until stop is called.
func (l *lab) start(a *Audit) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// marked is how far the store says that the trail was told.
func (l *lab) marked() uint64 {
	l.t.Helper()
	m, err := readMark(context.Background(), l.store)
	if err != nil {
		l.t.Fatalf("%v", err)
	}
	return m.seq
}

func (l *lab) dropped(reason string) int {
	return int(testutil.ToFloat64(l.metrics.dropped.WithLabelValues(reason)))
}

func (l *lab) errors(step string) int {
	return int(testutil.ToFloat64(l.metrics.errors.WithLabelValues(step)))
}

// mustHave checks that the sink has exactly the entries from to to, each once
// and in order.
func (l *lab) mustHave(from, to int) {
	l.t.Helper()
	var want []uint64
	for n := from; n <= to; n++ {
		want = append(want, uint64(n))
	}
	if got := l.sink.seqs(); !slices.Equal(got, want) {
		l.t.Fatalf("got %d entries %v, want %d to %d", len(got), got, from, to)
	}
}

var errFault = errors.New("a fault of the test")

// faultyMarks lets writes of the mark fail.
type faultyMarks struct {
	Marks
	before, after atomic.Int64 // how many of the next writes fail, before or after they are done
	onPut         func()
}

func (m *faultyMarks) Commit(ctx context.Context, t store.Txn) (store.Revision, error) {
	if m.onPut != nil {
		m.onPut()
	}
	if m.before.Add(-1) >= 0 {
		return 0, store.ErrUnavailable
	}
	rev, err := m.Marks.Commit(ctx, t)
	if m.after.Add(-1) >= 0 {
		return 0, store.ErrUnavailable
	}
	return rev, err
}

// fakeSink keeps lines as Loki does, but without comparing equal ones: what is
// pushed twice is there twice.
type fakeSink struct {
	mu     sync.Mutex
	lines  []Line
	pushes int
	asks   int

	refuse map[uint64]bool                               // entries that are refused; the rest of the batch is taken
	push   func(ctx context.Context, lines []Line) error // before they are taken; nil: nothing
	lost   func() error                                  // after they are taken: the answer is lost
	ask    func() error                                  // instead of an answer
	closed atomic.Bool
}

func newFakeSink() *fakeSink { return &fakeSink{refuse: map[uint64]bool{}} }

func (s *fakeSink) Push(ctx context.Context, lines []Line) error {
	s.mu.Lock()
	s.pushes++
	push, lost := s.push, s.lost
	s.mu.Unlock()
	if push != nil {
		if err := push(ctx, lines); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, l := range lines {
		if s.refuse[l.Seq] {
			err = &Refused{errFault}
			continue
		}
		s.lines = append(s.lines, l)
	}
	if lost != nil && err == nil {
		err = lost()
	}
	return err
}

func (s *fakeSink) Has(_ context.Context, lines []Line) (map[uint64]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks++
	if s.ask != nil {
		if err := s.ask(); err != nil {
			return nil, err
		}
	}
	has := map[uint64]bool{}
	for _, l := range lines {
		if slices.Contains(s.lines, l) {
			has[l.Seq] = true
		}
	}
	return has, nil
}

func (s *fakeSink) Close() { s.closed.Store(true) }

func (s *fakeSink) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *fakeSink) seqs() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	seqs := make([]uint64, len(s.lines))
	for i, l := range s.lines {
		seqs[i] = l.Seq
	}
	return seqs
}

// mustChain checks that each line's prev is the SHA-256 of the one before, as
// one who has nothing but the lines would.
func mustChain(t *testing.T, texts []string) {
	t.Helper()
	prev := ""
	for i, text := range texts {
		var e struct {
			Seq  int    `json:"seq"`
			Prev string `json:"prev"`
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		if e.Seq != i+1 || e.Prev != prev {
			t.Fatalf("line %d is entry %d and follows %q, want %q", i+1, e.Seq, e.Prev, prev)
		}
		sum := sha256.Sum256([]byte(text))
		prev = hex.EncodeToString(sum[:])
	}
}

func texts(lines []Line) []string {
	all := make([]string, len(lines))
	for i, l := range lines {
		all[i] = l.Text
	}
	return all
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *syncBuffer) has(text string) bool { return strings.Contains(b.String(), text) }

func putMark(value string) store.Txn {
	return store.Txn{Puts: []store.Put{{Key: markKey, Value: []byte(value)}}}
}

// pass lets time pass in a bubble, until nothing is left to do.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// patience bounds every wait for a server; no test passes by reaching it.
const patience = 60 * time.Second

// until waits for what a server or a goroutine does, by looking.
func (l *lab) until(what string, is func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			l.t.Fatalf("waited in vain for %s; log:\n%s", what, l.log.String())
		}
		<-time.After(10 * time.Millisecond)
	}
}
