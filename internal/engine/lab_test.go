package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

// line is a process's way to the store. Once it is cut nothing of that process
// is written or read any more, as of one that was killed.
type line struct {
	store.Store
	cut atomic.Bool
	// follows: it does not get to lead any more.
	follows atomic.Bool
	// commit, if not nil, stands for Commit; it is set before the process runs.
	commit func(ctx context.Context, t store.Txn) (store.Revision, error)
	read   atomic.Int64 // bytes that were listed and got
}

// reads counts what was read.
func (l *line) reads(kvs ...store.KV) {
	for _, kv := range kvs {
		l.read.Add(int64(len(kv.Key) + len(kv.Value)))
	}
}

func (l *line) alive() error {
	if l.cut.Load() {
		return fmt.Errorf("%w: the process is gone", store.ErrUnavailable)
	}
	return nil
}

func (l *line) List(ctx context.Context, prefix string) ([]store.KV, store.Revision, error) {
	if err := l.alive(); err != nil {
		return nil, 0, err
	}
	kvs, rev, err := l.Store.List(ctx, prefix)
	l.reads(kvs...)
	return kvs, rev, err
}

func (l *line) Get(ctx context.Context, key string) (store.KV, bool, error) {
	if err := l.alive(); err != nil {
		return store.KV{}, false, err
	}
	kv, ok, err := l.Store.Get(ctx, key)
	l.reads(kv)
	return kv, ok, err
}

func (l *line) Commit(ctx context.Context, t store.Txn) (store.Revision, error) {
	if err := l.alive(); err != nil {
		return 0, err
	}
	if l.commit != nil {
		return l.commit(ctx, t)
	}
	return l.Store.Commit(ctx, t)
}

func (l *line) Watch(ctx context.Context, prefix string, from store.Revision) (<-chan store.Batch, error) {
	if err := l.alive(); err != nil {
		return nil, err
	}
	return l.Store.Watch(ctx, prefix, from)
}

func (l *line) Lead(ctx context.Context, role string) (store.Leadership, error) {
	if err := l.alive(); err != nil {
		return nil, err
	}
	if l.follows.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return l.Store.Lead(ctx, role)
}

// die ends the process as kill -9 does: nothing that it still does is recorded,
// and nothing more is sent by it. Requests that were on their way go on.
func (w *world) die() {
	w.cutOff()
	synctest.Wait()
}

func (w *world) cutOff() {
	w.mu.Lock()
	line, stop := w.line, w.stop
	w.mu.Unlock()
	line.cut.Store(true)
	w.store.Expire("engine")
	stop()
}

// throw is one request that reached a switch.
type throw struct {
	id signalbox.ActionID
	to string
	at time.Time
	n  int64 // in the order of the world
}

// points is a switch of any class, whose own log is the oracle.
type points struct {
	w     *world
	class signalbox.Class
	at    signalbox.Target // empty: theTarget

	mu      sync.Mutex
	value   string
	version int
	fence   signalbox.Token
	last    signalbox.ActionID
	known   map[signalbox.ActionID]bool // class B: the keys that it has seen

	sends   []throw
	effects []throw
	wrong   []string // what must never happen

	declared time.Duration // the greatest latency that it says it has
	lag      time.Duration // from a request to its effect
	deaf     bool          // requests are taken, answers are lost
	dies     bool          // it goes away with the next effect
	down     bool          // nothing is reached
	refuses  bool          // requests are refused, surely without an effect
	atDoor   func()        // runs before the gate is asked
	pastDoor func()        // runs after it, before anything is sent
	atLook   func()        // runs in each Preview
}

func newPoints(w *world, class signalbox.Class) *points {
	p := &points{w: w, class: class, value: "a", known: map[signalbox.ActionID]bool{}}
	w.set.Remediators["endpoint"] = p
	return p
}

// Preview implements signalbox.Remediator.
func (p *points) Preview(_ context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	p.mu.Lock()
	atLook := p.atLook
	p.mu.Unlock()
	if atLook != nil {
		atLook()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return signalbox.Forecast{}, errDown
	}
	undo := s
	undo.To = p.value
	return signalbox.Forecast{
		Class: p.class, Targets: []signalbox.Target{cmp.Or(p.at, theTarget)}, Found: p.value, Position: p.value, Version: fmt.Sprint(p.version),
		Already: p.value == s.To, Undo: &undo, ByHand: "set it to " + p.value, Latency: signalbox.Duration(p.declared),
	}, nil
}

// Start implements signalbox.Remediator.
func (p *points) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	p.mu.Lock()
	atDoor := p.atDoor
	p.mu.Unlock()
	if atDoor != nil {
		atDoor()
	}
	if err := a.Gate(); err != nil {
		return signalbox.Receipt{}, &signalbox.Failure{Reason: "not started", Err: err}
	}
	p.mu.Lock()
	pastDoor := p.pastDoor
	p.mu.Unlock()
	if pastDoor != nil {
		pastDoor()
	}
	p.mu.Lock()
	if p.down {
		p.mu.Unlock()
		return signalbox.Receipt{}, errDown
	}
	p.arrived(&a)
	if p.refuses {
		p.mu.Unlock()
		return signalbox.Receipt{}, &signalbox.Failure{Reason: "refused"}
	}
	version, lag, deaf := p.version, p.lag, p.deaf
	p.mu.Unlock()
	done := make(chan error, 1)
	go func() { // what is on its way arrives, whatever becomes of its sender
		time.Sleep(lag) //nolint:forbidigo // bubble time
		done <- p.take(&a, version)
	}()
	if deaf {
		if lag == 0 {
			<-done // the effect comes before the answer is lost
		}
		return signalbox.Receipt{}, errors.New("answer lost")
	}
	select {
	case err := <-done:
		return signalbox.Receipt{At: time.Now()}, err
	case <-ctx.Done():
		return signalbox.Receipt{}, ctx.Err()
	}
}

// arrived logs a request, and looks whether it may have been sent.
func (p *points) arrived(a *signalbox.Action) {
	p.sends = append(p.sends, throw{id: a.ID, to: a.Step.To, at: time.Now()})
	if p.w.oracle != nil {
		p.wrong = append(p.wrong, p.w.oracle(a)...)
	}
}

// take is the effect, if the class allows it.
func (p *points) take(a *signalbox.Action, version int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.class {
	case signalbox.ClassA:
		if p.version != version || p.fence > a.Token {
			return &signalbox.Failure{Reason: "the target has moved on"}
		}
		p.fence = a.Token
	case signalbox.ClassB:
		if p.known[a.ID] {
			return nil
		}
	case signalbox.ClassC, signalbox.ClassD:
	}
	p.version++
	p.known[a.ID], p.last, p.value = true, a.ID, a.Step.To
	for _, e := range p.effects {
		if e.id == a.ID {
			p.wrong = append(p.wrong, fmt.Sprintf("action %s took effect twice", a.ID))
		}
	}
	p.effects = append(p.effects, throw{id: a.ID, to: a.Step.To, at: time.Now(), n: p.w.effects.Add(1)})
	p.down, p.dies = p.down || p.dies, false
	return nil
}

// Probe implements signalbox.Remediator. For class C it goes by the value, at
// once: to wait out the latency is its caller's duty.
func (p *points) Probe(_ context.Context, a signalbox.Action) (signalbox.Progress, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{At: time.Now()}}
	switch {
	case p.down:
		return signalbox.Progress{}, errDown
	case p.class == signalbox.ClassD:
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "it can't be looked at"}, nil
	case p.class == signalbox.ClassC && p.value == a.Step.To, p.class != signalbox.ClassC && p.last == a.ID:
		return done, nil
	case p.class == signalbox.ClassC, p.class == signalbox.ClassA && a.Sealed > 0 && p.fence >= a.Sealed:
		return signalbox.Progress{Phase: signalbox.NotStarted, Reason: "nothing of it is there"}, nil
	}
	return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "it may be on its way"}, nil
}

// Seal implements signalbox.Sealer.
func (p *points) Seal(_ context.Context, a signalbox.Action, t signalbox.Token) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return errDown
	}
	if t <= a.Token {
		p.wrong = append(p.wrong, fmt.Sprintf("action %s of token %d was sealed with %d", a.ID, a.Token, t))
	}
	if p.last != a.ID && p.fence < t {
		p.fence = t
		p.version++
	}
	return nil
}

func (p *points) with(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func tell(ts []throw) string {
	var to []string
	for _, t := range ts {
		to = append(to, t.to)
	}
	return strings.Join(to, " ")
}

// log tells the positions that it was put to, and requests those asked for.
func (p *points) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return tell(p.effects)
}

func (p *points) requests() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return tell(p.sends)
}

// entries reads the journal as it stands.
func (w *world) entries() []journal.Entry {
	w.t.Helper()
	var out []journal.Entry
	for e, err := range w.reader().Read(w.t.Context(), 0, 0) {
		if err != nil {
			w.t.Errorf("journal: %v", err)
			break
		}
		out = append(out, e)
	}
	return out
}

// reader is a journal of no process that runs.
func (w *world) reader() *journal.Journal {
	w.t.Helper()
	j, err := journal.Open(w.t.Context(), w.store, journal.Options{Now: time.Now, Dir: w.archive})
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// state is what the store holds, past the daemon.
func (w *world) state() *signalbox.State {
	w.t.Helper()
	s, _, err := w.reader().Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// audit ends a story: the daemon stops, the journal folds to the state, and
// the switch has nothing to complain of.
func (w *world) audit(p *points) {
	w.t.Helper()
	w.halt()
	w.after(time.Minute) // what was on its way arrives
	if _, err := w.reader().Verify(w.t.Context()); err != nil {
		w.t.Error(err)
	}
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, wrong := range p.wrong {
		w.t.Error(wrong)
	}
}

// restore gives the trackers what the store knew; false: it is not known yet.
func (w *world) restore(ctx context.Context, e *engine.Engine) bool {
	r, err := e.Restore(ctx)
	if err != nil {
		return false
	}
	for d := range w.ill {
		var open []signalbox.Reading
		for _, o := range r.Open {
			if o.Detector == d {
				open = append(open, o)
			}
		}
		tr := w.tracker(d)
		w.mu.Lock()
		tr.Restore(open, r.Good[d])
		w.mu.Unlock()
	}
	return true
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}
