package engine_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/marks"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
	"github.com/signalbox/signalbox/internal/track"
	"github.com/signalbox/signalbox/policy"
)

// world is a small production inside a bubble: a database whose readers are
// ill or well, a switch, a pager, and the daemon's core over a store that can
// break. Its target's own log is the oracle.
type world struct {
	t       *testing.T
	store   *mem.Store
	target  *target
	pager   *pager
	set     *engine.Set
	kill    string
	archive string
	marks   string                                                         // directory of the marks; empty: none are kept
	named   string                                                         // "test" when empty
	shared  bool                                                           // the store, with other replicas
	line    *line                                                          // to the store, of the process that runs
	options func(*engine.Options)                                          // what a test changes of the next process; nil: nothing
	timing  engine.Timing                                                  // of the next start
	process signalbox.Process                                              // the next one; zero: the same home each time
	quiet   bool                                                           // nothing is logged
	commit  func(ctx context.Context, t store.Txn) (store.Revision, error) // of the next process, in the place of the store's
	// oracle says what is wrong with a request that reached the switch.
	oracle func(a *signalbox.Action) []string

	effects atomic.Int64 // of all switches so far

	mu       sync.Mutex
	ill      map[string]map[string]float64 // detector, subject: value above 1 is a breach
	unknown  map[string]bool               // detectors that can't be read
	trackers map[string]*track.Tracker

	engine *engine.Engine
	stop   context.CancelFunc
	ended  chan struct{}
}

const (
	readsLag   = "reads-lag"
	replicaLag = "replica-lag"
	plainOne   = "queue"
	alerts     = "alerts"
)

func flipPolicy() policy.Policy {
	return policy.Policy{
		Name: "failover", On: []string{readsLag}, Autonomy: policy.Auto,
		Runbook: []signalbox.Step{{
			Kind: "endpoint", Name: "read-endpoint", To: "b", Spec: json.RawMessage(`{}`), Undo: signalbox.UndoAuto,
			Health: map[string]signalbox.Witness{
				"a": {Detector: replicaLag, Subject: "replica/a"}, "b": {Detector: replicaLag, Subject: "replica/b"},
			},
		}},
		VerifyWithin: time.Minute, AfterHealthy: 2 * time.Minute, Cooldown: time.Minute, Budget: []policy.Rate{{N: 10, Per: 24 * time.Hour}},
	}
}

func newWorld(t *testing.T, policies ...policy.Policy) *world {
	t.Helper()
	w := &world{
		t: t, store: mem.New(), target: &target{value: "a"}, pager: &pager{}, kill: filepath.Join(t.TempDir(), "kill"), archive: t.TempDir(),
		ill: map[string]map[string]float64{
			readsLag: {"db/eu": 0}, replicaLag: {"replica/a": 0, "replica/b": 0}, plainOne: {"queue/psp": 0},
		},
		unknown: map[string]bool{}, trackers: map[string]*track.Tracker{},
	}
	w.configure("one", policies...)
	return w
}

// configure makes the set of a configuration.
func (w *world) configure(hash string, policies ...policy.Policy) {
	w.t.Helper()
	cfg := policy.Config{Hash: hash, DefaultOwner: "devops", Policies: policies}
	set := &engine.Set{
		Hash: hash, Policies: map[string]string{}, Detectors: map[string]engine.Detector{}, DefaultOwner: "devops",
		Owners:      map[string]signalbox.Step{"devops": {Kind: "page", Name: "devops"}, "backend": {Kind: "page", Name: "backend"}},
		Remediators: map[string]signalbox.Remediator{"endpoint": w.target}, Pager: w.pager, Ask: w.ask,
	}
	for _, d := range []string{readsLag, replicaLag, plainOne} {
		cfg.Detectors = append(cfg.Detectors, policy.Detector{Name: d, Owner: "backend"})
		set.Detectors[d] = engine.Detector{Source: "metrics", Owner: "backend", Polled: true}
	}
	for _, d := range []string{alerts, stream} { // a test tells their readings
		cfg.Detectors = append(cfg.Detectors, policy.Detector{Name: d, Owner: "backend"})
		set.Detectors[d] = engine.Detector{Source: d, Owner: "backend"}
	}
	book, err := policy.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	set.Handbook = book
	for _, p := range policies {
		set.Policies[p.Name] = book.PolicyHash(p.Name)
	}
	w.set = set
}

// start runs a daemon's core; the world's trackers begin anew, as a process's
// do. It is over before its test is.
func (w *world) start() {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(testWriter{w.t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if w.quiet {
		log = slog.New(slog.DiscardHandler)
	}
	way := &line{Store: w.store, commit: w.commit}
	j, err := journal.Open(w.t.Context(), way, journal.Options{Now: time.Now, Log: log, Dir: w.archive})
	if err != nil {
		w.t.Fatal(err)
	}
	var outside *marks.File
	if w.marks != "" {
		outside = marks.In(w.marks)
	}
	o := engine.Options{
		Store: way, Journal: j, Marks: outside, Shared: w.shared, Replica: cmp.Or(w.named, "test"), Process: w.process, Now: time.Now, KillFile: w.kill, Log: log, Registerer: prometheus.NewRegistry(),
		Timing: w.timing,
	}
	if w.options != nil {
		w.options(&o)
	}
	e := engine.New(o, w.set)
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan struct{})
	w.mu.Lock()
	w.engine, w.stop, w.ended, w.line, w.trackers = e, stop, ended, way, map[string]*track.Tracker{}
	w.mu.Unlock()
	go func() {
		defer close(ended)
		if err := e.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	w.t.Cleanup(func() { stop(); <-ended })
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if !w.restore(within, e) {
		go w.restore(ctx, e) // the store may come later
	}
	go w.poll(ctx)
}

// halt stops the daemon in good order.
func (w *world) halt() {
	w.stop()
	<-w.ended
	synctest.Wait()
}

func (w *world) tracker(d string) *track.Tracker {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trackers[d] == nil {
		w.trackers[d] = track.New(track.Timing{}, 0)
	}
	return w.trackers[d]
}

func (w *world) poll(ctx context.Context) {
	for ctx.Err() == nil {
		_ = w.ask(ctx, []string{readsLag, replicaLag, plainOne})
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
		}
	}
}

// ask reads the world, as a poll round would.
func (w *world) ask(ctx context.Context, detectors []string) error {
	for _, d := range detectors {
		tr := w.tracker(d)
		w.mu.Lock()
		if w.ill[d] == nil {
			w.mu.Unlock()
			continue
		}
		now := time.Now()
		var rs []signalbox.Reading
		for subject, v := range w.ill[d] {
			r := signalbox.Reading{
				Detector: d, Series: subject, Subject: subject, Condition: signalbox.Clear, Value: signalbox.Float(v), HasValue: true,
				SampleAt: now, At: now, Threshold: "above 1", Summary: fmt.Sprintf("%s is %g", subject, v), Owner: "backend",
			}
			if w.unknown[d] {
				r.Condition, r.Reason = signalbox.Unknown, "the world can't be read"
			} else if v > 1 {
				r.Condition = signalbox.Breached
			}
			rs = append(rs, r)
		}
		out, edges := tr.Step(rs, now)
		good, e := !w.unknown[d], w.engine
		w.mu.Unlock()
		e.Observe(ctx, d, now, good, out, edges)
	}
	return nil
}

func (w *world) make(detector, subject string, value float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ill[detector][subject] = value
}

func (w *world) blind(detector string, unknown bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unknown[detector] = unknown
}

// after lets bubble time pass.
func (w *world) after(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // bubble time
	synctest.Wait()
}

func (w *world) status() engine.Status {
	st, err := w.engine.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// target is a switch that compares and sets, with a log of its effects.
type target struct {
	mu      sync.Mutex
	value   string
	version int
	fence   signalbox.Token
	action  signalbox.ActionID
	effects []string
	latency time.Duration // between the check and the write
	deaf    bool          // effects happen, answers are lost
	down    bool          // nothing is reached
	// inWrite runs between the check and the write; an error is a process that
	// ended there.
	inWrite func() error
}

const theTarget = signalbox.Target("configmap core/core-env DB_READONLY_ENDPOINT")

var errDown = errors.New("connection refused")

func (x *target) Preview(_ context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.down {
		return signalbox.Forecast{}, errDown
	}
	undo := s
	undo.To = x.value
	return signalbox.Forecast{
		Class: signalbox.ClassA, Targets: []signalbox.Target{theTarget}, Found: x.value, Position: x.value, Version: fmt.Sprint(x.version),
		Already: x.value == s.To, Undo: &undo, ByHand: "kubectl patch … " + x.value,
	}, nil
}

func (x *target) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	if err := a.Gate(); err != nil {
		return signalbox.Receipt{}, &signalbox.Failure{Reason: "not started", Err: err}
	}
	x.mu.Lock()
	if x.down {
		x.mu.Unlock()
		return signalbox.Receipt{}, errDown
	}
	version, latency, inWrite := x.version, x.latency, x.inWrite
	x.mu.Unlock()
	if inWrite != nil {
		if err := inWrite(); err != nil {
			return signalbox.Receipt{}, err
		}
	}
	if latency > 0 {
		time.Sleep(latency) //nolint:forbidigo // bubble time
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.version != version || x.fence > a.Token {
		return signalbox.Receipt{}, &signalbox.Failure{Reason: "the target has moved on"}
	}
	x.version++
	x.value, x.fence, x.action = a.Step.To, a.Token, a.ID
	x.effects = append(x.effects, a.Step.To)
	if x.deaf {
		return signalbox.Receipt{}, errors.New("answer lost")
	}
	if err := ctx.Err(); err != nil {
		return signalbox.Receipt{}, err
	}
	return signalbox.Receipt{At: time.Now(), Version: fmt.Sprint(x.version)}, nil
}

func (x *target) Probe(_ context.Context, a signalbox.Action) (signalbox.Progress, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.down:
		return signalbox.Progress{}, errDown
	case x.action == a.ID:
		return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{At: time.Now()}}, nil
	case a.Sealed > 0 && x.fence >= a.Sealed:
		return signalbox.Progress{Phase: signalbox.NotStarted, Reason: "sealed, and nothing of it is there"}, nil
	}
	return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "not sealed"}, nil
}

func (x *target) Seal(_ context.Context, a signalbox.Action, tok signalbox.Token) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.down {
		return errDown
	}
	if x.action != a.ID && x.fence < tok {
		x.fence = tok
		x.version++
	}
	return nil
}

func (x *target) log() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.Join(x.effects, " ")
}

// pager keeps what it is told, as PagerDuty does: one alert a key.
type pager struct {
	mu     sync.Mutex
	events []pageEvent
	down   bool
}

type pageEvent struct {
	key   string
	event signalbox.PageEvent
	body  signalbox.PageBody
}

func (p *pager) Page(_ context.Context, _ json.RawMessage, key string, event signalbox.PageEvent, body signalbox.PageBody) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return errDown
	}
	p.events = append(p.events, pageEvent{key, event, body})
	return nil
}

// log tells the events about incidents, without keys.
func (p *pager) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, e := range p.events {
		if !strings.HasPrefix(e.key, "signalbox-demoted-") {
			out = append(out, string(e.event))
		}
	}
	return strings.Join(out, " ")
}

func (p *pager) last() pageEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.events) == 0 {
		return pageEvent{}
	}
	return p.events[len(p.events)-1]
}
