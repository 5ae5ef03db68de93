// Package engine is the loop: it records what is seen, decides, claims, acts,
// verifies, and pages.
//
// # Who does what
//
// One goroutine, the loop, owns the world (State and Facts) and alone changes
// it. Everything that waits (asking, previewing, starting, probing, paging)
// runs in a goroutine of its own and mails a closure back to the loop.
//
//	poll round, webhook --> intake.go   edges, durable in the inbox
//	inbox               --> incident.go incidents
//	what changed        --> decide.go   policy.Decide for those that read it
//	Act, Undo           --> act.go      ask again, claim in one Txn, start
//	doubt, restart      --> follow.go   seal, probe, settle the doubt
//	Settle, Resolve     --> settle.go   what came of it
//	pages               --> pages.go    an outbox, sent until it is accepted
//	new incident        --> evidence.go what people look at first, for its page
//	begin of a term     --> marks.go    is the store the one that it was
//	no store            --> direct.go   pages straight from the configuration
//	another leads       --> standby.go  nothing, and the leader's state is followed
//
// # Terms
//
// The engine works in terms: a term begins when this process leads and has
// read the whole state, and ends when the lease is lost or the store fails.
// Between terms nothing is decided or started; readings are still taken in,
// and what is ill is paged straight. A term that ends forgets its State: the
// store is the truth, and the next term reads it again and first settles what
// was in flight.
//
// # What must be durable before what
//
// An edge before a webhook's 2xx. The intent, with what was found and its
// undo, before Start. A page's record before it is sent. The settled outcome
// before the next decision. Each is one transaction with its journal entry,
// under the leader's fence.
package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/evidence"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/marks"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/policy"
)

// Options is what an Engine is made of. All fields but Marks, Shared, Tracer and Timing are
// needed.
type Options struct {
	Store      store.Store
	Journal    *journal.Journal
	Marks      *marks.File       // of the store, outside of it; nil: none are kept
	Shared     bool              // other replicas use the store too, with marks of their own
	Replica    string            // this process's stable name
	Process    signalbox.Process // this process; by default one with a home of its replica's name
	Now        func() time.Time  // wall time: the only clock of the decisions
	KillFile   string            // path; while it exists nothing is started
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Tracer     trace.Tracer // nil: none
	Env        string       // `env` of the traces
	Timing     Timing

	// HandOver is called at a stop, when nothing is under way any more, just
	// before the leadership is given back. nil: nothing.
	HandOver func(context.Context) error
	// Forming reports whether the store may be at its very first start, where
	// it waits for the others of its cluster. nil: never.
	Forming func() bool
}

// Timing bounds what the engine waits for. Zero fields take the default.
type Timing struct {
	Confirm    time.Duration // asking again before a claim; 10s
	Start      time.Duration // one Start; 10s, and never past the lease
	Doubt      time.Duration // in doubt for longer is paged; 2m
	StoreGone  time.Duration // without the store for longer: what is ill is paged straight; 5s
	StorePage  time.Duration // … for longer: the store itself is paged; 30s
	StoreForm  time.Duration // … at the first start of a cluster; 5m
	GroupWait  time.Duration // a group's page gathers for so long; 3s
	Look       time.Duration // looking around a new incident; 10s
	LookFirst  time.Duration // its page waits so long for what is found; 3s
	Tombstone  time.Duration // a closed incident is remembered for so long; 1h
	Second     time.Duration // what the pager does not take for longer goes by the second channel; 60s
	Acks       time.Duration // between two questions for acknowledgements; 30s
	Beat       time.Duration // between two heartbeats in the store; 10s
	Archive    time.Duration // between two exports of old journal entries; 1m
	Retry      time.Duration // first pause after a failure, doubling to 32 times; 500ms
	WarmUp     time.Duration // after a start, decisions about what is polled wait at most so long for a first round of each detector; 15s
	KeepInLine int           // journal entries kept in the store when older ones are archived; 10,000
}

func (t Timing) withDefaults() Timing {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	or(&t.Confirm, 10*time.Second)
	or(&t.Start, 10*time.Second)
	or(&t.Doubt, 2*time.Minute)
	or(&t.StoreGone, 5*time.Second)
	or(&t.StorePage, 30*time.Second)
	or(&t.StoreForm, 5*time.Minute)
	or(&t.GroupWait, 3*time.Second)
	or(&t.Look, 10*time.Second)
	or(&t.LookFirst, 3*time.Second)
	or(&t.Tombstone, time.Hour)
	or(&t.Second, time.Minute)
	or(&t.Acks, 30*time.Second)
	or(&t.Beat, 10*time.Second)
	or(&t.Archive, time.Minute)
	or(&t.Retry, 500*time.Millisecond)
	or(&t.WarmUp, 15*time.Second)
	if t.KeepInLine == 0 {
		t.KeepInLine = 10_000
	}
	return t
}

// Set is what one configuration gives to the engine. It is read-only, and
// replaced whole at a reload.
type Set struct {
	Hash         string
	Handbook     *policy.Handbook
	Policies     map[string]string         // name to content hash
	Detectors    map[string]Detector       // by name
	Owners       map[string]signalbox.Step // an owner's page step, by name
	Primary      map[string]string         // who an owner's primary is, for people
	Ladders      map[string]Ladder         // beyond an owner's page step, by name
	DefaultOwner string
	Remediators  map[string]signalbox.Remediator // by kind
	Pager        kind.Pager
	Pagers       map[string]kind.Pager // by the kind of a page step; Pager for those not in it
	// Ask asks the named detectors' questions now, and returns when their
	// readings have been given to Observe. Detectors that are not polled are
	// passed over.
	Ask func(ctx context.Context, detectors []string) error
	// Heard is told when another replica heard a source's watchdog; nil: nobody
	// wants to know.
	Heard func(source string, at time.Time)
	// Evidence is what is looked for around a new incident.
	Evidence []evidence.Entry
	// Calendars says where each calendar of freezes is read, by name.
	Calendars map[string]string
	// Silences is the source whose silences are read; empty: none.
	Silences string
	// Unread are the beginnings of the names of detectors that are not known
	// yet: an incident of one that is not in Detectors is not over for that.
	Unread []string
}

// MayCome reports whether a detector that is not in the set may still come.
func (s *Set) MayCome(detector string) bool {
	return slices.ContainsFunc(s.Unread, func(begin string) bool { return strings.HasPrefix(detector, begin) })
}

// Ladder is how an owner is reached when its primary is not, or when its pager
// fails.
type Ladder struct {
	BackupName string          // as people write it
	Backup     *signalbox.Step // page step; nil: none
	Second     *signalbox.Step // of the second channel; nil: none
}

// Detector is what the engine must know of a detector.
type Detector struct {
	Source string
	Owner  string
	Polled bool
	Health bool // it tells the health of its source, and has no rounds of its own
}

// Engine is the daemon's core. Its methods are safe for concurrent use.
type Engine struct {
	o       Options
	timing  Timing
	mail    chan func(*loop)
	set     atomic.Pointer[Set]
	term    atomic.Pointer[authority]            // nil between terms
	barred  atomic.Pointer[string]               // why nothing is started until a restart; nil: nothing
	frozen  atomic.Pointer[string]               // why nothing is started until a person confirms the store; nil: nothing
	stored  atomic.Pointer[signalbox.StoreState] // as this process has put or found it in its term
	marking sync.WaitGroup                       // writes of the marks that are under way
	duties  duties
	reseat  atomic.Pointer[context.CancelFunc] // has the presence told anew
	own     atomic.Int64                       // the revision of this process's last leadership
	metrics *metrics
	done    chan struct{} // the loop has ended
}

// ErrNoTerm says that this process does not lead, or has no store: nothing can
// be decided or controlled through it now.
var ErrNoTerm = errors.New("the store is not available, or another replica leads")

// New returns an engine for the given set. Nothing runs before Run.
func New(o Options, set *Set) *Engine {
	if o.Process == (signalbox.Process{}) {
		o.Process = signalbox.Process{Replica: o.Replica, Home: o.Replica, Run: rand.Text()}
	}
	e := &Engine{
		o: o, timing: o.Timing.withDefaults(),
		mail: make(chan func(*loop), 256), duties: duties{changed: make(chan struct{})},
		metrics: newMetrics(o.Registerer), done: make(chan struct{}),
	}
	e.use(set)
	return e
}

// Run works until ctx ends; then it starts nothing new, waits for what is in
// flight (at most Timing.Start), and gives the leadership back. It returns nil.
func (e *Engine) Run(ctx context.Context) error {
	leading := make(chan struct{})
	leadCtx, stopLeading := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(leading)
		var present sync.WaitGroup
		present.Go(func() { e.presence(leadCtx) })
		present.Go(func() { e.keepMarks(leadCtx) })
		e.lead(leadCtx)
		present.Wait()
	}()
	l := newLoop(e)
	l.run(ctx)
	if len(l.running) == 0 && l.claimed != l.rested {
		if err := e.sayRest(leadCtx, l.claimed, false); err != nil {
			e.o.Log.Info("that nothing is under way is not on record: the next start says so", "error", err)
		}
	}
	stopLeading()
	<-leading
	e.marking.Wait()
	return nil
}

// Restored is what the store knew when this process began to lead: what is
// open, and when each detector's last good round was.
type Restored struct {
	Open []signalbox.Reading
	Good map[string]time.Time
	// Streaks are the breaches under way that are not open yet.
	Streaks []signalbox.Streak
}

// Leading reports whether a term is under way: this process leads and its
// store answers.
func (e *Engine) Leading() bool { return e.term.Load() != nil }

// post mails f to the loop; false when the loop has ended or ctx is done.
func (e *Engine) post(ctx context.Context, f func(*loop)) bool {
	select {
	case e.mail <- f:
		return true
	case <-e.done:
		return false
	case <-ctx.Done():
		return false
	}
}

// call runs f in the loop and waits for it.
func (e *Engine) call(ctx context.Context, f func(*loop)) error {
	ran := make(chan struct{})
	if !e.post(ctx, func(l *loop) { defer close(ran); f(l) }) {
		return errors.Join(ErrNoTerm, ctx.Err())
	}
	select {
	case <-ran:
		return nil
	case <-e.done:
		return ErrNoTerm
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Swap puts another configuration's set in force. Actions in flight keep their
// plans.
func (e *Engine) Swap(ctx context.Context, set *Set) error {
	return e.call(ctx, func(l *loop) {
		l.forget(e.set.Load(), set)
		e.use(set)
		l.nextClimb, l.nextLate = time.Time{}, time.Time{} // other owners, other times
		l.reconfigured()
	})
}

// use puts a set in force; each owner's pager has its metric from then on.
func (e *Engine) use(set *Set) {
	for owner := range set.Owners {
		e.metrics.pagerFailing.WithLabelValues(owner)
	}
	was := e.set.Swap(set)
	if reseat := e.reseat.Load(); reseat != nil && was != nil && was.Hash != set.Hash {
		(*reseat)()
	}
}
