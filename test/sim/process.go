package sim

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/track"
)

// process is one life of the daemon's core.
type process struct {
	engine   *engine.Engine
	stop     context.CancelFunc
	ended    chan struct{}
	line     *line
	trackers map[string]*track.Tracker // guarded by sim.mu
}

// line is a process's way to the store: once it is cut nothing of that process
// is written or read any more, as of one that was killed.
type line struct {
	store.Store
	door *sync.RWMutex // of the sim
	cut  atomic.Bool
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
	return l.Store.List(ctx, prefix)
}

func (l *line) Get(ctx context.Context, key string) (store.KV, bool, error) {
	if err := l.alive(); err != nil {
		return store.KV{}, false, err
	}
	return l.Store.Get(ctx, key)
}

func (l *line) Commit(ctx context.Context, t store.Txn) (store.Revision, error) {
	if err := l.alive(); err != nil {
		return 0, err
	}
	l.door.Lock()
	defer l.door.Unlock()
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
	return l.Store.Lead(ctx, role)
}

// start runs the daemon's core anew on what its store has.
func (s *sim) start() {
	log := slog.New(slog.DiscardHandler)
	if s.o.Log {
		log = slog.New(slog.NewTextHandler(s.out, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	way := &line{Store: s.store, door: &s.door}
	j, err := journal.Open(s.t.Context(), way, journal.Options{Now: time.Now, Log: log, Dir: s.archive})
	if err != nil {
		s.t.Error(err)
		return
	}
	e := engine.New(engine.Options{
		Store: way, Journal: j, Replica: "sim", Now: time.Now, KillFile: s.kill, Log: log, Registerer: prometheus.NewRegistry(),
		Timing: engine.Timing{KeepInLine: 500, Beat: time.Minute, Archive: 10 * time.Minute},
	}, s.newSet())
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	p := &process{engine: e, stop: stop, ended: make(chan struct{}), line: way, trackers: map[string]*track.Tracker{}}
	s.mu.Lock()
	s.proc = p
	s.mu.Unlock()
	s.lives++
	go func() {
		defer close(p.ended)
		if err := e.Run(ctx); err != nil {
			s.t.Error(err)
		}
	}()
	go func() {
		s.restore(ctx, p)
		s.poll(ctx, p)
	}()
}

// restore tells the trackers what is open, as far as the store is there.
func (s *sim) restore(ctx context.Context, p *process) {
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := p.engine.Restore(within)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range polled {
		var open []signalbox.Reading
		for _, o := range r.Open {
			if o.Detector == d {
				open = append(open, o)
			}
		}
		s.tracker(p, d).Restore(open, r.Good[d])
	}
}

// tracker is that of a detector; the caller holds s.mu.
func (s *sim) tracker(p *process, detector string) *track.Tracker {
	if p.trackers[detector] == nil {
		p.trackers[detector] = track.New(track.Timing{}, 0)
	}
	return p.trackers[detector]
}

// interval is between two rounds of polling.
const interval = time.Minute

func (s *sim) poll(ctx context.Context, p *process) {
	for ctx.Err() == nil {
		s.round(ctx, p, polled)
		select {
		case <-time.After(interval):
		case <-ctx.Done():
		}
	}
}

// ask asks again, as the engine wants before it claims.
func (s *sim) ask(ctx context.Context, detectors []string) error {
	s.mu.Lock()
	p := s.proc
	s.mu.Unlock()
	s.round(ctx, p, detectors)
	return nil
}

func (s *sim) round(ctx context.Context, p *process, detectors []string) {
	for _, d := range detectors {
		if d == alerts {
			continue
		}
		now := time.Now()
		rs, good := s.co.read(d, now)
		s.mu.Lock()
		out, edges := s.tracker(p, d).Step(rs, now)
		s.mu.Unlock()
		p.engine.Observe(ctx, d, now, good, out, edges)
	}
}

// die ends the process as kill -9 does; what it had sent goes on.
func (s *sim) die() {
	s.mu.Lock()
	p := s.proc
	s.proc = nil
	s.mu.Unlock()
	if p == nil {
		return
	}
	p.line.cut.Store(true)
	s.expire()
	p.stop()
	<-p.ended
	synctest.Wait()
}

// halt ends it in good order.
func (s *sim) halt() {
	s.mu.Lock()
	p := s.proc
	s.proc = nil
	s.mu.Unlock()
	if p == nil {
		return
	}
	p.stop()
	<-p.ended
	synctest.Wait()
}

// live is the process that runs; nil: none.
func (s *sim) live() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// control is a person's control; false: it could not be recorded.
func (s *sim) control(c signalbox.Control) bool {
	p := s.live()
	if p == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	return p.engine.Control(ctx, c) == nil
}
