package sim

import (
	"container/heap"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store/mem"
	"github.com/signalbox/signalbox/policy"
)

// options say how long a story is.
type options struct {
	Seed      uint64
	Incidents int // about so many
	Days      int
	Log       bool
}

// sim is one story.
type sim struct {
	t        *testing.T
	o        options
	rng      *rand.Rand // of the one goroutine that tells the story
	co       *company
	store    *mem.Store
	pager    *pager
	oracle   *oracle
	archive  string
	kill     string
	out      io.Writer
	policies map[string]policy.Policy
	config   policy.Config
	onTheWay sync.WaitGroup
	throws   []effect // forward, in the order of their effects; guarded by oracle.mu
	lives    int
	term     atomic.Int64 // of the lease
	door     sync.RWMutex // read-held from a gate to its switch; held to change what gates ask for, with what the oracle knows of it
	planned  timeline
	seq      int
	begun    time.Time
	end      time.Time
	asked    int // illnesses that were made
	accepted []signalbox.IncidentID
	counts   map[string]int // of what happened

	mu   sync.Mutex
	proc *process
}

func newSim(t *testing.T, o options) *sim {
	s := &sim{
		t: t, o: o, rng: rand.New(rand.NewPCG(o.Seed, 4)), store: mem.New(), archive: t.TempDir(),
		kill: filepath.Join(t.TempDir(), "kill"), out: os.Stderr, begun: time.Now(), counts: map[string]int{},
	}
	s.end = s.begun.Add(time.Duration(o.Days) * 24 * time.Hour)
	s.pager = &pager{alerts: map[string]*alert{}}
	s.oracle = newOracle(s)
	s.co = newCompany(s)
	s.store.AfterCommit(s.oracle.committed)
	return s
}

// happening is something that happens at a moment.
type happening struct {
	at  time.Time
	seq int // so that what is at one moment happens in the order in which it was planned
	do  func()
}

type timeline []happening

func (h timeline) Len() int { return len(h) }
func (h timeline) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].seq < h[j].seq
}
func (h timeline) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *timeline) Push(x any)   { *h = append(*h, x.(happening)) } //nolint:forcetypeassert // only after pushes
func (h *timeline) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// after plans something.
func (s *sim) after(d time.Duration, do func()) {
	s.seq++
	heap.Push(&s.planned, happening{time.Now().Add(d), s.seq, do})
}

// again plans something that happens at random moments, so often a day.
func (s *sim) again(perDay float64, do func()) {
	if perDay <= 0 {
		return
	}
	s.after(s.random(24*time.Hour, 1/perDay), func() {
		if time.Now().Before(s.end) {
			do()
			s.again(perDay, do)
		}
	})
}

// random is a span of exponential length with a mean of part of whole.
func (s *sim) random(whole time.Duration, part float64) time.Duration {
	return time.Duration(s.rng.ExpFloat64() * part * float64(whole))
}

// between is a span between two.
func (s *sim) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.rng.Int64N(int64(most-least)))
}

func (s *sim) sleep(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // bubble time
	synctest.Wait()
}

// play tells the story up to its end, then heals all and lets it drain.
func (s *sim) play() {
	s.start()
	s.sleep(time.Minute)
	s.plan()
	for len(s.planned) > 0 && s.planned[0].at.Before(s.end) {
		h := heap.Pop(&s.planned).(happening) //nolint:forcetypeassert // it holds nothing else
		if d := time.Until(h.at); d > 0 {
			s.sleep(d)
		}
		h.do()
		if s.failed() {
			break
		}
	}
	s.drain()
	s.judge()
}

func (s *sim) failed() bool {
	s.oracle.mu.Lock()
	defer s.oracle.mu.Unlock()
	return len(s.oracle.wrong) >= mostWrong
}

// truth tells whether the subject of an action's incident is ill and can be
// seen; else since when not.
func (s *sim) truth(a *signalbox.Action) (sick bool, since time.Time) {
	s.oracle.mu.Lock()
	inc := s.oracle.open[a.Incident]
	s.oracle.mu.Unlock()
	if inc == nil {
		return false, time.Time{}
	}
	s.co.mu.Lock()
	defer s.co.mu.Unlock()
	if blind := s.co.seen[inc.Reading.Detector]; !blind.IsZero() {
		return false, blind
	}
	x := s.co.ill[inc.Reading.Detector][inc.Reading.Subject]
	if x == nil {
		return false, time.Time{}
	}
	return x.ill, x.since
}

// within counts the throws of a policy ("" for all) that were claimed within a
// time before a claim; the oracle's lock is held.
func (s *sim) within(name string, claimed time.Time, per time.Duration) (n int) {
	return s.throwsWithin(func(e effect) bool { return name == "" || e.policy == name }, claimed, per)
}

// throwsWithin counts the throws that are in one window with a claim: the one that
// ends with it, or with one that was claimed later and took place before. The
// fullest counts.
func (s *sim) throwsWithin(of func(effect) bool, claimed time.Time, per time.Duration) (most int) {
	var near []time.Time
	for i := len(s.throws) - 1; i >= 0; i-- {
		e := s.throws[i]
		if claimed.Sub(e.at) > per+time.Hour {
			break // older ones were claimed earlier still
		}
		if of(e) && claimed.Sub(e.claimed).Abs() < per {
			near = append(near, e.claimed)
		}
	}
	for _, end := range append(near, claimed) {
		if end.Before(claimed) {
			continue
		}
		n := 0
		for _, at := range near {
			if !at.After(end) && end.Sub(at) < per {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// frozen reports whether a moment is well inside of a freeze.
func (s *sim) frozen(now time.Time) bool {
	const serves = time.Minute
	return frozenAt(now) && frozenAt(now.Add(-serves))
}

// reader is a journal of no process that runs.
func (s *sim) reader() *journal.Journal {
	j, err := journal.Open(s.t.Context(), s.store, journal.Options{Now: time.Now, Dir: s.archive})
	if err != nil {
		s.t.Fatal(err)
	}
	return j
}

// state is what the store holds, past the daemon.
func (s *sim) state() *signalbox.State {
	st, _, err := s.reader().Load(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// pager keeps one alert a key, as PagerDuty does.
type pager struct {
	mu     sync.Mutex
	down   bool
	alerts map[string]*alert
	events int
}

type alert struct {
	open  bool
	opens int
	acked bool
}

// Page implements kind.Pager.
func (p *pager) Page(_ context.Context, _ json.RawMessage, key string, event signalbox.PageEvent, _ signalbox.PageBody) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return errDown
	}
	p.events++
	a := p.alerts[key]
	if a == nil {
		a = &alert{}
		p.alerts[key] = a
	}
	switch event {
	case signalbox.PageTrigger:
		if !a.open {
			a.open, a.acked = true, false
			a.opens++
		}
	case signalbox.PageAcknowledge:
		a.acked = a.open
	case signalbox.PageResolve:
		a.open = false
	default:
		return fmt.Errorf("unknown event %q", event)
	}
	return nil
}
