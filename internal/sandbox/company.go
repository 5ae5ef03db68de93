package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// Options says how a Company is made. The zero value listens on a free port of
// 127.0.0.1, tells nothing, and breaks something about every minute.
type Options struct {
	// Out gets the story: one plain line for each thing that happens, coloured
	// if it is a terminal and NO_COLOR is not set. Nil: nothing is told.
	Out io.Writer
	// Listen is the address of everything that the company serves. It has no
	// authentication: it belongs on loopback. Empty: 127.0.0.1:0.
	Listen string
	// Calm: nothing breaks by itself; see Break.
	Calm bool
	// Tick is the time between two steps, each of which is also a scrape; 0:
	// half a second.
	Tick time.Duration
	// Now is the wall clock, whose time the samples carry; nil: time.Now.
	Now func() time.Time
}

// Company is the simulated company. It is safe for concurrent use.
type Company struct {
	tick     time.Duration
	now      func() time.Time
	listener net.Listener
	server   *http.Server
	history  *history
	switches *switches
	pager    *pager
	pulse    *pulse
	narrator *narrator

	mu      sync.Mutex
	script  script
	state   state
	story   story
	last    time.Time // of the last step
	trouble string    // what was told of the metrics
	closed  sync.Once
}

// New makes a company that listens already, so that its URL is known; it
// answers once Run is called. Close, or the end of Run, gives back what New
// took: a port and a temporary directory.
func New(o Options) (*Company, error) {
	o = o.withDefaults()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	history, err := openHistory()
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", errors.Join(err, listener.Close()))
	}
	n := &narrator{out: o.Out, colour: colourful(o.Out, os.Getenv), now: o.Now}
	c := &Company{
		tick: o.Tick, now: o.Now, listener: listener, history: history, narrator: n,
		pager:  &pager{owners: routingKeys(), now: o.Now, tell: func(text string) { n.tell(whoPager, text) }},
		pulse:  &pulse{now: o.Now, tell: func(text string) { n.tell(whoPager, text) }},
		script: script{calm: o.Calm},
		state:  atRest(),
		story:  story{tell: n.tell, last: atRest()},
	}
	life := strconv.FormatInt(o.Now().UnixNano(), 36)
	c.switches = newSwitches(life, func(name string, was, is setting) { n.tell(whoSwitch, wrote(name, was, is)) })
	c.server = &http.Server{Handler: c.routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	return c, nil
}

func (o Options) withDefaults() Options {
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Tick <= 0 {
		o.Tick = 500 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// URL is where the company is reached: "http://127.0.0.1:43210".
func (c *Company) URL() string { return "http://" + c.listener.Addr().String() }

// Run serves and lives until ctx ends, which is no error. It is called once.
func (c *Company) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- c.server.Serve(c.listener) }()
	c.narrator.tell(whoCompany, "opens: db/eu, PSP webhooks, payouts, CDN and a pager, at "+c.URL())
	err := c.live(ctx, served)
	return errors.Join(err, c.Close())
}

// live steps until ctx ends or the server does.
func (c *Company) live(ctx context.Context, served <-chan error) error {
	ticker := time.NewTicker(c.tick)
	defer ticker.Stop()
	for {
		c.step(ctx, c.now())
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return fmt.Errorf("sandbox: %w", err)
		case <-ticker.C:
		}
	}
}

// Close ends Run and gives everything back. It may be called more than once.
func (c *Company) Close() error {
	var err error
	c.closed.Do(func() {
		err = errors.Join(c.server.Close(), ignoreClosed(c.listener.Close()), c.history.close())
	})
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// step brings the company to a time, scrapes it and tells what is new.
func (c *Company) step(ctx context.Context, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last.IsZero() {
		c.last = at
	}
	dt := at.Sub(c.last)
	on := c.script.on(c.state.uptime + dt)
	c.state = c.state.step(inputs{
		faults:   faultsOf(on),
		endpoint: c.switches.value(switchReads),
		provider: c.switches.value(switchCDN),
	}, dt)
	c.last = at
	c.complain(c.history.record(ctx, at, c.state.samples()))
	c.story.follow(on, c.state)
	c.pulse.check()
}

// complain tells once that the metrics can't be stored: after the clock went
// back they can't, until it has caught up.
func (c *Company) complain(err error) {
	text := ""
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, errClosed) {
		text = "metrics can't be stored: is the clock going back?"
	}
	if text != c.trouble && text != "" {
		c.narrator.tell(whoMetrics, text)
	}
	c.trouble = text
}

// Break begins a scene now: replica-a, psp, cdn or both-replicas. It heals by
// itself. Any other name is an error that lists them.
func (c *Company) Break(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.script.ask(name, c.state.uptime)
}

// Pages returns the open pages, and the latest that are resolved.
func (c *Company) Pages() []Page { return c.pager.pages() }

// Position returns the value that a switch stands at; empty: there is no such
// switch.
func (c *Company) Position(name string) string { return c.switches.value(name) }
