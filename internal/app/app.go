// Package app is the only place where everything meets: it wires the
// configuration, the store, the engine, the kinds and the HTTP servers, and
// carries the daemon from start to stop.
//
//	Run    store -> engine -> restore -> poll, webhooks, control, heartbeat
//	reload load -> build (all that can fail) -> swap (what cannot)
//	stop   nothing new; what is in flight ends; the leadership is given back
//
// The order of the start matters in one place: polling begins when the engine
// has read the store, so that what was open stays open and what was well
// before is known to have been well. When the store does not come, polling
// begins without it, and what is ill is paged straight. Of several replicas the
// one that leads asks, or has others ask (internal/share); those that stand by take webhooks in, and read the
// conditions (calendars, silences, clusters' rules) so that they have them.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/marks"
	"github.com/signalbox/signalbox/internal/outward"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// Options is what the command line says. Config is needed; the zero value of
// the rest is the default.
type Options struct {
	Config         string // file or directory
	Data           string // directory of the embedded store, the archive and the kill file
	Store          string // endpoints of an external etcd, comma separated; empty: embedded
	StoreTLS       StoreTLS
	Cluster        ClusterOptions
	Share          ShareOptions
	Replica        string // stable name; default: the host's
	Listen         string // control and metrics
	WebConfig      string // exporter-toolkit web configuration of Listen
	ListenWebhooks string
	WebhookConfig  string // exporter-toolkit web configuration of ListenWebhooks
	KillFile       string // default: DATA/kill
	AllowCommands  bool   // programs may be run on this host: see remediators/command
	Lease          time.Duration
	ArchiveFor     time.Duration                  // entries older than it leave the archive; 0: none does
	ArchiveBytes   int64                          // beyond it the oldest leave the archive; 0: none does
	Member         []string                       // command that runs the embedded store's member
	Log            *slog.Logger                   // default: slog.Default()
	Now            func() time.Time               // wall time; default: time.Now
	Ready          func(control, webhooks string) // called once, with the addresses that are listened on
	Timing         engine.Timing
	RestoreWithin  time.Duration // polling begins without the store after it; 10s
}

// StoreTLS are the files with which an external store is reached.
type StoreTLS struct{ CA, Cert, Key string }

// Defaults of Options.
const (
	DefaultListen         = "127.0.0.1:9440"
	DefaultListenWebhooks = "127.0.0.1:9441"
)

func (o Options) withDefaults() (Options, error) {
	if o.Config == "" {
		return o, errors.New("--config must name a file or a directory")
	}
	if o.Data == "" {
		o.Data = "data"
	}
	if err := errors.Join(o.retention(), o.share()); err != nil {
		return o, err
	}
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.ListenWebhooks == "" {
		o.ListenWebhooks = DefaultListenWebhooks
	}
	if o.KillFile == "" {
		o.KillFile = filepath.Join(o.Data, "kill")
	}
	if o.Replica == "" {
		host, err := os.Hostname()
		if err != nil {
			return o, fmt.Errorf("--replica must be given, the host has no name: %w", err)
		}
		o.Replica = host
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ready == nil {
		o.Ready = func(string, string) {}
	}
	if o.RestoreWithin == 0 {
		o.RestoreWithin = 10 * time.Second
	}
	return o, nil
}

func (o *Options) retention() error {
	if o.ArchiveFor < 0 || o.ArchiveBytes < 0 {
		return fmt.Errorf("--archive.keep-for and --archive.keep-bytes must not be negative, got %v and %d", o.ArchiveFor, o.ArchiveBytes)
	}
	return nil
}

// daemon is one running daemon.
type daemon struct {
	options  Options
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  *metrics
	process  signalbox.Process // this one; zero in tests: a home of its replica's name
	store    store.Store
	member   *etcd.Embedded // of store; nil: it is external
	marks    *marks.File
	journal  *journal.Journal
	engine   *engine.Engine
	poller   *poll.Poller
	sharing  sharing
	running  atomic.Pointer[runtime]
	swapping sync.Mutex // one reload at a time

	roundsLock  sync.Mutex
	endRounds   context.CancelFunc // of the loops that belong to one configuration
	polls       bool               // this replica asks the sources; guarded by roundsLock
	roundsAlive sync.WaitGroup
	life        context.Context // of the rounds
	teller      teller
	calendars   map[string]*calendarReader // that are read, by name; guarded by roundsLock
	restored    engine.Restored            // what the store knew of detectors that may still come

	feeds      map[string]*ruleFeed // of clusters' rules, that run; guarded by swapping
	feedsAlive sync.WaitGroup
}

func (d *daemon) current() *runtime { return d.running.Load() }

// Run runs the daemon until ctx ends. hup tells that the configuration is to
// be read again. It returns nil after an orderly stop.
func Run(ctx context.Context, o Options, hup <-chan os.Signal) error {
	d, rt, err := newDaemon(o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.options.Data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	process, release, err := takeHome(d.options.Data, d.options.Replica)
	defer release()
	switch d.process = process; {
	case errors.Is(err, errHomeTaken):
		return fmt.Errorf("--data %s: %w", d.options.Data, err)
	case err != nil:
		d.log.Error("the data directory can't be taken: what this process does stays in doubt longer where another takes over", "error", err)
	}
	d.prepareCommands()
	servers, err := d.bind(rt)
	if err != nil {
		return err
	}
	closeStore, err := d.openStore(ctx)
	if err != nil {
		return err
	}
	defer closeStore()
	return d.run(ctx, rt, servers, hup)
}

// newDaemon makes a daemon without its store, and the runtime of the
// configuration that it begins with. It connects to nothing.
func newDaemon(o Options) (*daemon, *runtime, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	d := &daemon{options: o, log: o.Log, registry: prometheus.NewRegistry()}
	d.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d.metrics = newMetrics(d.registry)
	d.teller.metrics = outward.NewMetrics(d.registry)
	if err := d.newShare(); err != nil {
		return nil, nil, err
	}
	rt, err := d.build()
	return d, rt, err
}

// bind opens the ports; nobody is answered yet.
func (d *daemon) bind(rt *runtime) ([]*listener, error) {
	o := d.options
	servers := []*listener{
		{name: "control", address: o.Listen, config: o.WebConfig, handler: d.control()},
		{name: "webhooks", address: o.ListenWebhooks, config: o.WebhookConfig, handler: d.webhooks()},
	}
	if err := mayControlFrom(o.Listen, o.WebConfig, rt.people.Count()); err != nil {
		return nil, err
	}
	if err := d.mayReceive(rt); err != nil {
		return nil, err
	}
	for _, s := range servers {
		if err := s.bind(); err != nil {
			return nil, err
		}
	}
	if err := d.bindShare(); err != nil {
		return nil, err
	}
	return servers, nil
}

// mayReceive refuses to take webhooks from elsewhere at a door that turns
// nobody away.
func (d *daemon) mayReceive(rt *runtime) error {
	for _, rec := range rt.receivers {
		if err := mayListen("webhooks of source "+rec.source, d.options.ListenWebhooks, d.options.WebhookConfig, !rec.door.Open()); err != nil {
			return err
		}
	}
	return nil
}

// run starts everything that lives as long as the daemon, and waits.
func (d *daemon) run(ctx context.Context, rt *runtime, servers []*listener, hup <-chan os.Signal) error {
	j, err := journal.Open(ctx, d.store, journal.Options{
		Now: d.options.Now, Log: d.log, Dir: filepath.Join(d.options.Data, "archive"), KeepFor: d.options.ArchiveFor, KeepBytes: d.options.ArchiveBytes,
	})
	if err != nil {
		return err
	}
	d.teller.journal, d.journal, d.marks = j, j, marks.In(d.options.Data)
	endpoint, env := "", ""
	if t := rt.config.Tracing; t != nil {
		endpoint, env = t.Endpoint, t.Env
	}
	tracer, endTracing, err := tracing(ctx, endpoint, env, d.options.Replica)
	if err != nil {
		return err
	}
	d.engine = engine.New(engine.Options{
		Store: d.store, Journal: j, Marks: d.marks, Shared: d.options.shares(), Replica: d.options.Replica, Process: d.process,
		Now: d.options.Now, KillFile: d.options.KillFile, Log: d.log,
		Registerer: d.registry, Tracer: tracer, Env: env, Timing: d.options.Timing,
		HandOver: d.handOver, Forming: d.storeForms,
	}, rt.set)
	d.running.Store(rt)
	d.poller = poll.New(poll.Options{Now: d.options.Now, Log: d.log, Registerer: d.registry, Emit: d.emit(context.WithoutCancel(ctx))})
	d.life = ctx
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var alive sync.WaitGroup
	failed := make(chan error, len(servers))
	for _, s := range servers {
		alive.Go(func() { failed <- s.serve(life, d.log) })
	}
	d.say(servers)
	work := make(chan error, 1)
	go func() { work <- d.engine.Run(ctx) }()
	d.swapping.Lock()
	d.follow(ctx)
	d.swapping.Unlock()
	alive.Go(func() { d.polling(ctx) })
	alive.Go(func() { d.shareAsking(life) })
	alive.Go(func() { d.heartbeat(ctx) })
	err = d.wait(ctx, work, failed, hup)
	stop()
	alive.Wait()
	d.feedsAlive.Wait()
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, endTracing(flush))
}

// wait serves reloads until the daemon is told to stop and the engine has
// ended.
func (d *daemon) wait(ctx context.Context, work, failed <-chan error, hup <-chan os.Signal) error {
	for {
		select {
		case <-hup:
			_ = d.reload(ctx, "SIGHUP") // it has told and counted its error
		case err := <-failed:
			if ctx.Err() == nil {
				return fmt.Errorf("a server ended: %w", err)
			}
		case err := <-work:
			return err
		}
	}
}

// say tells where the daemon listens.
func (d *daemon) say(servers []*listener) {
	for _, s := range servers {
		d.log.Info("listening", "server", s.name, "address", s.bound.Addr().String(), "web_config", s.config != "")
		if s.config == "" {
			d.log.Warn("no authentication is configured: it listens on loopback only", "server", s.name)
		}
	}
	d.options.Ready(servers[0].bound.Addr().String(), servers[1].bound.Addr().String())
}
